"""The descent as a film: the paths of optimizers grow over the plane."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from PIL import Image

from sofim_lab.landscape.path import ProjectedPath
from sofim_lab.landscape.result import Slice
from sofim_lab.plots.film import Film
from sofim_lab.plots.landscape import describe_contour, free_corner, plot_contour
from sofim_lab.plots.paths import Paths, draw_start, draw_track, legend_line, named, track
from sofim_lab.plots.style import Style, figure_of, looks_of, set_title

_HEAD: Style = {
    "markersize": 9.5,
    "markeredgecolor": "black",
    "markeredgewidth": 1.2,
    "linestyle": "none",
    "zorder": 3.3,
    "clip_on": False,
}


def animate_descent(
    result: Slice,
    paths: Paths,
    ax: Axes | None = None,
    *,
    frames: int = 60,
    seconds: float = 6.0,
    log: bool | None = None,
    clip: tuple[float | None, float | None] | None = None,
) -> Film:
    """A film of optimizers walking over the plane, all by one clock: the number of steps.

    Only the paths are drawn anew for a frame, so that 60 frames take about a second. No display is needed.

    Args:
        result: A slice over two directions.
        paths: As in `plot_contour`, at least one.
        ax: Axes to draw into; new ones by default. They end up with the last frame.
        frames: How many, at least 2.
        seconds: How long the film runs.
        log: As in `plot_contour`.
        clip: As in `plot_contour`.

    Returns:
        `Film`, to be the last value of a notebook's cell; `save("descent.gif")` or `save("descent.html")` writes it.

    Raises:
        ValueError: No path, fewer than two frames, no time, or what `plot_contour` refuses.
    """
    pairs = named(paths)
    if not pairs:
        raise ValueError("paths is empty: give at least one path to animate")
    if frames < 2 or not seconds > 0:
        raise ValueError(f"frames={frames!r} must be 2 or more, and seconds={seconds!r} positive")
    tracks = [track(name, path) for name, path in pairs]
    clocks = [_clock(path, len(points)) for (_, path), points in zip(pairs, tracks, strict=True)]
    ax = plot_contour(result, None, ax, log=log, clip=clip)
    window = ax.get_xlim(), ax.get_ylim()
    looks = looks_of([name for name, _ in pairs])
    handles = [legend_line(name, own, path.share) for (name, path), own in zip(pairs, looks, strict=True)]
    known = ax.get_legend()
    ax.legend(
        handles=[*handles, *(handle for handle in (known.legend_handles if known else []) if handle)],
        loc=free_corner(ax, tracks),
        fontsize=8.5,
        handlelength=2.8,
    )
    moving = []
    for points, own in zip(tracks, looks, strict=True):
        draw_start(ax, points)
        (head,) = ax.plot(*points[:1].T, own.marker, color=own.color, **_HEAD)
        moving.append((*draw_track(ax, points, own), head))
    ax.set(xlim=window[0], ylim=window[1])
    last = max(clock[-1] for clock in clocks)
    pictures = list(_pictures(ax, tracks, clocks, moving, np.linspace(0, last, frames)))
    shown = _with_one_palette(pictures)
    words = describe_contour(result, paths, log=log, clip=clip)
    alt = f"Film of the descent, from step 0 to step {last:,.0f}. {words}"
    return Film(shown, alt, max(20, round(1000 * seconds / frames)))


def _clock(path: ProjectedPath, count: int) -> np.ndarray:
    """After how many steps each point of a path was reached; its number where that is not known."""
    steps = getattr(path, "steps", None)
    return np.arange(count, dtype=float) if steps is None else np.asarray(steps, dtype=float)[:count]


def _pictures(
    ax: Axes,
    tracks: list[np.ndarray],
    clocks: list[np.ndarray],
    moving: list[tuple[Line2D, Line2D, Line2D]],
    times: np.ndarray,
) -> Iterator[Image.Image]:
    """One picture for each time: the standing part is drawn once and kept, the paths are drawn onto it."""
    figure, before = figure_of(ax), ax.figure.canvas
    canvas = FigureCanvasAgg(figure)
    edges = np.array([ax.get_xlim(), ax.get_ylim()]).T[..., None]
    artists = [artist for group in moving for artist in group]
    try:
        for artist in (*artists, ax.title):
            artist.set_animated(True)
        canvas.draw()
        standing = canvas.copy_from_bbox(figure.bbox)
        for time in times:
            canvas.restore_region(standing)
            set_title(ax, f"step {time:,.0f}")
            for points, clock, (rim, line, head) in zip(tracks, clocks, moving, strict=True):
                walked = _until(points, clock, time)
                rim.set_data(*walked.T)
                line.set_data(*walked.T)
                head.set_data(*np.clip(walked[-1:].T, *edges))  # outside it waits on the edge
            for artist in (*artists, ax.title):
                ax.draw_artist(artist)
            yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    finally:
        for artist in (*artists, ax.title):
            artist.set_animated(False)
        figure.set_canvas(before)


def _with_one_palette(pictures: list[Image.Image]) -> tuple[Image.Image, ...]:
    """The pictures in 256 colours, the same for all, so that nothing flickers; white stays white."""
    last = pictures[-1].quantize(256, dither=Image.Dither.NONE)  # it has every colour
    colors = np.array(last.getpalette()).reshape(-1, 3)
    white = int(colors.sum(axis=1).argmax())
    colors[white] = 255
    last.putpalette(colors.ravel().tolist())
    shown = []
    for picture in pictures:
        frame = picture.quantize(palette=last, dither=Image.Dither.NONE)
        # Pillow looks colours up in a coarse table, which would make the page grey.
        pure = (np.asarray(picture) == 255).all(axis=-1)
        frame.paste(white, mask=Image.fromarray(pure))
        shown.append(frame)
    return tuple(shown)


def _until(points: np.ndarray, clock: np.ndarray, time: float) -> np.ndarray:
    """The points reached by a time, and the place on the way to the next one."""
    place = [np.interp(time, clock, points[:, axis]) for axis in (0, 1)]
    return np.vstack([points[clock <= time], place])
