"""The paths of optimizers on a plane: the lines, and in words."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWNBASE, CARETLEFTBASE, CARETRIGHTBASE, CARETUPBASE

from sofim_lab.landscape.path import ProjectedPath
from sofim_lab.plots.scale import number as short
from sofim_lab.plots.style import Look, Style, label_of, looks_of

Paths = Mapping[str, ProjectedPath] | Iterable[ProjectedPath]  # by name, or with names of their own
Window = tuple[float, float, float, float]  # left, right, bottom, top
_EDGE: Style = {"markeredgecolor": "black", "markeredgewidth": 1.2}
_MARKS = 8  # marks along a path, so that it is known without its colour


def named(paths: Paths | None) -> list[tuple[str, ProjectedPath]]:
    """Paths with their names; one without a name is called after its number."""
    if paths is None:
        return []
    if isinstance(paths, Mapping):
        return list(paths.items())
    return [(path.name or f"path {number}", path) for number, path in enumerate(paths, start=1)]


def draw_paths(ax: Axes, paths: Paths | None) -> list[Line2D]:
    """Draw paths into axes whose limits are set; a white rim makes them stand out on any map.

    Args:
        ax: Axes of the plane; their limits stay as they are.
        paths: Name to path, or paths that have names; a registered optimizer's name gives a path its look and label.

    Returns:
        One line a path for a legend, labelled with the share of the way that the plane shows.

    Raises:
        ValueError: A path without a point, or not in two dimensions.
    """
    pairs = named(paths)
    tracks = [track(name, path) for name, path in pairs]
    window = (*ax.get_xlim(), *ax.get_ylim())
    handles = []
    for (name, path), points, own in zip(pairs, tracks, looks_of([name for name, _ in pairs]), strict=True):
        draw_track(ax, points, own)
        draw_ends(ax, points, own, window)
        handles.append(legend_line(name, own, path.share))
    ax.set(xlim=window[:2], ylim=window[2:])
    return handles


def describe_paths(paths: Paths | None, window: Window) -> str:
    """In words: from where to where each path goes, where it leaves the window, how much of it the plane shows."""
    sentences = []
    for name, path in named(paths):
        points = track(name, path)
        share = f"the plane shows {_percent(path.share)} of it"
        if len(points) == 1:
            sentences.append(f"{label_of(name)} is one point at {_place(points[0])}.")
            continue
        left = _leaves(points, window)
        fate = "" if left is None else f", leaves the picture after point {left} of {len(points)}"
        lost = len(path.coordinates) - len(points)
        fate += f", and has {lost} more that {'is' if lost == 1 else 'are'} not finite" if lost else ""
        sentences.append(f"{label_of(name)} goes from {_place(points[0])} to {_place(points[-1])}{fate}; {share}.")
    return " ".join(sentences)


def track(name: str, path: ProjectedPath) -> np.ndarray:
    """The points (T, 2) of a path up to the first that is not finite."""
    points = np.asarray(path.coordinates, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"paths[{name!r}] has coordinates of shape {points.shape}: project it on two directions")
    finite = np.isfinite(points).all(axis=1)
    points = points[: len(points) if finite.all() else int(np.argmin(finite))]
    if not len(points):
        raise ValueError(f"paths[{name!r}] has no finite point: record at least one")
    return points


def draw_track(ax: Axes, points: np.ndarray, own: Look) -> tuple[Line2D, Line2D]:
    """A line with a white rim and marks here and there; both lines are returned."""
    every = max(1, len(points) // _MARKS)
    rim = ax.plot(*points.T, color="white", linewidth=3.6, zorder=3)[0]
    style = own.line(linewidth=1.8, markersize=5.5, markeredgecolor="white", markeredgewidth=0.6)
    line = ax.plot(*points.T, **style, markevery=(every // 2, every), zorder=3.1)[0]
    return rim, line


def draw_start(ax: Axes, points: np.ndarray) -> None:
    """A white dot where a path begins."""
    ax.plot(*points[:1].T, "o", color="white", markersize=6, zorder=3.2, **_EDGE)


def draw_ends(ax: Axes, points: np.ndarray, own: Look, window: Window) -> None:
    """A white dot where a path begins, its own mark where it ends; an arrow over the edge where it left for good."""
    if len(points) > 1:
        draw_start(ax, points)
    left = _leaves(points, window)
    if left is None:
        ax.plot(*points[-1:].T, own.marker, color=own.color, markersize=9.5, zorder=3.3, **_EDGE)
    elif left > 0:
        place, mark = _exit(points[left - 1], points[left], window)
        ax.plot(*place, marker=mark, color=own.color, markersize=11, zorder=3.3, clip_on=False, **_EDGE)


def legend_line(name: str, own: Look, share: float) -> Line2D:
    """The legend's entry of a path."""
    return Line2D([], [], **own.line(linewidth=1.8, label=f"{label_of(name)} ({_percent(share)} shown)"))


def _leaves(points: np.ndarray, window: Window) -> int | None:
    """How many points there are before the path leaves the window for good; None if it ends inside."""
    left, right, bottom, top = window
    x, y = points.T
    inside = (left <= x) & (x <= right) & (bottom <= y) & (y <= top)
    if inside[-1]:
        return None
    return int(np.nonzero(inside)[0][-1]) + 1 if inside.any() else 0


def _exit(inside: np.ndarray, outside: np.ndarray, window: Window) -> tuple[np.ndarray, int]:
    """Where the way out crosses the edge of the window, and the mark that points out of it there."""
    step = outside - inside
    low, high = np.array(window[::2]), np.array(window[1::2])
    ahead = np.where(step > 0, high, low) - inside
    reach = np.divide(ahead, step, out=np.full(2, np.inf), where=step != 0)
    axis = int(np.argmin(reach))
    marks = ((CARETLEFTBASE, CARETRIGHTBASE), (CARETDOWNBASE, CARETUPBASE))
    return inside + reach[axis] * step, marks[axis][int(step[axis] > 0)]


def _percent(share: float) -> str:
    """A share in percent; never 100 % or 0 % unless it is all or nothing."""
    shown = f"{100 * share:.0f}"
    if shown in ("0", "100") and 0 < share < 1 - 1e-9:
        shown = f"{100 * share:.2g}" if share < 0.5 else f"{min(100 * share, 99.9):.1f}"
    return f"{shown} %"


def _place(point: np.ndarray) -> str:
    """Coordinates in brackets, without the round-off of a projection."""
    return "({}, {})".format(*(short(round(float(coordinate), 9)) for coordinate in point))
