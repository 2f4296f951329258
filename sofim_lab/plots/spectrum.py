"""Spectra of curvature matrices: the density of eigenvalues, the top of them, the sharpness along a path."""

from collections.abc import Iterable

import numpy as np
import torch
from matplotlib.axes import Axes

from sofim_lab.curvature.spectrum import SpectralDensity
from sofim_lab.landscape.sharpness import Sharpness
from sofim_lab.plots.scale import number, scale_of
from sofim_lab.plots.style import Style, few_ticks, label_of, log_y, look, looks_of, new_axes

_DECADES = 8  # a density is drawn this far below its top: further down it is the tail of the smoothing curve


def plot_density(result: SpectralDensity, eigenvalues: torch.Tensor | None = None, ax: Axes | None = None) -> Axes:
    """The density of the eigenvalues on a logarithmic scale, and, where they are known, the eigenvalues as ticks.

    Args:
        result: From `spectral_density`.
        eigenvalues: All eigenvalues, or the largest, shape (k,); drawn as a row of ticks under the curve.
        ax: Axes to draw into; new ones by default.

    Returns:
        The axes.

    Raises:
        ValueError: The density is nowhere positive.
    """
    density = np.asarray(result.density)
    top = float(density.max(initial=0.0))
    if not top > 0:
        raise ValueError("the density is nowhere positive: there is nothing to draw")
    ax = ax or new_axes()[0]
    floor = top / 10.0**_DECADES
    shown = np.where(density >= floor, density, np.nan)
    ax.plot(result.grid, shown, color=look(0).color, linewidth=1.6, label=f"estimate, width σ = {number(result.sigma)}")
    ax.fill_between(result.grid, floor, shown, color=look(0).color, alpha=0.2, linewidth=0)
    ax.axvline(0.0, color="0.35", linestyle=":", linewidth=1)
    if eigenvalues is not None:
        exact = eigenvalues.detach().double().cpu().numpy()
        ticks: Style = {"marker": "|", "markersize": 9, "linestyle": "none", "color": look(1).color, "clip_on": False}
        ax.plot(exact, np.full(len(exact), floor), **ticks, label=f"{len(exact):,} exact eigenvalues")
    log_y(ax)
    ax.set_ylim(floor, 3 * top)
    few_ticks(ax.xaxis)
    ax.set(xlabel="eigenvalue", ylabel="density (1 / eigenvalue)")
    ax.legend(loc="upper right", fontsize=8.5)
    return ax


def describe_density(result: SpectralDensity) -> str:
    """In words: between which eigenvalues the mass lies, how much of it near zero, how much is negative."""
    nodes, weights = np.asarray(result.nodes), np.asarray(result.weights)
    width = 0.01 * max(abs(nodes[0]), abs(nodes[-1]))
    near, negative = weights[np.abs(nodes) <= width].sum(), weights[nodes < -width].sum()
    return (
        f"Density of the eigenvalues, logarithmic, from {number(nodes[0])} to {number(nodes[-1])}. "
        f"{100 * near:.3g} % of them lie within 1 % of the largest magnitude around zero, {100 * negative:.2g} % are "
        f"negative beyond that; the mean is {number(float(nodes @ weights))}."
    )


def plot_eigenvalues(values: torch.Tensor, ax: Axes | None = None, *, matrix: str = "Hessian") -> Axes:
    """Eigenvalues by falling magnitude, on a logarithmic scale: filled those above zero, hollow those below.

    Args:
        values: Shape (k,), in any order; zeros are left out and counted in the title of the axis.
        ax: Axes to draw into; new ones by default.
        matrix: What they are the eigenvalues of.

    Returns:
        The axes.

    Raises:
        ValueError: No value is finite and different from zero.
    """
    ordered, zeros = _ordered(values)
    ax = ax or new_axes()[0]
    for words, some, own, fill in (
        ("positive", ordered[ordered > 0], look(0), look(0).color),
        ("negative", -ordered[ordered < 0], look(1), "white"),
    ):
        if len(some):
            style: Style = {"color": own.color, "markerfacecolor": fill, "markersize": 5, "linestyle": "none"}
            ax.plot(np.arange(1, len(some) + 1), some, own.marker, **style, label=f"{words} ({len(some):,})")
    log_y(ax)
    few_ticks(ax.xaxis)
    missing = f" ({zeros:,} zeros left out)" if zeros else ""
    ax.set(xlabel=f"rank among those of its sign{missing}", ylabel=f"|eigenvalue| of the {matrix}")
    ax.legend(loc="best", fontsize=8.5)
    return ax


def describe_eigenvalues(values: torch.Tensor, *, matrix: str = "Hessian") -> str:
    """In words: how many, the largest and the lowest, how many are negative, and how fast they fall."""
    ordered, zeros = _ordered(values)
    half = int(np.searchsorted(np.cumsum(np.abs(ordered)), 0.5 * np.abs(ordered).sum())) + 1
    negative = int((ordered < 0).sum())
    return (
        f"{len(ordered) + zeros:,} eigenvalues of the {matrix}, from {number(ordered.min())} to "
        f"{number(ordered.max())}; {negative:,} are negative, {zeros:,} are zero. "
        f"The {half:,} largest in magnitude make up half of the sum of magnitudes."
    )


def plot_sharpness(
    results: Sharpness | Iterable[Sharpness], ax: Axes | None = None, *, lr: float | None = None
) -> Axes:
    """λ_max of the Hessian along the path of each optimizer, and the bound 2/η of gradient descent.

    Args:
        results: From `sharpness`, one or several; a registered optimizer's name gives a curve its look.
        ax: Axes to draw into; new ones by default.
        lr: η of gradient descent, for its bound; None draws none.

    Returns:
        The axes.

    Raises:
        ValueError: No result, or lr ≤ 0.
    """
    runs = _runs(results)
    if lr is not None and not lr > 0:
        raise ValueError(f"lr={lr!r} must be positive: the bound is 2/lr")
    ax = ax or new_axes()[0]
    for run, own in zip(runs, looks_of([run.name for run in runs]), strict=True):
        ax.plot(run.steps, run.values, **own.line(linewidth=1.6), label=label_of(run.name) or "λₘₐₓ")
    if lr is not None:
        ax.axhline(2 / lr, color="0.25", linestyle="--", linewidth=1.2, label=f"2/η = {number(2 / lr)}")
    if scale_of(np.concatenate([run.values for run in runs])).log:
        log_y(ax)
    few_ticks(ax.xaxis)
    ax.set(xlabel="step", ylabel="sharpness λₘₐₓ (1 / η)")
    ax.legend(loc="best", fontsize=8.5)
    return ax


def describe_sharpness(results: Sharpness | Iterable[Sharpness], *, lr: float | None = None) -> str:
    """In words: from where to where the sharpness of each goes, its highest value, and where it passes 2/η."""
    sentences = ["Largest eigenvalue of the Hessian along the path."]
    for run in _runs(results):
        peak = int(np.nanargmax(run.values))
        words = (
            f"{label_of(run.name) or 'It'} goes from {number(run.values[0])} to {number(run.values[-1])}, highest "
            f"{number(run.values[peak])} at step {run.steps[peak]:,}"
        )
        if lr is not None:
            over = np.nonzero(run.values > 2 / lr)[0]
            when = f"above it first at step {run.steps[over[0]]:,}" if len(over) else "always below it"
            words += f"; 2/η is {number(2 / lr)}: {when}"
        sentences.append(words + ".")
    return " ".join(sentences)


def _runs(results: Sharpness | Iterable[Sharpness]) -> list[Sharpness]:
    """One or several, as a list that is not empty."""
    runs = [results] if isinstance(results, Sharpness) else list(results)
    if not runs:
        raise ValueError("results is empty: give at least one Sharpness")
    return runs


def _ordered(values: torch.Tensor) -> tuple[np.ndarray, int]:
    """Eigenvalues by falling magnitude without zeros, and how many zeros there were."""
    found = values.detach().double().cpu().numpy().ravel()
    kept = found[np.isfinite(found) & (found != 0)]
    if not len(kept):
        raise ValueError(f"none of the {len(found)} eigenvalues is finite and different from zero")
    return kept[np.argsort(-np.abs(kept), kind="stable")], int((found == 0).sum())
