"""How much a result depends on a setting, as on the learning rate."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from sofim_lab.plots.overlap import widen_covered
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import Style, label_of, log_x, log_y, looks_of, new_axes
from sofim_lab.plots.training import LABELS, check_metric
from sofim_lab.training import TrainingResult

_SYMBOLS = {"lr": "learning rate η", "rho": "ρ", "damping": "damping", "beta": "β", "momentum": "momentum"}


@dataclass(frozen=True)
class _Curve:
    """One optimizer over the values of a setting: median, lowest and highest of its runs; nan where most diverged."""

    values: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    diverged: np.ndarray  # share of the runs


def plot_sensitivity(
    runs: Iterable[TrainingResult], metric: str = "val_loss", ax: Axes | None = None, *, setting: str = "lr"
) -> Axes:
    """The final result against a setting: one curve a name, the median over seeds in a band from lowest to highest.

    The best value of each has a large mark. A cross at the bad edge stands where half of the runs diverged or more; the
    median counts a diverged run as worse than every other.

    Args:
        runs: Results whose `settings` hold the setting; runs of one name make a curve, e.g. several races together.
        metric: `train_loss`, `val_loss` (logarithmic scale), `train_accuracy` or `val_accuracy`, after the last epoch.
        ax: Axes to draw into; new ones by default.
        setting: A number in the settings, e.g. `lr`, `rho` or `damping`; its axis is logarithmic if all are positive.

    Returns:
        The axes.

    Raises:
        ValueError: No run, another metric, or a run without the setting.
    """
    curves = _curves(runs, metric, setting)
    ax, lines = ax or new_axes()[0], []
    for row, ((name, curve), own) in enumerate(zip(curves.items(), looks_of(list(curves)), strict=True)):
        ax.fill_between(curve.values, curve.low, curve.high, color=own.color, alpha=0.15, linewidth=0)
        lines += ax.plot(curve.values, curve.median, **own.line(linewidth=1.8), label=label_of(name))
        best = _best(curve, metric)
        if best is not None:
            rim: Style = {"markeredgecolor": "black", "markeredgewidth": 1.2}
            ax.plot(curve.values[best], curve.median[best], own.marker, color=own.color, markersize=10, **rim)
        lost = curve.values[curve.diverged >= 0.5]
        away = 0.04 + 0.05 * row  # one row each, on the bad side
        edge = np.full(len(lost), 1 - away if metric.endswith("loss") else away)
        ax.plot(lost, edge, "x", color=own.color, transform=ax.get_xaxis_transform(), markeredgewidth=1.8)
    if all((curve.values > 0).all() for curve in curves.values()):
        log_x(ax)
    if metric.endswith("loss"):
        log_y(ax)
    ax.set(xlabel=_SYMBOLS.get(setting, setting), ylabel=f"final {LABELS[metric]}")
    widen_covered(ax, lines)
    ax.legend(loc="best")
    return ax


def describe_sensitivity(runs: Iterable[TrainingResult], metric: str = "val_loss", *, setting: str = "lr") -> str:
    """In words: the best value of each curve, how wide the good values are, and where runs diverge.

    Args:
        runs: As drawn by `plot_sensitivity`.
        metric: As drawn.
        setting: As drawn.

    Returns:
        Alternative text.

    Raises:
        ValueError: As `plot_sensitivity`.
    """
    symbol = _SYMBOLS.get(setting, setting)
    sentences = [f"Final {LABELS[check_metric(metric)]} against {symbol}."]
    for name, curve in _curves(runs, metric, setting).items():
        best = _best(curve, metric)
        if best is None:
            sentences.append(f"{label_of(name)} diverges at each of {len(curve.values)} values.")
            continue
        target = curve.median[best]
        loss = metric.endswith("loss")
        good = curve.values[curve.median <= 2 * target if loss else curve.median >= target - 0.01]
        words = "at most twice that" if loss else "within 0.01 of that"
        where = f"from {number(good.min())} to {number(good.max())}" if len(good) > 1 else "nowhere else"
        lost = curve.values[curve.diverged >= 0.5]
        fate = f"; half of its runs or more diverge at {', '.join(map(number, lost))}" if len(lost) else ""
        sentences.append(
            f"{label_of(name)} is best at {number(curve.values[best])} with {number(target)}, "
            f"and {words} {where}{fate}."
        )
    return " ".join(sentences)


def _best(curve: _Curve, metric: str) -> int | None:
    """Where the median is best; None if it is nowhere finite."""
    if np.isnan(curve.median).all():
        return None
    return int(np.nanargmin(curve.median) if metric.endswith("loss") else np.nanargmax(curve.median))


def _curves(runs: Iterable[TrainingResult], metric: str, setting: str) -> dict[str, _Curve]:
    """Runs by name, and by the value of the setting in ascending order."""
    check_metric(metric)
    table: dict[str, dict[float, list[TrainingResult]]] = {}
    for run in runs:
        value = run.settings.get(setting)
        if isinstance(value, bool) or not isinstance(value, int | float):
            known = ", ".join(run.settings)
            raise ValueError(f"setting={setting!r}: the run {run.name!r} has no such number; its settings are {known}")
        table.setdefault(run.name, {}).setdefault(float(value), []).append(run)
    if not table:
        raise ValueError("runs is empty: give at least one training result")
    return {name: _curve(dict(sorted(by_value.items())), metric) for name, by_value in table.items()}


def _curve(by_value: dict[float, list[TrainingResult]], metric: str) -> _Curve:
    """Medians and bands; a diverged run counts as infinitely bad."""
    worst = np.inf if metric.endswith("loss") else -np.inf
    rows = []
    for group in by_value.values():
        finals = np.array([worst if run.diverged else getattr(run.final, metric) for run in group])
        finals = np.where(np.isnan(finals), worst, finals)
        ordered = np.sort(finals)
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        kept = finals[np.isfinite(finals)] if np.isfinite(middle) else np.array([np.nan])
        rows.append((middle if np.isfinite(middle) else np.nan, kept.min(), kept.max(), np.mean(~np.isfinite(finals))))
    median, low, high, diverged = np.array(rows).T
    return _Curve(np.array(list(by_value)), median, low, high, diverged)
