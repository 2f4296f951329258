"""Figures of SOFIM at work: its kin, its path on a surface, its step lengths and its records."""

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes

from sofim_lab.curvature.step_lengths import longest_step, step_lengths
from sofim_lab.optim import Diagnostics
from sofim_lab.plots.style import few_ticks, log_x, log_y, look, new_axes, set_title
from sofim_lab.training import TrainingResult, step_bound
from sofim_lab.training.sofim_path import SofimPath

_KIN = {"constant rate": look(3), "clipped": look(1), "normalised": look(2), "SOFIM": look(0)}


def plot_kin(
    lr: float, rho: float, ax: Axes | None = None, *, rules: Sequence[str] = tuple(_KIN), at: float | None = None
) -> Axes:
    """Length of the step against ‖m‖ for constant rate, clipping, normalisation and SOFIM, matched to each other.

    Args:
        lr: η > 0.
        rho: ρ > 0.
        ax: Axes to draw into; new ones by default.
        rules: Which of the four are drawn.
        at: A ‖m‖ > 0 at which a dot is set on each curve.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes(width=7.2)[0]
    norms = math.sqrt(rho) * torch.logspace(-4, 4, 241, dtype=torch.float64)
    lengths = step_lengths(norms, lr, rho)
    for name in rules:
        own = _KIN[name]
        ax.plot(norms, lengths[name], color=own.color, linestyle=own.linestyle, linewidth=2.2, label=name)
        if at is not None:
            here = float(step_lengths(torch.tensor(at, dtype=torch.float64), lr, rho)[name])
            ax.plot([at], [here], color=own.color, marker=own.marker, markersize=9, linestyle="none")
    ax.axvline(math.sqrt(rho), color="0.4", linestyle=":", linewidth=1)
    ax.annotate(
        "‖m‖ = √ρ", (math.sqrt(rho), lr / math.sqrt(rho) * 0.02), (4, 0), textcoords="offset points", fontsize=9
    )
    log_x(ax)
    log_y(ax)
    ax.set(xlabel="‖m‖", ylabel="length of the step")
    ax.set(xlim=(0.01 * math.sqrt(rho), 100 * math.sqrt(rho)))
    ax.set(ylim=(0.01 * lr / math.sqrt(rho), 20 * lr / math.sqrt(rho)))
    ax.legend(loc="upper left")
    return ax


def describe_kin(lr: float, rho: float) -> str:
    """In words: where the four curves agree and how they part, with their lengths at ‖m‖ = 10 √ρ."""
    far = step_lengths(torch.tensor(10 * math.sqrt(rho), dtype=torch.float64), lr, rho)
    values = ", ".join(f"{name} {float(value):.3g}" for name, value in far.items())
    return (
        f"Length of the step against ‖m‖, both logarithmic, η = {lr:g}, ρ = {rho:g}. For small ‖m‖ constant rate, "
        f"clipping and SOFIM are one line; normalised steps are flat throughout. SOFIM peaks at ‖m‖ = √ρ at the height "
        f"of the normalised steps and falls again beyond, clipping stays there. At ‖m‖ = 10 √ρ: {values}."
    )


def plot_path_lengths(path: SofimPath, ax: Axes | None = None) -> Axes:
    """Length of each step of a path and, for the momentum direction, the bound.

    Args:
        path: From `sofim_path`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, lengths on a logarithmic scale.
    """
    ax = ax or new_axes()[0]
    lengths = path.lengths.clamp(min=1e-6)
    ax.plot(range(1, len(lengths) + 1), lengths, ".-", color=look(0).color, linewidth=1, label="step")
    top = float(lengths.max()) if len(lengths) else 1.0
    if path.bound is not None:
        ax.axhline(path.bound, color=look(1).color, linestyle="--", label=f"bound η/(2√ρ) = {path.bound:.3g}")
        top = max(top, path.bound)
    low = float(lengths.min()) if len(lengths) else 0.1
    ax.set(xlabel="step", ylabel="length of the step", ylim=(0.5 * max(low, 1e-4 * top), 3 * top))
    log_y(ax)
    few_ticks(ax.xaxis)
    ax.legend(loc="lower left")
    return ax


def describe_sofim_path(path: SofimPath) -> str:
    """In words: settings, where it ends, how far from the minimum it stays, its longest step against the bound."""
    known, end = path.settings, path.points[-1].tolist()
    left, right, bottom, top = path.surface.window
    kind, place, _ = path.surface.nearest(path.points[-1])
    inside = left <= end[0] <= right and bottom <= end[1] <= top
    fate = f"ends at ({end[0]:.3g}, {end[1]:.3g})" + ("" if inside else ", outside the picture")
    longest = float(path.lengths.max()) if len(path.lengths) else 0.0
    share = (
        "The gradient direction has no bound" if path.bound is None
        else f"That is {100 * longest / path.bound:.0f} % of the bound {path.bound:.3g}"
    )  # fmt: skip
    return (
        f"SOFIM, {known['direction']} direction, η = {known['lr']:.3g}, ρ = {known['rho']:.3g}, "
        f"β = {known['beta']:g}, noise {path.noise:g}: after {len(path.lengths)} steps the path {fate}, nearest to the "
        f"{kind} at ({place[0]:.3g}, {place[1]:.3g}). In the last ten steps it was up to {path.distance:.2g} away from "
        f"the nearest minimum. Its longest step is {longest:.3g}. {share}."
    )


def plot_batch_losses(runs: Sequence[TrainingResult], ax: Axes | None = None) -> Axes:
    """Loss of each mini-batch, one curve a run, cut off at a hundred nats.

    Args:
        runs: Training results.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, losses on a logarithmic scale.
    """
    ax = ax or new_axes()[0]
    for index, run in enumerate(runs):
        own = look(index)
        losses = [min(step.loss, 100.0) if math.isfinite(step.loss) else 100.0 for step in run.steps]
        ax.plot([step.step for step in run.steps], losses, color=own.color, linestyle=own.linestyle, label=run.name)
    ax.set(xlabel="step", ylabel="mini-batch loss (nats)", ylim=(0.02, 130))
    log_y(ax)
    few_ticks(ax.xaxis)
    ax.legend(loc="upper left")
    return ax


def plot_length_histogram(run: TrainingResult, ax: Axes | None = None) -> Axes:
    """How long the steps of a run were, in bins of equal ratio, with SOFIM's bound.

    Args:
        run: A training result.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, lengths on a logarithmic scale.
    """
    ax = ax or new_axes()[0]
    lengths = torch.tensor([step.step_length for step in run.steps if step.step_length > 0], dtype=torch.float64)
    bound = step_bound(run)
    ends = torch.cat([lengths, torch.tensor([] if bound is None else [bound], dtype=torch.float64)])
    low, high = float(ends.min().log10()), float(ends.max().log10())
    bins = torch.logspace(low - 0.2, high + 0.2, 30, dtype=torch.float64)
    counts, edges = torch.histogram(lengths, bins)
    ax.stairs(counts, edges, fill=True, color=look(0).color)  # one patch: thirty bars cost a widget 20 ms
    if bound is not None:
        ax.axvline(bound, color=look(1).color, linestyle="--", label=f"bound η/(2√ρ) = {bound:.3g}")
        ax.legend(loc="upper left")
    log_x(ax)
    ax.set(xlim=(10 ** math.floor(low - 0.2), 10 ** math.ceil(high + 0.2)), xlabel="length of the step", ylabel="steps")
    return ax


def plot_records(records: Sequence[Diagnostics], lr: float, rho: float, axes: Sequence[Axes] | None = None) -> Axes:
    """What `SOFIM(diagnostics=True)` recorded: ‖m‖, the step's length, and cos∠(g, m), against the step.

    Args:
        records: `optimizer.records` of a run in the momentum direction.
        lr: its η.
        rho: its ρ.
        axes: Three axes; new ones by default.

    Returns:
        The first of the axes.
    """
    first, second, third = axes or new_axes(3, width=11.5, height=3.4)
    steps = range(1, len(records) + 1)
    norms, lengths, cosines = (torch.stack(column).double().cpu() for column in zip(*records, strict=True))
    first.plot(steps, norms, color=look(0).color, linewidth=1)
    first.axhline(math.sqrt(rho), color=look(1).color, linestyle="--", label="√ρ")
    second.plot(steps, lengths, color=look(0).color, linewidth=1)
    second.axhline(longest_step(lr, rho), color=look(1).color, linestyle="--", label="η/(2√ρ)")
    third.plot(steps, cosines, color=look(0).color, linewidth=1)
    third.axhline(0, color="0.4", linewidth=1)
    for ax, name in ((first, "‖m‖"), (second, "length of the step"), (third, "cos∠(g, m)")):
        ax.set_xlabel("step")
        set_title(ax, name)
    for ax, values in ((first, norms), (second, lengths)):
        marks = torch.cat([values[values > 0], torch.tensor(ax.get_lines()[1].get_ydata()).double()]).log10()
        ax.set_ylim(10 ** math.floor(float(marks.min())), 10 ** math.ceil(float(marks.max()) + 0.02))
        log_y(ax)
        ax.legend(loc="lower left")
    return first


def describe_records(records: Sequence[Diagnostics], lr: float, rho: float) -> str:
    """In words: ‖m‖ at first and at last beside √ρ, the longest step beside its bound, the mean cosine."""
    norms, lengths, cosines = (torch.stack(column).double().cpu() for column in zip(*records, strict=True))
    longest, late = float(lengths.max()), norms[-50:]
    return (
        f"Three curves over {len(records)} steps. ‖m‖ begins at {float(norms[0]):.2g} and has the median "
        f"{float(late.median()):.2g} over the last {len(late)} steps, √ρ is {math.sqrt(rho):.2g}. The longest step is "
        f"{longest:.3g}, {100 * longest / longest_step(lr, rho):.0f} % of its bound. The cosine between gradient and "
        f"average begins at {float(cosines[0]):.2g} and is {float(cosines.mean()):.2f} in the mean."
    )
