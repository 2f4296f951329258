"""Figures of lesson 01: maps of two-parameter losses with paths, error curves, basins of attraction."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sofim_lab.plots.paths import draw_ends, draw_track
from sofim_lab.plots.scale import PALE, scale_of
from sofim_lab.plots.style import Look, few_ticks, log_y, look, new_axes
from sofim_lab.problems import Surface
from sofim_lab.training import Basins

_MAP_POINTS = 71
_FLOOR = 1e-16  # where an exact zero is drawn on a logarithmic axis


def plot_map(surface: Surface, paths: Mapping[str, Tensor] | None = None, ax: Axes | None = None) -> Axes:
    """The values of a surface, dark where it is low, its minima (+) and saddles (×), and paths on it.

    Args:
        surface: What to draw, over its window.
        paths: Name to points (T + 1, 2); a path begins at a white dot and ends at its own mark, or at an arrow where
            it leaves the window.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes(width=5.4, height=4.4)[0]
    x, y, values = (item.numpy() for item in surface.grid(_MAP_POINTS))
    values = values - values.min() + 1e-3 * (values.max() - values.min())  # contours on a logarithmic scale
    scale = scale_of(values, log=True, count=14)
    ax.grid(False)
    few_ticks(ax.xaxis, ax.yaxis)
    ax.contourf(x, y, scale.clip(values), scale.levels, cmap=PALE, norm=scale.norm)
    _mark(ax, surface.minima, "+")
    _mark(ax, surface.saddles, "x")
    window = surface.window
    ax.set(xlim=window[:2], ylim=window[2:], xlabel="x", ylabel="y")
    handles = []
    for own, (name, points) in zip(_looks(paths), (paths or {}).items(), strict=True):
        shown = _finite(points)
        draw_track(ax, shown, own)
        draw_ends(ax, shown, own, window)
        handles.append(ax.plot([], [], **own.line(label=name))[0])
    if handles:
        ax.legend(handles=handles, loc="upper right", fontsize=8.5, handlelength=2.8)
    ax.set(xlim=window[:2], ylim=window[2:])
    return ax


def plot_convergence(
    curves: Mapping[str, Sequence[float] | Tensor], ax: Axes | None = None, *, ylabel: str = "distance to the minimum"
) -> Axes:
    """One curve for each run, against the number of steps, on a logarithmic scale; a zero is drawn at 1e−16.

    Args:
        curves: Name to the values at steps 0, 1, 2, …
        ax: Axes to draw into; new ones by default.
        ylabel: What the values are.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for own, (name, values) in zip(_looks(curves), curves.items(), strict=True):
        shown = np.asarray([float(value) for value in values])
        shown = np.where(shown > 0, np.maximum(shown, _FLOOR), np.where(shown <= 0, _FLOOR, np.nan))
        every = max(1, len(shown) // 8)
        ax.plot(range(len(shown)), shown, label=name, **own.line(), markevery=every)
    ax.set(xlabel="step", ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))  # few: see `few_ticks`
    log_y(ax)
    low, high = ax.get_ylim()
    decades = np.log10(high / low)
    if decades > 6:  # six labels at most
        first = int(np.ceil(np.log10(low)))
        every = int(np.ceil(decades / 5))
        ax.set_yticks([10.0**k for k in range(first, int(np.floor(np.log10(high))) + 1, every)])
    ax.legend(loc="best", fontsize=8.5)
    return ax


def describe_convergence(curves: Mapping[str, Sequence[float] | Tensor], what: str = "distance to the minimum") -> str:
    """In words: where each curve begins and ends."""
    parts = [
        f"{name} goes from {float(values[0]):.2g} to {float(values[-1]):.2g} in {len(values) - 1} steps"
        for name, values in curves.items()
    ]
    return f"The {what} against the number of steps, on a logarithmic scale: {'; '.join(parts)}."


def plot_basins(found: Basins, ax: Axes | None = None) -> Axes:
    """Each start in the colour of the point where pure Newton ends; starts that end at a saddle are hatched.

    Args:
        found: From `basins`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes(width=5.4, height=4.4)[0]
    colors = [look(number % 7).color for number in range(len(found.targets))]
    shown = np.ma.masked_equal(found.reached.numpy(), -1)
    ax.grid(False)
    few_ticks(ax.xaxis, ax.yaxis)
    x, y = found.x.numpy(), found.y.numpy()
    ax.pcolormesh(
        x, y, shown, cmap=ListedColormap(colors), vmin=-0.5, vmax=len(colors) - 0.5, alpha=0.55, rasterized=True
    )
    saddles = [number for number, (kind, _) in enumerate(found.targets) if kind == "saddle"]
    at_saddle = np.isin(found.reached.numpy(), saddles).astype(float)
    if at_saddle.any():
        ax.contourf(x, y, at_saddle, [0.5, 1.5], colors="none", hatches=["///"])
    handles = [Patch(facecolor="0.9", edgecolor="0.3", hatch="///", label="ends at a saddle (×)")]
    handles += [Patch(facecolor="0.75", edgecolor="0.3", label="ends at a minimum (+)")]
    if (found.reached == -1).any():
        handles.append(Patch(facecolor="white", edgecolor="0.3", label="at neither"))
    _mark(ax, found.surface.minima, "+")
    _mark(ax, found.surface.saddles, "x")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel="x of the start", ylabel="y of the start")
    ax.legend(handles=handles, loc="upper right", fontsize=8.5)
    return ax


def describe_basins(found: Basins) -> str:
    """In words: which share of the starts ends where."""
    shares = [f"{100 * found.share(kind):.0f} % {words}" for kind, words in (
        ("minimum", "at a minimum"), ("saddle", "at a saddle"), ("elsewhere", "at neither"))]  # fmt: skip
    return f"Where pure Newton ends from each start on the surface {found.surface.name}: {', '.join(shares)}."


def plot_newton_cost(dims: Sequence[int], seconds: Sequence[float], ax: Axes | None = None) -> Axes:
    """Seconds of a dense solve against d, and the slope of d³ through the last point; both scales logarithmic.

    Args:
        dims: Numbers of parameters.
        seconds: One for each.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    ax.plot(dims, seconds, label="dense solve, measured", **look(0).line())
    ideal = [seconds[-1] * (d / dims[-1]) ** 3 for d in dims]
    ax.plot(dims, ideal, label="d³ through the last point", color="0.35", linestyle="--")
    ax.set_xscale("log")
    ax.set_xticks(dims, [f"{d:,}" for d in dims])
    ax.minorticks_off()
    log_y(ax)
    ax.set(xlabel="number of parameters d", ylabel="seconds for one solve")
    ax.legend(loc="upper left")
    return ax


def _looks(named: Mapping[str, object] | None) -> list[Look]:
    """One look for each curve, by its place."""
    return [look(number) for number in range(len(named or {}))]


def _finite(points: Tensor) -> np.ndarray:
    """Points up to the first that is not finite."""
    array = points.detach().double().cpu().numpy()
    finite = np.isfinite(array).all(axis=1)
    return array if finite.all() else array[: max(1, int(np.argmin(finite)))]


def _mark(ax: Axes, points: Sequence[tuple[float, float]], marker: str) -> None:
    """Marks that stand out on dark and on light."""
    for color, width in (("black", 3.4), ("white", 1.6)):
        if points:
            x, y = zip(*points, strict=True)
            ax.plot(x, y, marker, color=color, markersize=9, markeredgewidth=width, zorder=2.5)
