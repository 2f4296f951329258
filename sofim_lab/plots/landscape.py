"""A slice of the loss over two directions: contours with the paths of optimizers, and in words."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from sofim_lab.landscape.result import Slice
from sofim_lab.plots.color_bar import color_bar, hatch_gaps, room
from sofim_lab.plots.paths import Paths, describe_paths, draw_paths, named, track
from sofim_lab.plots.scale import PALE, Clip, Scale, number, scale_of
from sofim_lab.plots.style import few_ticks, new_axes

Corner = Literal["upper left", "lower left", "lower right", "upper right"]

METRICS = ("loss", "accuracy")


def plot_contour(
    result: Slice,
    paths: Paths | None = None,
    ax: Axes | None = None,
    *,
    metric: str = "loss",
    log: bool | None = None,
    clip: Clip = None,
) -> Axes:
    """The loss over a plane, dark where it is low, and the paths of optimizers on it.

    A plus marks the lowest point of the grid. Points whose value is not finite are left out: the gap is hatched. A
    path begins at a white dot and ends at the optimizer's own mark; where it leaves the picture an arrow points
    after it.

    Args:
        result: A slice over two directions.
        paths: Paths on the same two directions: name to path, or paths that have names, e.g. `CommonPlane.paths`. A
            registered optimizer's name gives a path its look.
        ax: Axes to draw into; new ones by default.
        metric: `loss` or `accuracy`.
        log: Logarithmic colours or not; None: for a loss as its values ask, see `scale_of`, and not for an accuracy.
        clip: Lowest and highest value to be told apart, None for an end that is free, see `scale_of`.

    Returns:
        The axes, with the limits of the slice.

    Raises:
        ValueError: A slice over one direction, without that metric or without a finite value; what `scale_of` refuses.
    """
    values = plane(result, metric)
    scale = scale_for(values, metric, log, clip)
    places, texts = scale.ticks()
    if ax is None:
        ax = new_axes(width=6.6, height=4.8)[0]
        ax.figure.subplots_adjust(right=1 - room(texts) / 660)
    ax.grid(False)
    few_ticks(ax.xaxis, ax.yaxis)
    shown = scale.clip(values)
    if len(scale.levels) > 2:
        ax.contour(result.a, result.b, shown, scale.levels[1:-1], colors="white", linewidths=0.5, zorder=1.5)
    ax.contourf(result.a, result.b, shown, scale.levels, cmap=PALE, norm=scale.norm)
    x, y = lowest_at(result, values, metric)
    for color, width in (("black", 3.2), ("white", 1.6)):
        ax.plot([x], [y], "+", color=color, markersize=9, markeredgewidth=width, zorder=2.5)
    a, b = result.axes
    ax.set(xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))
    label_directions(ax, result)
    edges = scale.norm(scale.levels)
    bands = PALE((edges[:-1] + edges[1:]) / 2)
    color_bar(ax, edges, bands, (scale.norm(np.asarray(places)), texts), metric_label(result, metric))
    handles = draw_paths(ax, paths) + hatch_gaps(ax, values)
    if handles:
        ways = [track(name, path) for name, path in named(paths)]
        ax.legend(handles=handles, loc=free_corner(ax, ways), fontsize=8.5, handlelength=2.8)
    return ax


def describe_contour(
    result: Slice,
    paths: Paths | None = None,
    *,
    metric: str = "loss",
    log: bool | None = None,
    clip: Clip = None,
) -> str:
    """In words: where the plane is lowest, its range, what is clipped or missing, and where each path goes.

    Args:
        result: What was drawn by `plot_contour` or `plot_surface`.
        paths: As drawn.
        metric: As drawn.
        log: As drawn.
        clip: As drawn.

    Returns:
        Alternative text.

    Raises:
        ValueError: As `plot_contour`.

    Example:
        >>> axis = np.linspace(-1, 1, 3)
        >>> describe_contour(Slice(axis, axis, axis**2 + axis[:, None] ** 2 + 1))
        'Loss over the plane of a and b, 3 × 3 points. It is lowest at (0, 0) with 1; the highest value is 3.'
    """
    values = plane(result, metric)
    scale = scale_for(values, metric, log, clip)
    a, b = result.axes
    window = (a[0], a[-1], b[0], b[-1])
    return " ".join(
        [
            f"{metric.capitalize()} over the plane of {result.labels[0]} and {result.labels[1]}, "
            f"{values.shape[1]} × {values.shape[0]} points.",
            describe_values(result, values, metric, scale),
            describe_paths(paths, window),
        ]
    ).strip()


def describe_values(result: Slice, values: np.ndarray, metric: str, scale: Scale) -> str:
    """Where the best value is, the range, what was clipped, and how many points are gaps."""
    finite = values[np.isfinite(values)]
    place = ", ".join(number(coordinate) for coordinate in lowest_at(result, values, metric))
    place = place if result.b is None else f"({place})"
    best, other = (finite.min(), finite.max()) if metric == "loss" else (finite.max(), finite.min())
    words = ("lowest", "highest") if metric == "loss" else ("highest", "lowest")
    edge = " on the edge of the slice" if _on_edge(result, values, metric) else ""
    parts = [f"It is {words[0]} at {place}{edge} with {number(best)}; the {words[1]} value is {number(other)}"]
    parts.append(", on a logarithmic scale." if scale.log else ".")
    for count, sign, end in ((scale.below, "below", scale.levels[0]), (scale.above, "above", scale.levels[-1])):
        if count:
            parts.append(f" {count} {_points(count)} {sign} {number(end)} {_are(count)} drawn as that.")
    gaps = values.size - finite.size
    if gaps:
        parts.append(f" {gaps} {_points(gaps)} {_are(gaps)} not finite and left out.")
    return "".join(parts)


def _points(count: int) -> str:
    return "point" if count == 1 else "points"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _on_edge(result: Slice, values: np.ndarray, metric: str) -> bool:
    """Whether the best value may lie outside the slice."""
    best = lowest_at(result, values, metric)
    return any(place in (axis[0], axis[-1]) for axis, place in zip(result.axes, best, strict=True))


def metric_of(result: Slice, metric: str) -> np.ndarray:
    """The values of a slice by name."""
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r} is unknown: choose one of {', '.join(METRICS)}")
    values = getattr(result, metric)
    if values is None:
        raise ValueError("the slice holds no accuracy: make it with accuracy=True")
    return np.asarray(values, dtype=np.float64)


def scale_for(values: np.ndarray, metric: str, log: bool | None, clip: Clip) -> Scale:
    """The scale of a metric: shares of samples are linear unless asked otherwise."""
    return scale_of(values, log=False if log is None and metric == "accuracy" else log, clip=clip)


def metric_label(result: Slice, metric: str) -> str:
    """What the values are called, with their unit: a cross-entropy is in nats."""
    if metric == "accuracy":
        return "accuracy (share of samples)"
    loss = str(result.settings.get("loss", "")).lower().replace("_", "")
    return "loss (nats)" if "crossentropy" in loss or "nll" in loss else "loss (mean over samples)"


def plane(result: Slice, metric: str) -> np.ndarray:
    """The values of a slice over two directions, shape (ny, nx)."""
    if result.b is None:
        raise ValueError("the slice has one direction: draw it with plot_profile, or make one with slice_2d")
    return metric_of(result, metric)


def lowest_at(result: Slice, values: np.ndarray, metric: str) -> tuple[float, ...]:
    """Coordinates of the lowest loss, or the highest accuracy, on the grid."""
    finite = np.where(np.isfinite(values), values if metric == "loss" else -values, np.inf)
    place = np.unravel_index(int(np.argmin(finite)), values.shape)
    return tuple(float(axis[i]) for axis, i in zip(result.axes, place[::-1], strict=True))


def label_directions(ax: Axes, result: Slice) -> None:
    """Axis labels of a plane."""
    ax.set(xlabel=along(result.labels[0]), ylabel=along(result.labels[1]))


def along(label: str) -> str:
    """The label of an axis: a coordinate counts lengths of its direction."""
    return f"along {label} (× its length)"


def free_corner(ax: Axes, ways: Sequence[np.ndarray]) -> Corner:
    """The corner that holds the fewest points of the paths; matplotlib's own search takes 20 ms more."""
    points = np.concatenate([np.empty((0, 2)), *ways])
    x, y = ax.transAxes.inverted().transform(ax.transData.transform(points)).T
    seen = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    x, y = x[seen], y[seen]
    corners: dict[Corner, np.ndarray] = {
        "upper left": (x < 0.5) & (y > 0.65),
        "lower left": (x < 0.5) & (y < 0.35),
        "lower right": (x > 0.5) & (y < 0.35),
        "upper right": (x > 0.5) & (y > 0.65),
    }
    return min(corners, key=lambda corner: int(corners[corner].sum()))
