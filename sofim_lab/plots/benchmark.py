"""Figures of the benchmark: times to target, ratios beside the line they have to stay below, lengths of steps."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sofim_lab.benchmark import Final, Interval, Verdict
from sofim_lab.benchmark.intervals import median_interval
from sofim_lab.benchmark.protocol import MEASURES
from sofim_lab.curvature.step_lengths import longest_step
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import label_of, look, looks_of, new_axes
from sofim_lab.training import Sweep

_STATUS_LOOK = {"supported": 2, "not supported": 3, "undecided": 0}


def plot_times(final: Final, measure: str = "train_loss", ax: Axes | None = None) -> Axes:
    """Epochs to a target: for each optimizer every seed, the median and its interval, the fastest on top.

    Args:
        final: A task after tuning.
        measure: `train_loss`, `test_loss` or `test_accuracy`.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes. Runs that never got there stand beyond the last epoch, behind the dashed line.
    """
    ranked = _ranked(final, measure)
    if ax is None:
        ax = new_axes(height=1.2 + 0.3 * len(ranked))[0]
        ax.figure.subplots_adjust(left=0.36)
    limit = final.task.epochs
    beyond = 1.08 * limit
    looks = looks_of([name for name, _ in ranked])
    for row, ((_, times), own) in enumerate(zip(ranked, looks, strict=True)):
        interval = median_interval(times)
        low, middle, high = (min(end, beyond) for end in (interval.low, interval.estimate, interval.high))
        shift = np.linspace(-0.36, 0.36, len(times))
        ax.plot([low, high], [row, row], color=own.color, linewidth=2.2)
        places = np.minimum(np.sort(times), beyond), row + shift
        dots = ax.plot(*places, "o", color=own.color, markersize=3.6, zorder=2.2)
        dots[0].set(markeredgecolor="white", markeredgewidth=0.4)
        ax.plot([middle], [row], own.marker, color=own.color, markersize=8, markeredgecolor="black", zorder=2.5)
    ax.axvline(limit, color="0.4", linestyle="--", linewidth=1)
    ax.text(1.02 * limit, -0.75, "never", fontsize=8, color="0.3")
    ax.set_yticks(range(len(ranked)), [label_of(name) for name, _ in ranked])
    ax.set(xlim=(0, 1.13 * limit), ylim=(len(ranked) - 0.4, -0.6))
    ax.set_xlabel(f"epochs to {MEASURES[measure]} {final.task.targets[measure]:g}")
    return ax


def describe_times(final: Final, measure: str = "train_loss") -> str:
    """In words: the medians, fastest first, and who never got there."""
    limit = final.task.epochs
    words = []
    for name, times in _ranked(final, measure):
        middle, missed = median_interval(times).estimate, int(np.isinf(times).sum())
        median = f"more than {limit}" if math.isinf(middle) else number(middle)
        words.append(f"{label_of(name)} {median}" + f" ({missed} of {len(times)} seeds never)" * (missed > 0))
    where = f"{MEASURES[measure]} {final.task.targets[measure]:g} on {final.task.title}"
    return f"Epochs to {where}, median over seeds, fastest first: {', '.join(words)}."


def plot_verdicts(judged: Sequence[Verdict], ax: Axes | None = None) -> Axes:
    """One row a claim and data set: the ratio with its interval, beside the threshold it has to stay below.

    Args:
        judged: Verdicts; those without a number are left out.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, ratios on a logarithmic scale; an end of 0 or ∞ is an arrow.

    Raises:
        ValueError: No verdict has a number.
    """
    measured = _measured(judged)
    if ax is None:
        height = 1.3 + 0.27 * len(measured)
        ax = new_axes(width=9.2, height=height)[0]
        ax.figure.subplots_adjust(left=0.56, bottom=0.7 / height, top=1 - 0.5 / height)  # inches, however many rows
    known = [end for _, ratio in measured for end in vars(ratio).values() if 0 < end < math.inf]
    left, right = min([*known, 0.7]) / 1.15, max([*known, 1.4]) * 1.15
    for row, (one, ratio) in enumerate(measured):
        own = look(_STATUS_LOOK[one.status])
        low, high = np.clip([ratio.low, ratio.high], left, right)
        ax.plot([low, high], [row, row], color=own.color, linewidth=2.2)
        for edge, sign, endless in ((left, "<", ratio.low == 0), (right, ">", ratio.high == math.inf)):
            if endless:
                ax.plot([edge], [row], sign, color=own.color, markersize=7, clip_on=False)
        if 0 < ratio.estimate < math.inf:
            ax.plot([ratio.estimate], [row], own.marker, color=own.color, markersize=8, markeredgecolor="black")
        ax.plot([one.claim.threshold] * 2, [row - 0.45, row + 0.45], color="0.3", linestyle="--", linewidth=1.2)
    for status, place in _STATUS_LOOK.items():
        own = look(place)
        ax.plot([], [], own.marker, color=own.color, markeredgecolor="black", linestyle="-", label=status)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ticks = (0.1, 0.2, 0.5, 1, 2, 5, 10) if right > 10 * left else (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)
    ax.set_xticks([tick for tick in ticks if left < tick < right])
    ax.set_yticks(range(len(measured)), [f"{one.claim.text}: {one.data}" for one, _ in measured], fontsize=8)
    ax.tick_params(axis="y", pad=8)  # an arrow at the edge is not to touch the words
    ax.set(xlim=(left, right), ylim=(len(measured) - 0.4, -0.6))
    ax.set_xlabel("SOFIM's over the rival's")
    ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=3, fontsize=8)
    return ax


def describe_verdicts(judged: Sequence[Verdict]) -> str:
    """In words: every ratio with its interval and verdict."""
    words = [f"{one.claim.text}, {one.data}: {ratio}, {one.status}" for one, ratio in _measured(judged)]
    return f"Ratios with 95 % intervals; below the threshold a claim is supported. {'; '.join(words)}."


def plot_step_shares(sweep: Sweep, ax: Axes | None = None) -> Axes:
    """Lengths of SOFIM's steps as shares of the bound η/(2√ρ): a bar a configuration, over its runs.

    Args:
        sweep: Runs of SOFIM in the momentum direction, e.g. those of the tuning.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes: thin from the shortest to the longest step, thick the middle half, a mark at the median. From the
        configuration with the smallest median to the one with the largest.

    Raises:
        ValueError: No run has steps.
    """
    shares = step_shares(sweep)
    ax = ax or new_axes(width=7.2)[0]
    own = look(0)
    for place, row in enumerate(shares.to_numpy()):
        ax.plot([place, place], [max(row[0], 1e-6), row[4]], color=own.color, linewidth=1)
        ax.plot([place, place], [max(row[1], 1e-6), row[3]], color=own.color, linewidth=5, alpha=0.7)
        ax.plot([place], [row[2]], own.marker, color="white", markeredgecolor="black", markersize=5)
    ax.axhline(1.0, color="0.25", linestyle="--", linewidth=1.3, label="the bound η/(2√ρ)")
    ax.set_yscale("log")
    ax.set_xticks([])
    ax.set(xlabel="settings of η, ρ and β, by their median", ylabel="length of a step / bound")
    ax.legend(loc="lower right")
    return ax


def describe_step_shares(sweep: Sweep) -> str:
    """In words: the longest step as a share of the bound, and how far below it the typical ones are."""
    shares = step_shares(sweep)
    return (
        f"Steps of SOFIM under {len(shares)} settings, in units of the bound η/(2√ρ). The longest of all is "
        f"{shares[1.0].max():.4g} of it; median steps run from {number(shares[0.5].min())} to "
        f"{number(shares[0.5].max())}."
    )


def step_shares(sweep: Sweep) -> pd.DataFrame:
    """Quantiles of step lengths over the bound, a row a configuration.

    They are medians over its runs; of the longest step it is the maximum.

    Args:
        sweep: Runs of SOFIM in the momentum direction.

    Returns:
        Columns 0.0, 0.25, 0.5, 0.75 and 1.0, in the order of the median.

    Raises:
        ValueError: No run has steps.
    """
    table = sweep.steps.dropna(subset=[0.5])
    if table.empty:
        raise ValueError("sweep holds no run with steps: give it runs of SOFIM")
    settings = {run["configuration"]: run["settings"] for run in sweep.runs}
    bound = table["configuration"].map(lambda key: longest_step(settings[key]["lr"], settings[key]["rho"]))
    by_settings = table[[0.0, 0.25, 0.5, 0.75, 1.0]].div(bound, axis=0).groupby(table["configuration"])
    shares = by_settings.median()
    shares[1.0] = by_settings.max()[1.0]
    return shares.loc[shares[0.5].sort_values().index]


def _ranked(final: Final, measure: str) -> list[tuple[str, np.ndarray]]:
    """Times by optimizer, fastest median first, ties by the mean of those that arrived."""

    def key(item: tuple[str, np.ndarray]) -> tuple[float, float]:
        arrived = item[1][np.isfinite(item[1])]
        return float(np.median(item[1])), float(arrived.mean()) if len(arrived) else math.inf

    return sorted(final.times(measure).items(), key=key)


def _measured(judged: Sequence[Verdict]) -> list[tuple[Verdict, Interval]]:
    """Those with a number, and the number."""
    found = [(one, one.ratio) for one in judged if one.ratio is not None]
    if not found:
        raise ValueError("no verdict has a number: nothing was run")
    return found
