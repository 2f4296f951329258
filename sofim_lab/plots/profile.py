"""The loss along a line: slices over one direction, and the barrier between two minima."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from sofim_lab.landscape.barrier import Barrier
from sofim_lab.landscape.result import Slice
from sofim_lab.plots.color_bar import HATCH
from sofim_lab.plots.landscape import along, describe_values, metric_label, metric_of, scale_for
from sofim_lab.plots.scale import Clip, Scale, number, scale_of
from sofim_lab.plots.style import few_ticks, label_of, log_y, look, looks_of, new_axes

Slices = Slice | Mapping[str, Slice]


def plot_profile(
    slices: Slices, ax: Axes | None = None, *, metric: str = "loss", log: bool | None = None, clip: Clip = None
) -> Axes:
    """The loss along a direction, one curve a slice; a dot marks each slice's origin.

    A curve has a gap where it is not finite, and the gap is hatched.

    Args:
        slices: A slice over one direction, or several by name; a registered optimizer's name gives a curve its look.
        ax: Axes to draw into; new ones by default.
        metric: `loss` or `accuracy`.
        log: Logarithmic scale or not; None decides by the values, see `scale_of`.
        clip: Lowest and highest value to be shown, see `scale_of`.

    Returns:
        The axes.

    Raises:
        ValueError: No slice, one over two directions, without that metric or without a finite value.
    """
    curves, scale = _curves(slices, metric, log, clip)
    ax = ax or new_axes()[0]
    drawn: list[Artist] = []
    gaps: list[Patch] = []
    for (name, (line, values)), own in zip(curves.items(), looks_of(list(curves)), strict=True):
        style = own.line(markevery=max(1, len(values) // 10)) if name else {"color": own.color}
        shown = np.where(np.isfinite(values), values, np.nan)
        drawn += ax.plot(line.a, shown, **style, linewidth=1.8, label=label_of(name) or metric)
        if line.a[0] <= 0 <= line.a[-1]:
            start = np.interp(0.0, line.a, values)
            ax.plot([0.0], [start], "o", color="white", markeredgecolor=own.color, markeredgewidth=1.8, zorder=3)
        gaps = _hatch_gaps(ax, line.a, values) or gaps
    first = next(iter(curves.values()))[0]
    if scale.log:
        log_y(ax)
    if clip is not None or scale.above or scale.below:
        ax.set_ylim(scale.levels[0], scale.levels[-1])
    few_ticks(ax.xaxis)
    ax.set(xlabel=along(_along(curves)), xlim=(first.a[0], first.a[-1]), ylabel=metric_label(first, metric))
    if gaps or "" not in curves:
        ax.legend(handles=drawn + gaps[:1], loc="best")
    return ax


def describe_profile(slices: Slices, *, metric: str = "loss", log: bool | None = None, clip: Clip = None) -> str:
    """In words: where each curve is lowest, its value at the origin, its range and its gaps.

    Args:
        slices: As drawn by `plot_profile`.
        metric: As drawn.
        log: As drawn.
        clip: As drawn.

    Returns:
        Alternative text.

    Raises:
        ValueError: As `plot_profile`.

    Example:
        >>> axis = np.linspace(-1, 1, 3)
        >>> describe_profile(Slice(axis, None, axis**2 + 1, labels=("the gradient",)))
        'Loss along the gradient, 3 points. It is lowest at 0 with 1; the highest value is 2. At the origin it is 1.'
    """
    curves, scale = _curves(slices, metric, log, clip)
    first = next(iter(curves.values()))[0]
    sentences = [f"{metric.capitalize()} along {_along(curves)}, {len(first.a)} points."]
    for name, (line, values) in curves.items():
        own = Scale(scale.levels, scale.log, *scale.outside(values))
        who = f"{label_of(name)}: " if name else ""
        sentences.append(f"{who}{_capital(describe_values(line, values, metric, own), not name)}")
        if line.a[0] <= 0 <= line.a[-1]:
            sentences.append(f"At the origin it is {number(float(np.interp(0.0, line.a, values)))}.")
    return " ".join(sentences)


def plot_barrier(result: Barrier, ax: Axes | None = None, *, log: bool | None = None) -> Axes:
    """The loss on the straight line from A to B, the chord between its ends, and the height of the barrier.

    Args:
        result: From `barrier`.
        ax: Axes to draw into; new ones by default.
        log: Logarithmic scale or not (the chord is bent then); None decides by the values, see `scale_of`.

    Returns:
        The axes.

    Raises:
        ValueError: No finite value.
    """
    scale = scale_of(result.loss, log=log)
    ax = ax or new_axes()[0]
    own, beside = look(0), look(1)
    chord = result.loss - result.excess
    ax.plot(result.t, result.loss, color=own.color, linewidth=2, label="loss on the line")
    ax.plot(result.t, chord, color="0.35", linestyle="--", linewidth=1.2, label="between the ends")
    ax.plot(result.t[[0, -1]], result.loss[[0, -1]], "o", color=own.color, markersize=7)
    _hatch_gaps(ax, result.t, result.loss)
    if scale.log:
        log_y(ax)
    if math.isfinite(result.height) and result.height > 0:
        foot, top = (float(np.interp(result.where, result.t, curve)) for curve in (chord, result.loss))
        ax.annotate(
            "",
            (result.where, top),
            (result.where, foot),
            arrowprops={"arrowstyle": "<->", "color": beside.color, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0},
        )
        middle = math.sqrt(foot * top) if scale.log else (foot + top) / 2
        ax.annotate(
            f"barrier {number(result.height)}",
            (result.where, middle),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=beside.color,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},  # it may cross the curve
        )
    ax.set(xlim=(-0.03, 1.03), ylabel=metric_label(result.slice, "loss"))
    ax.set_xlabel("share of the way from A to B")
    few_ticks(ax.xaxis)
    low, high = ax.get_ylim()  # a row for the legend, above all that is drawn
    ax.set_ylim(low, high * (high / low) ** 0.16 if scale.log else high + 0.16 * (high - low))
    ax.legend(loc="upper center", ncols=2, fontsize=8.5)
    return ax


def describe_barrier(result: Barrier) -> str:
    """In words: the losses of both ends, how high the barrier is and where."""
    ends = f"Loss on the straight line from A ({number(result.loss[0])}) to B ({number(result.loss[-1])})."
    if math.isnan(result.height):
        return f"{ends} An end is not finite, so that no barrier can be told."
    if math.isinf(result.height):
        gaps = int((~np.isfinite(result.loss)).sum())
        return (
            f"{ends} {gaps} of {len(result.t)} points are not finite, the first at {number(result.where)} of the way."
        )
    if result.height == 0:
        return f"{ends} It nowhere rises above the chord between the ends: there is no barrier."
    top = float(np.interp(result.where, result.t, result.loss))
    return (
        f"{ends} It rises {number(result.height)} above the chord between the ends, most at "
        f"{number(result.where)} of the way, where it is {number(top)}."
    )


def _curves(
    slices: Slices, metric: str, log: bool | None, clip: Clip
) -> tuple[dict[str, tuple[Slice, np.ndarray]], Scale]:
    """Slices by name with their values, and the scale that they share; one alone has no name."""
    given = dict(slices) if isinstance(slices, Mapping) else {"": slices}
    if not given:
        raise ValueError("slices is empty: give a slice over one direction, or several by name")
    for name, line in given.items():
        if line.b is not None:
            raise ValueError(f"slice {name!r} has two directions: draw it with plot_contour, or make one with slice_1d")
    curves = {name: (line, metric_of(line, metric)) for name, line in given.items()}
    return curves, scale_for(np.concatenate([values for _, values in curves.values()]), metric, log, clip)


def _along(curves: dict[str, tuple[Slice, np.ndarray]]) -> str:
    """What the curves lie along: the direction, where they share one."""
    labels = {line.labels[0] for line, _ in curves.values()}
    return labels.pop() if len(labels) == 1 else "the direction"


def _hatch_gaps(ax: Axes, places: np.ndarray, values: np.ndarray) -> list[Patch]:
    """Hatch, and return for the legend, each run of values that are not finite, up to its finite neighbours."""
    missing = np.concatenate([[False], ~np.isfinite(values), [False]]).astype(int)
    begins, ends = np.nonzero(np.diff(missing) == 1)[0], np.nonzero(np.diff(missing) == -1)[0]
    spans: list[Patch] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        left, right = places[max(begin - 1, 0)], places[min(end, len(places) - 1)]
        spans.append(ax.axvspan(left, right, zorder=0, label="not finite", **HATCH))
    return spans


def _capital(text: str, needed: bool) -> str:
    """The sentence as the first of a text, or after a colon."""
    return text if needed else text[0].lower() + text[1:]
