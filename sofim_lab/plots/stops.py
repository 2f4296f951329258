"""Figures of the places where optimizers stop: their spectra, their stability, and flatness against validation loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from sofim_lab.curvature.spectrum import SpectralDensity
from sofim_lab.landscape.rank_correlation import RankCorrelation
from sofim_lab.landscape.sharpness import Sharpness
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import Style, few_ticks, label_of, log_x, log_y, look, looks_of, new_axes

_QUANTITIES = {
    "sharpness": "sharpness λ₁",
    "trace": "trace of the Hessian",
    "train_loss": "training loss (nats)",
    "val_loss": "validation loss (nats)",
}


def plot_counts(densities: Mapping[str, SpectralDensity], d: int, ax: Axes | None = None) -> Axes:
    """How many eigenvalues lie above a level: one falling curve an optimizer, read from its spectral density.

    Args:
        densities: Name to density; a registered optimizer's name gives a curve its look.
        d: How many eigenvalues there are.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes, both scales logarithmic.

    Raises:
        ValueError: No density, or one without a positive eigenvalue.
    """
    _refuse_empty(densities, "densities")
    ax = ax or new_axes(width=7.2, height=4.0)[0]
    highest = max(float(found.nodes[-1]) for found in densities.values())
    for (name, found), own in zip(densities.items(), looks_of(list(densities)), strict=True):
        levels, counts = _counts(found, d, name)
        ax.plot(levels, counts, **own.line(linewidth=1.7, markevery=max(1, len(levels) // 6)), label=label_of(name))
    log_x(ax)
    log_y(ax)
    ax.set(xlim=(highest * 1e-4, highest * 1.5), ylim=(0.5, 1.3 * d))
    ax.set(xlabel="level λ", ylabel=f"eigenvalues above λ (of {d:,})")
    ax.legend(loc="lower left", fontsize=8.5)
    return ax


def describe_counts(densities: Mapping[str, SpectralDensity], d: int) -> str:
    """In words: the largest eigenvalue of each, and how many lie above a hundredth of it."""
    _refuse_empty(densities, "densities")
    parts = []
    for name, found in densities.items():
        top = float(found.nodes[-1])
        above = d * float(found.weights[found.nodes > 0.01 * top].sum())
        parts.append(f"{label_of(name)} {number(top)}, about {above:.0f} above a hundredth of it")
    return f"How many of {d:,} eigenvalues of the Hessian lie above a level. The largest of each: {'; '.join(parts)}."


def plot_stability(runs: Mapping[float, Sharpness], ax: Axes | None = None) -> Axes:
    """ηλ₁/2 along gradient descent at several rates: above one the most curved direction is not stable.

    Args:
        runs: Rate η to the sharpness along its path.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.

    Raises:
        ValueError: No run.
    """
    _refuse_empty(runs, "runs")
    ax = ax or new_axes(width=7.2)[0]
    for index, (rate, run) in enumerate(runs.items()):
        own = look(index)
        ax.plot(run.steps, rate * run.values / 2, **own.line(linewidth=1.7), label=f"η = {number(rate)}")
    ax.axhline(1.0, color="0.25", linestyle="--", linewidth=1.3, label="λ₁ = 2/η")
    few_ticks(ax.xaxis)
    ax.set(xlabel="step", ylabel="ηλ₁ / 2", ylim=(0, None))
    ax.legend(loc="best", fontsize=8.5)
    return ax


def describe_stability(runs: Mapping[float, Sharpness]) -> str:
    """In words: for each rate the bound, the highest sharpness and the last."""
    _refuse_empty(runs, "runs")
    parts = [
        f"η = {number(rate)}, bound {number(2 / rate)}: λ₁ is {number(run.values.max())} at its highest, "
        f"{number(run.values[-1])} at the end"
        for rate, run in runs.items()
    ]
    return f"Sharpness along gradient descent in units of the bound 2/η. {'; '.join(parts)}."


def plot_flatness(table: pd.DataFrame, ax: Axes | None = None, *, x: str = "sharpness", y: str = "val_loss") -> Axes:
    """One mark a run: how sharp the place is where it stopped, against the loss there.

    Args:
        table: From `survey`.
        ax: Axes to draw into; new ones by default.
        x: `sharpness`, `trace` or `train_loss`.
        y: `val_loss` or `train_loss`.

    Returns:
        The axes, both scales logarithmic.

    Raises:
        ValueError: No row, an unknown quantity, or values that are not positive.
    """
    _check_table(table, x, y)
    ax = ax or new_axes()[0]
    names = list(dict.fromkeys(table["name"]))
    for name, own in zip(names, looks_of(names), strict=True):
        rows = table[table["name"] == name]
        style: Style = {"markeredgecolor": "black", "markeredgewidth": 0.6, "markersize": 6.5, "linestyle": "none"}
        ax.plot(rows[x], rows[y], own.marker, color=own.color, **style, label=label_of(name))
    ax.set(xscale="log", yscale="log")
    _plain_ticks(ax)
    ax.set(xlabel=_QUANTITIES[x], ylabel=_QUANTITIES[y])
    return ax


def describe_flatness(table: pd.DataFrame, found: RankCorrelation, *, x: str = "sharpness", y: str = "val_loss") -> str:
    """In words: the median of each optimizer, and what the rank correlation says.

    Args:
        table: As drawn.
        found: The correlation of x and y.
        x: As drawn.
        y: As drawn.

    Returns:
        Alternative text.

    Raises:
        ValueError: As `plot_flatness`.
    """
    _check_table(table, x, y)
    medians = table.groupby("name", sort=False)[[x, y]].median()
    rows = [(label_of(str(name)), number(row[x]), number(row[y])) for name, row in medians.iterrows()]
    parts = "; ".join(f"{label} {first} and {second}" for label, first, second in rows)
    return (
        f"{_QUANTITIES[y].capitalize()} against {_QUANTITIES[x]} at {len(table)} stops, both logarithmic. Medians of "
        f"{_QUANTITIES[x]} and {_QUANTITIES[y]}: {parts}. {describe_correlation(found)}"
    )


def describe_correlation(found: RankCorrelation) -> str:
    """A rank correlation in a sentence that says no more than its interval does."""
    verdict = {1: "they rise together", -1: "one falls as the other rises", 0: "the sign is open"}[found.sign]
    return (
        f"Rank correlation {_signed(found.value)}, 95 % interval {_signed(found.low)} to {_signed(found.high)} over "
        f"{found.groups} seeds: {verdict}."
    )


def _signed(value: float) -> str:
    """Two digits, with a sign."""
    return f"{value:+.2f}".replace("-", "−")


def _counts(found: SpectralDensity, d: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Levels, and how many eigenvalues lie at or above each: the mass of the nodes there, times d."""
    positive = found.nodes > 0
    if not positive.any():
        raise ValueError(f"densities[{name!r}] has no positive eigenvalue: there is no curve to draw")
    return found.nodes[positive], d * np.cumsum(found.weights[::-1])[::-1][positive]


def _plain_ticks(ax: Axes) -> None:
    """Numbers at 1, 2 and 5 of each decade: the spread of such a cloud is often less than one."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: number(value))
        axis.set_minor_formatter(NullFormatter())


def _check_table(table: pd.DataFrame, x: str, y: str) -> None:
    """Raise unless the columns are there, known and positive."""
    for column in (x, y):
        if column not in _QUANTITIES:
            raise ValueError(f"{column!r} is unknown: choose one of {', '.join(_QUANTITIES)}")
    if not len(table):
        raise ValueError("table is empty: survey at least one stop")
    if not (table[[x, y]] > 0).all(axis=None):
        raise ValueError(
            f"{x} and {y} must be positive for a logarithmic scale: leave out the stops where they are not"
        )


def _refuse_empty(given: Mapping[Any, object], name: str) -> None:
    """Raise unless there is something to draw."""
    if not given:
        raise ValueError(f"{name} is empty: give at least one")
