"""Figures of the rank-one Fisher matrix: residuals, cancellation, spectrum, step length, cost."""

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes

from sofim_lab.curvature import CancellationRow, DerivationLine, SolveTime
from sofim_lab.curvature.step_lengths import longest_step, step_lengths
from sofim_lab.plots.style import Style, log_x, log_y, look, new_axes, set_title

_FLOOR = 1e-18  # where an exact zero is drawn on a logarithmic axis


def plot_derivation(lines: Sequence[DerivationLine], eps: float, ax: Axes | None = None) -> Axes:
    """The relative error of each line, from exact (left) to no correct digit (1, right).

    Args:
        lines: From `derivation_residuals`.
        eps: Unit round-off of the dtype, drawn as a line for comparison.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes(width=8.8, height=3.4)[0]
    good, bad = look(0), look(1)
    places = list(range(len(lines)))[::-1]
    for place, line in zip(places, lines, strict=True):
        shown = line.residual if math.isfinite(line.residual) else 1e9
        style = good if shown < 1e3 * eps else bad
        value = min(max(shown, _FLOOR), 1e9)
        ax.plot([_FLOOR, value], [place, place], color=style.color, linewidth=2, alpha=0.45)
        ax.plot([value], [place], style.marker, color=style.color, markersize=8)
        ax.annotate(f"{line.residual:.0e}", (value, place), (8, -4), textcoords="offset points", fontsize=9)
    ax.axvline(eps, color="0.35", linestyle="--", linewidth=1)
    ax.axvline(1.0, color="0.35", linestyle=":", linewidth=1)
    small: Style = {"textcoords": "offset points", "fontsize": 8, "color": "0.25"}
    ax.annotate("round-off", (eps, len(lines) - 0.45), (-3, -2), ha="right", **small)
    ax.annotate("no digit left", (1.0, len(lines) - 0.45), (3, -2), **small)
    log_x(ax)
    ax.set_xlim(_FLOOR, 1e12)
    ax.set_ylim(-0.6, len(lines) - 0.1)
    ax.set_yticks(places, [f"{line.statement}   {line.label}" for line in lines])
    ax.set_xlabel("relative error of the line")
    ax.figure.subplots_adjust(left=0.48)
    return ax


def plot_cancellation(rows: Sequence[CancellationRow], ax: Axes | None = None) -> Axes:
    """Relative error of the three ways to write F⁻¹m, against ρ.

    Args:
        rows: From `cancellation_table`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes()[0]
    rhos = [row.rho for row in rows]
    for index, (name, label) in enumerate(
        [("textbook", "textbook"), ("guarded", "textbook, guarded by 1e−8"), ("collapsed", "collapsed: m/(ρ + ‖m‖²)")]
    ):
        errors = [max(getattr(row, name), _FLOOR) for row in rows]
        ax.plot(rhos, errors, label=label, **look(index).line())
    ax.axhline(1.0, color="0.35", linestyle=":", linewidth=1)
    ax.annotate("no digit left", (max(rhos), 1.0), (0, 3), textcoords="offset points", ha="right", fontsize=8)
    ax.set(xlabel="ρ", ylabel="relative error of F⁻¹m")
    log_x(ax)
    log_y(ax)
    ax.legend(loc="best")
    return ax


def describe_cancellation(rows: Sequence[CancellationRow]) -> str:
    """In words: the worst error of the collapsed form, and where the other two have lost all digits."""
    worst = max(row.collapsed for row in rows)

    def lost(name: str) -> str:
        rhos = [row.rho for row in rows if not getattr(row, name) < 1]
        return f"has no correct digit left from ρ = {max(rhos):.0e} down" if rhos else "keeps some digits throughout"

    return (
        f"Relative error of three ways to write F⁻¹m against ρ. The collapsed form is off by {worst:.1e} at most; the "
        f"textbook form {lost('textbook')}; with the guard it {lost('guarded')}."
    )


def plot_spectrum(eigenvalues: torch.Tensor, ax: Axes | None = None) -> Axes:
    """All eigenvalues of a positive matrix in ascending order, on a logarithmic scale.

    Args:
        eigenvalues: Shape (d,), ascending, positive.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    values = eigenvalues.detach().double().cpu().tolist()
    ax.plot(range(1, len(values) + 1), values, "o", color=look(0).color, markersize=4)
    ax.plot([len(values)], values[-1:], look(1).marker, color=look(1).color, markersize=8)
    beside: Style = {"textcoords": "offset points"}
    ax.annotate(f"ρ + ‖m‖² = {values[-1]:.3g}", (len(values), values[-1]), (-9, -3), ha="right", **beside)
    ax.annotate(f"ρ = {values[0]:.3g}, {len(values) - 1} times", (1, values[0]), (0, 8), **beside)
    ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue of F")
    log_y(ax)
    set_title(ax, f"spectrum of F, condition number {values[-1] / values[0]:.3g}")
    return ax


def plot_step_length(norm: float, rho: float, lr: float = 1.0, ax: Axes | None = None) -> Axes:
    """Length of SOFIM's step η‖m‖/(ρ + ‖m‖²) against ‖m‖, its bound η/(2√ρ), and where we are.

    Args:
        norm: ‖m‖ of the marked point.
        rho: ρ > 0.
        lr: Learning rate η.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    norms = torch.logspace(-3, 3, 121, dtype=torch.float64)
    ax.plot(norms.tolist(), step_lengths(norms, lr, rho)["SOFIM"].tolist(), color=look(0).color, linewidth=2)
    bound = longest_step(lr, rho)
    ax.axhline(bound, color=look(1).color, linestyle="--", label=f"bound η/(2√ρ) = {bound:.3g}")
    here = float(step_lengths(torch.tensor(norm, dtype=torch.float64), lr, rho)["SOFIM"])
    ax.plot([norm], [here], look(1).marker, color=look(1).color, markersize=8, label="this step")
    ax.set(xlabel="‖m‖", ylabel="length of the step")
    log_x(ax)
    log_y(ax)
    set_title(ax, "step length against the size of m")
    ax.legend(loc="lower center")
    return ax


def plot_cost(times: Sequence[SolveTime], ax: Axes | None = None) -> Axes:
    """Seconds for F⁻¹v against d: the dense solve and the O(d) formula.

    Args:
        times: From `solve_times`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes()[0]
    dense = [(time.d, time.seconds_dense) for time in times if time.seconds_dense is not None]
    ax.plot(*zip(*dense, strict=True), label="dense solve, O(d³)", **look(1).line())
    ax.plot([t.d for t in times], [t.seconds_rank_one for t in times], label="Sherman–Morrison, O(d)", **look(0).line())
    ax.set(xlabel="number of parameters d", ylabel="seconds for one solve")
    log_x(ax)
    log_y(ax)
    ax.legend(loc="best")
    return ax


def describe_cost(times: Sequence[SolveTime]) -> str:
    """In words: how much faster the O(d) formula is where the dense solve stops, and how far it goes on."""
    last, dense = [(time, time.seconds_dense) for time in times if time.seconds_dense is not None][-1]
    ratio = dense / last.seconds_rank_one
    return (
        f"Seconds for one solve against d, both scales logarithmic. The dense solve is the steeper curve; at d = "
        f"{last.d:,}, where it stops, the O(d) formula is {ratio:,.0f} times faster. "
        f"At d = {times[-1].d:,} the formula takes {1e3 * times[-1].seconds_rank_one:.2g} ms."
    )
