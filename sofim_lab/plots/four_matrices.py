"""Figures of the four curvature matrices: tiles on one scale, spectra, and distances along training and over draws."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from sofim_lab.curvature.four_matrices import NAMES, FourMatrices
from sofim_lab.plots.matrix import plot_matrix
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import Style, few_ticks, log_x, log_y, look, new_axes, set_title

SYMBOLS = {"fisher": "F", "ggn": "G", "hessian": "H", "empirical": "Ê"}
WORDS = {
    "fisher": "Fisher matrix F",
    "ggn": "Gauss–Newton matrix G",
    "hessian": "Hessian H",
    "empirical": "empirical FIM Ê",
}
_DECADES = 6  # of a spectrum, from the largest eigenvalue down
_SPAN = 30.0  # from this ratio of the largest to the smallest value on, a scale is logarithmic
_TICKS = 8  # up to so many numbers each has its tick
_FLOOR = 1e-9  # eigenvalues below this part of the largest are rounding and are not drawn


def percent(share: float) -> str:
    """A share in per cent, with two digits at least: 140 %, 7.3 %, 2.2 × 10⁻¹³ %."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{number(100 * share, 2)} %"


def plot_tiles(four: FourMatrices, other: str, ax: Axes | None = None) -> Axes:
    """F, G, H and Ê as tiles on one scale of colours, with the difference of one of them to F.

    Args:
        four: From `four_matrices`.
        other: Which is compared with F: `ggn`, `hessian` or `empirical`.
        ax: Axes to draw into, white at their right; new ones by default.

    Returns:
        The axes.
    """
    if ax is None:
        ax = new_axes(width=6.4, height=4.0)[0]
        ax.figure.subplots_adjust(left=0.02, right=0.8, bottom=0.03)
    tiles = [(SYMBOLS[name], getattr(four, name)) for name in NAMES]
    tiles.append((f"{SYMBOLS[other]} − F", getattr(four, other) - four.fisher))
    d, gap, above = four.d, max(2, four.d // 20), max(3, four.d // 5)
    sheet = torch.zeros(2 * (above + d), 3 * d + 2 * gap, dtype=torch.float64)
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    corners = [(row * (above + d) + above, column * (d + gap)) for row, column in places]
    for (top, left), (_, matrix) in zip(corners, tiles, strict=True):
        sheet[top : top + d, left : left + d] = matrix
    plot_matrix(sheet, ax, log=True)
    for (top, left), (name, _) in zip(corners, tiles, strict=True):
        ax.add_patch(Rectangle((left + 0.5, top + 0.5), d, d, fill=False, edgecolor="0.4", linewidth=0.8, zorder=3))
        ax.text(left + d / 2, top - 0.1 * above, name, ha="center", va="bottom", fontsize=10, fontweight="bold")
    words = (
        f"{SYMBOLS[other]} against F\n\ndistance\n{percent(four.distance(other))} of ‖F‖\n\n"
        f"cosine {four.cosine(other):.2f}\n\ntrace {number(four.trace_ratio(other), 2)} tr F"
    )
    ax.text(2.5 * d + 2 * gap, 2 * above + 1.5 * d, words, ha="center", va="center", fontsize=9)
    ax.set_axis_off()
    return ax


def plot_spectra(spectra: Mapping[str, Tensor], ax: Axes | None = None) -> Axes:
    """Several spectra by falling magnitude on a logarithmic scale; eigenvalues below zero are hollow.

    Args:
        spectra: Label to eigenvalues, shape (d,); what is rounding beside the largest of all is left out.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    top = max(float(values.abs().max()) for values in spectra.values())
    for index, (label, values) in enumerate(spectra.items()):
        own, size = look(index), 6.5 - 1.5 * index
        values = values.double()[values.abs() > _FLOOR * top]
        values = values[values.abs().argsort(descending=True)]
        ranks = torch.arange(1, len(values) + 1)
        for sign, fill, note in ((1, own.color, ""), (-1, "white", ", below zero")):
            some = values.sign() == sign
            if bool(some.any()):
                style: Style = {"color": own.color, "markerfacecolor": fill, "markersize": size, "linestyle": "none"}
                words = f"{label}{note} ({int(some.sum())})"
                ax.plot(ranks[some].tolist(), values[some].abs().tolist(), own.marker, **style, label=words)
    ax.set_ylim(top * 10.0**-_DECADES, 3 * top)
    log_y(ax)
    few_ticks(ax.xaxis)
    ax.set(xlabel="rank by magnitude", ylabel="|eigenvalue|")
    ax.legend(loc="upper right", fontsize=8)
    return ax


def plot_over_steps(curves: Mapping[str, Mapping[int, float]], ylabel: str, ax: Axes | None = None) -> Axes:
    """A quantity at the kept steps of several training runs, which stand at equal distances.

    Args:
        curves: Label to a table from steps to values, positive.
        ylabel: What the values are.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for index, (label, table) in enumerate(curves.items()):
        ax.plot(range(len(table)), list(table.values()), label=label, **look(index).line())
    steps = list(next(iter(curves.values())))
    ax.set_xticks(range(len(steps)), [f"{step:,}" for step in steps])
    ax.set(xlabel="training step", ylabel=ylabel)
    _scale_y(ax, [value for table in curves.values() for value in table.values()])
    ax.legend(loc="best", fontsize=8.5)
    return ax


def plot_label_distances(
    numbers: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    xlabel: str,
    mark: float | None = None,
    goal: float | None = None,
) -> Axes:
    """Distances to F against a number of draws or of samples, which is on a logarithmic scale.

    Args:
        numbers: The draws or samples, ascending.
        curves: Label to one distance for each number, in units of ‖F‖.
        ax: Axes to draw into; new ones by default.
        xlabel: What the numbers count.
        mark: The number that is chosen now, marked by a line.
        goal: A distance to be reached, marked by a line.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for index, (label, values) in enumerate(curves.items()):
        ax.plot(numbers, values, label=label, **look(index).line())
    if goal is not None:
        ax.axhline(goal, color="0.35", linestyle=":", linewidth=1)
        ax.annotate(
            f"{100 * goal:g} %", (numbers[-1], goal), (0, 3), textcoords="offset points", ha="right", fontsize=8
        )
    if mark is not None:
        ax.axvline(mark, color="0.35", linestyle="--", linewidth=1)
    log_x(ax)
    _scale_y(ax, [value for values in curves.values() for value in values], room=1.5)
    few = len(numbers) <= _TICKS
    if few:
        ax.set_xticks(numbers, [f"{count:,}" for count in numbers])
    ax.set(xlabel=xlabel, ylabel="distance to F / ‖F‖")
    set_title(ax, "how far from F")
    ax.legend(loc="upper center" if few else "lower left", ncol=2 if few else 1, fontsize=8.5)
    return ax


def _scale_y(ax: Axes, values: Sequence[float], room: float = 1.1) -> None:
    """Logarithmic where the values span decades, else linear from zero to a bit above the largest."""
    if max(values) >= _SPAN * min(values):
        log_y(ax)
    else:
        ax.set_ylim(0, room * max(values))
