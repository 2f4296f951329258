"""Figures of training runs: races and step lengths."""

from collections.abc import Iterable

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sofim_lab.plots.overlap import widen_covered
from sofim_lab.plots.style import LINES, label_of, log_y, looks_of, new_axes
from sofim_lab.training import RaceResult, TrainingResult, step_bound

LABELS = {
    "train_loss": "training loss (nats)",
    "val_loss": "validation loss (nats)",
    "test_loss": "test loss (nats)",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
}


_BANDS = {"range": ("pi", 100), "confidence": ("ci", 95), "none": None}


def check_metric(metric: str) -> str:
    """The metric, if an epoch has it."""
    if metric not in LABELS:
        raise ValueError(f"metric={metric!r} is unknown: choose one of {', '.join(LABELS)}")
    return metric


def plot_race(result: RaceResult, metric: str = "train_loss", ax: Axes | None = None, *, band: str = "range") -> Axes:
    """One curve a contestant: the median over its seeds after each epoch, with a band; a covered curve is wider.

    Args:
        result: From `race`.
        metric: `train_loss`, `val_loss`, `test_loss` (logarithmic scale), `train_accuracy`, `val_accuracy` or
            `test_accuracy`; those on the test samples only where `evaluate_on` holds `test`.
        ax: Axes to draw into; new ones by default.
        band: `range` from the lowest seed to the highest; `confidence`, the 95 % interval of the median (percentile
            bootstrap over the seeds, 1000 draws from seed 0), which says little for fewer than five seeds; `none`.

    Returns:
        The axes.

    Raises:
        ValueError: Another metric or band.
    """
    check_metric(metric)
    if band not in _BANDS:
        raise ValueError(f"band={band!r} is unknown: choose one of {', '.join(_BANDS)}")
    ax = ax or new_axes()[0]
    names, looks = result.names, looks_of(result.names)
    if all(len(result[name]) == 1 for name in names):  # nothing to aggregate: a third of the time, for the widgets
        epochs = [result[name][0].epochs for name in names]
        curves = [ax.plot([one.epoch for one in run], [getattr(one, metric) for one in run])[0] for run in epochs]
    else:
        sns.lineplot(
            result.to_frame(),
            x="epoch",
            y=metric,
            hue="name",
            hue_order=names,
            palette={name: own.color for name, own in zip(names, looks, strict=True)},
            estimator="median",
            errorbar=_BANDS[band],
            seed=0,
            ax=ax,
        )
        curves = ax.get_lines()[: len(names)]
    # seaborn has no mixed dash patterns as matplotlib has them: set lines and markers by hand, legend included.
    for own, curve in zip(looks, curves, strict=True):
        curve.set(**own.line(), markeredgewidth=0)
    ax.set(xlabel="epoch", ylabel=LABELS[metric])
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if metric.endswith("loss"):
        log_y(ax)
    widen_covered(ax, curves)
    ax.legend(curves, [label_of(name) + " (diverged)" * _diverged(result, name) for name in names])
    return ax


def describe_race(result: RaceResult, metric: str = "train_loss") -> str:
    """In words: the last median of each contestant, best first, and who diverged."""
    table = result.summary()[check_metric(metric)].sort_values(ascending=metric.endswith("loss"))
    ranking = ", ".join(f"{label_of(str(name))} {value:.3g}" for name, value in table.items())
    diverged = [label_of(name) for name in result.names if _diverged(result, name)]
    fate = f" Diverged: {', '.join(diverged)}." if diverged else ""
    epochs = max(run.final.epoch for run in result)
    span = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    return f"{LABELS[metric].capitalize()} over {span}. After the last one, best first: {ranking}.{fate}"


def plot_step_lengths(runs: Iterable[TrainingResult], ax: Axes | None = None) -> Axes:
    """Length of every step of each run; for SOFIM also its bound η/(2√ρ).

    Args:
        runs: Training results; runs of SOFIM have `lr`, `rho` and `direction` in their settings.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, lengths on a logarithmic scale.
    """
    if ax is None:
        ax = new_axes(width=8.4)[0]
        ax.figure.subplots_adjust(right=0.74)  # the legend stands beside the curves
    runs = list(runs)
    for index, (run, own) in enumerate(zip(runs, looks_of([run.name for run in runs]), strict=True)):
        color = own.color
        taken = [step for step in run.steps if step.step_length > 0]
        ax.plot(
            [s.step for s in taken],
            [s.step_length for s in taken],
            color=color,
            linewidth=0.8,
            label=label_of(run.name),
        )
        bound = step_bound(run)
        if bound is not None:
            dashes = LINES[1 + index % 3]
            ax.axhline(bound, color=color, linestyle=dashes, linewidth=1.5, label=f"its bound {bound:.3g}")
    ax.set(xlabel="step", ylabel="length of the step ‖Δw‖")
    log_y(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax


def describe_step_lengths(runs: Iterable[TrainingResult]) -> str:
    """In words: the longest step of each run, for SOFIM as a share of its bound."""
    parts = []
    for run in runs:
        longest, bound = max(step.step_length for step in run.steps), step_bound(run)
        share = "" if bound is None else f", {100 * longest / bound:.0f} % of its bound"
        parts.append(f"{run.name}: longest step {longest:.3g}{share}.")
    return "Length of every step, logarithmic. " + " ".join(parts)


def _diverged(result: RaceResult, name: str) -> bool:
    """Whether any run of that name diverged."""
    return any(run.diverged for run in result[name])
