"""Figures of training on several workers: parts of m, clients' mixtures of classes, rounds, and the privacy account."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from sofim_lab.distributed import Parts
from sofim_lab.federated import composed_mu, gaussian_epsilon
from sofim_lab.plots.style import Look, few_ticks, log_x, log_y, look, looks_of, new_axes
from sofim_lab.training import TrainingResult

_LOOKS = {  # a server looks alike in all figures of a lesson
    "SOFIM, momentum": 0,
    "FedAvg": 1,
    "FedAdam": 2,
    "averaged momentum": 3,
    "SOFIM, gradient": 4,
    "SOFIM, warm-up": 5,
    "FedAvgM": 5,  # never beside the warm-up
    "without privacy": 6,
}


def plot_parts(parts: Parts, axes: Sequence[Axes] | None = None) -> Axes:
    """Left ‖m_r‖² of each worker beside ‖m‖²; right how much too long its part of a step would be on its own norm.

    Args:
        parts: From `sofim_lab.distributed.cut`.
        axes: Two axes; new ones by default.

    Returns:
        The first of the axes.
    """
    left, right = axes or new_axes(2, width=9.6, height=3.4)
    workers = range(len(parts.squares))
    left.bar(workers, parts.squares.tolist(), color=look(0).color, label="own part, ‖$m_r$‖²")
    left.axhline(parts.total, color=look(1).color, linestyle="--", label=f"all, ‖m‖² = {parts.total:.3g}")
    left.axhline(parts.rho, color="0.4", linestyle=":", label=f"ρ = {parts.rho:.3g}")
    left.set(xlabel="worker", ylabel="squared norm", ylim=(0, 1.45 * max(parts.total, parts.rho)))
    right.bar(workers, parts.stretch.tolist(), color=look(2).color)
    right.axhline(1, color=look(1).color, linestyle="--")
    right.set(xlabel="worker", ylabel="own step / right step", ylim=(0, 1.15 * float(parts.stretch.max())))
    for ax in (left, right):
        ax.set_xticks(list(workers))
    left.legend(loc="upper right")
    return left


def describe_parts(parts: Parts) -> str:
    """In words: the norms, and what the workers would do wrong."""
    shares = parts.squares / parts.total
    return (
        f"m cut among {len(shares)} workers, ρ = {parts.rho:.3g}. ‖m‖² = {parts.total:.3g}; a worker's own part has "
        f"{100 * float(shares.min()):.0f} to {100 * float(shares.max()):.0f} % of it. With the norm of its own part "
        f"alone, a worker's part of the step would be {float(parts.stretch.min()):.3g} to "
        f"{float(parts.stretch.max()):.3g} times as long as it should be."
    )


def plot_mixtures(counts: Tensor, ax: Axes | None = None) -> Axes:
    """A heat map with a column for each client: what share of its samples each class has.

    Args:
        counts: Samples of each class, shape (clients, classes), from `class_counts`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.
    """
    ax = ax or new_axes(width=7.0)[0]
    image = (counts.double() / counts.sum(dim=1, keepdim=True)).T.cpu().numpy()
    shown = ax.imshow(image, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1)
    ax.grid(visible=False)
    bar = ax.figure.colorbar(shown, ax=ax, ticks=[0, 0.5, 1])
    bar.set_label("share of the client's samples")
    ax.set(xlabel="client", ylabel="class")
    ax.set_yticks(range(0, counts.shape[1], 3))
    few_ticks(ax.xaxis)
    return ax


def describe_mixtures(counts: Tensor) -> str:
    """In words: how many clients and samples, how large the largest class of a client is."""
    sizes = counts.sum(dim=1)
    largest = (counts.max(dim=1).values / sizes).double()
    return (
        f"Heat map of {len(counts)} clients with {int(sizes.min())} to {int(sizes.max())} samples each: share of each "
        f"class in a client's samples. The largest class of a client has {100 * float(largest.median()):.0f} % of them "
        f"in the median, {100 * float(largest.max()):.0f} % at most."
    )


def plot_rounds(
    runs: Sequence[TrainingResult], ax: Axes | None = None, *, target: float | None = None, lowest: float = 0.0
) -> Axes:
    """Validation accuracy after each round, one curve a run.

    Args:
        runs: From `federate`.
        ax: Axes to draw into; new ones by default.
        target: An accuracy at which a line is drawn.
        lowest: The accuracy at the foot of the axes: above 0 to tell apart curves that end close together.

    Returns:
        The axes.
    """
    ax = ax or new_axes()[0]
    for place, (own, run) in enumerate(zip(_looks([run.name for run in runs]), runs, strict=True)):
        x, y = zip(*((record.epoch, record.val_accuracy) for record in run.epochs), strict=True)
        every = max(1, len(x) // 6)
        style = own.line(markevery=(place % every, every), markeredgewidth=0)  # no marker hides another one
        ax.plot(x, y, **style, label=run.name + " (diverged)" * run.diverged)
    if target is not None:
        ax.axhline(target, color="0.4", linestyle=":", label=f"target {target:g}")
    ax.set(xlabel="round", ylabel="validation accuracy", ylim=(lowest, 1))
    few_ticks(ax.xaxis)
    ax.legend(loc="lower right")
    return ax


def _looks(names: Sequence[str]) -> list[Look]:
    """The looks of the servers, or free ones where a name is unknown or two would look alike."""
    places = [_LOOKS.get(name) for name in names]
    if None in places or len(set(places)) < len(places):
        return looks_of(names)
    return [look(place) for place in places if place is not None]


def describe_rounds(runs: Sequence[TrainingResult]) -> str:
    """In words: the last validation accuracy of each run, best first."""
    ranked = sorted(runs, key=lambda run: -run.final.val_accuracy)
    words = "; ".join(f"{run.name} {run.final.val_accuracy:.3f}" + " (diverged)" * run.diverged for run in ranked)
    return f"Validation accuracy over {max(run.final.epoch for run in runs)} rounds. At the end, best first: {words}."


def plot_budget(noises: Sequence[float], delta: float, rounds: int, ax: Axes | None = None) -> Axes:
    """ε against the number of releases, one curve for each noise multiplier.

    Args:
        noises: Noise multipliers σ > 0.
        delta: δ in (0, 1).
        rounds: The last number of releases.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.
    """
    ax = ax or new_axes(width=7.2)[0]
    releases = sorted({round(float(x)) for x in torch.logspace(0, torch.tensor(float(rounds)).log10().item(), 40)})
    for index, noise in enumerate(noises):
        own = look(index)
        spent = [gaussian_epsilon(delta, composed_mu(noise, number)) for number in releases]
        ax.plot(releases, spent, color=own.color, linestyle=own.linestyle, linewidth=2, label=f"σ = {noise:.3g}")
    log_x(ax)
    log_y(ax)
    ax.set(xlabel="rounds T", ylabel="ε spent")
    ax.legend(loc="upper left")
    return ax


def describe_budget(spent: Mapping[float, float], delta: float, rounds: int) -> str:
    """In words: ε after the last round for each noise multiplier."""
    words = ", ".join(f"{epsilon:.3g} with σ = {noise:.3g}" for noise, epsilon in spent.items())
    return (
        f"ε against the number of rounds at δ = {delta:g}, both logarithmic; it grows a little faster than √T. "
        f"After {rounds} rounds: {words}."
    )
