"""Explorers of lesson 04: the dial from m mᵀ + ρI to the empirical FIM, and the quality of the proxy in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
from torch import Tensor

from sofim_lab.curvature.dial import DialPosition, dial
from sofim_lab.curvature.proxy import ProxySpectrum
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.regularized_fim import plot_agreement, plot_coverage, plot_dial, plot_dial_spectrum
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

NEAR = 0.99  # cosine from which two directions count as the same
SMALL = 0.1  # the largest ρ with which the dial's goal can be reached

Run = Mapping[int, Mapping[str, ProxySpectrum]]


@dataclass(frozen=True)
class DialState:
    """All positions of the dial for one ρ, and the k that was chosen."""

    k: int
    rho: float
    positions: tuple[DialPosition, ...]

    @property
    def chosen(self) -> DialPosition:
        """The position of the chosen k."""
        return next(position for position in self.positions if position.k == self.k)

    @property
    def smallest(self) -> int:
        """The smallest k whose direction has a cosine of at least 0.99 with that of all samples."""
        return next(position.k for position in self.positions if position.cosine >= NEAR)


def render_dial(state: DialState) -> Picture:
    """Left the direction against k, right the spectra, with what they say in words."""
    left, right = new_axes(2, width=9.6)
    plot_dial(state.positions, state.k, left)
    plot_dial_spectrum(state.positions, state.k, state.rho, right)
    chosen, full = state.chosen, state.positions[-1]
    above = int((chosen.eigenvalues > 2 * state.rho).sum())
    above_full = int((full.eigenvalues > 2 * state.rho).sum())
    rows = "row" if state.k == 1 else "rows"
    return picture(
        left,
        f"With k = {state.k} {rows} and ρ = {state.rho:.2g} the direction F⁻¹g has the cosine {chosen.cosine:.3f} with "
        f"that of all {full.k} samples and {chosen.length:.2f} times its length. Eigenvalues of F above 2ρ: {above}, "
        f"with all samples {above_full}.",
    )


def dial_explorer(samples: Tensor) -> Explorer[DialState]:
    """Turn k from SOFIM's one row to all samples, at any ρ; see the direction and the spectrum follow.

    Args:
        samples: Gradients of n samples, one a row, shape (n, d); n a power of two, at most a few hundred.

    Returns:
        The explorer; its result is a `DialState`.
    """

    @lru_cache(maxsize=8)
    def positions(rho: float) -> tuple[DialPosition, ...]:  # the same ones for every k
        return dial(samples, rho)

    ks = [position.k for position in positions(1.0)]
    return Explorer(
        {
            "k": W.SelectionSlider(options=ks, value=1, description="k"),
            "rho": log_slider("ρ", 1.0, -4, 2),
        },
        lambda k, rho: DialState(k, rho, positions(rho)),
        render_dial,
        goal=Goal(
            f"at some ρ of at most {SMALL}, choose the smallest k whose direction has a cosine of at least {NEAR} with "
            "that of all samples.",
            lambda state: state.rho <= SMALL * (1 + 1e-9) and state.k == state.smallest,
            example={"rho": SMALL, "k": DialState(1, SMALL, positions(SMALL)).smallest},
        ),
        play="k",
    )


@dataclass(frozen=True)
class ProxyState:
    """One matrix along a run, the checkpoint and ρ that were chosen, and where m comes closest to the top eigenvector.

    Attributes:
        matrix: Name of the matrix.
        step: The checkpoint.
        rho: ρ > 0.
        run: Step to spectrum of this matrix.
        best: Matrix and step with the largest |cos(m, v₁)| of the whole run.
    """

    matrix: str
    step: int
    rho: float
    run: Mapping[int, ProxySpectrum]
    best: tuple[str, int]

    @property
    def spectrum(self) -> ProxySpectrum:
        """The spectrum at the chosen checkpoint."""
        return self.run[self.step]

    @property
    def found(self) -> bool:
        """Whether this is the best place, with a ρ that makes both directions one."""
        return (self.matrix, self.step) == self.best and self.spectrum.direction_cosine(self.rho) >= NEAR


def render_proxy(state: ProxyState) -> Picture:
    """Left what the leading eigenvectors hold, right the agreement along the run, with what they say in words."""
    left, right = new_axes(2, width=9.6)
    plot_coverage(state.spectrum, left)
    plot_agreement(state.run, state.rho, state.step, right)
    set_title(left, f"{state.matrix}, step {state.step}")
    set_title(right, f"agreement, ρ = {state.rho:.2g}")
    seen = state.spectrum
    trace, moment = (float(share[min(9, len(share) - 1)]) for share in seen.covered())
    return picture(
        left,
        f"{state.matrix} after step {state.step}: {100 * seen.share:.1f} % of the trace lies along m, at most "
        f"{100 * seen.top_share:.1f} % could; |cos(m, v₁)| = {seen.cosine:.3f}, spectral gap {seen.gap:.2f}. The ten "
        f"leading eigenvectors hold {100 * trace:.0f} % of the trace and {100 * moment:.0f} % of ‖m‖². With "
        f"ρ = {state.rho:.2g}, λ₁ = {float(seen.eigenvalues[-1]):.2g}, SOFIM's direction and that of the whole matrix "
        f"have the cosine {seen.direction_cosine(state.rho):.3f}.",
    )


def proxy_explorer(run: Run) -> Explorer[ProxyState]:
    """Walk along a training run with one of three matrices and a ρ; see what m knows of the matrix.

    Args:
        run: Step to the result of `proxy_spectra` there, in order; every step with the same matrices.

    Returns:
        The explorer; its result is a `ProxyState`.

    Raises:
        ValueError: There is no checkpoint.
    """
    if not run:
        raise ValueError("run is empty: give at least one checkpoint")
    names = list(next(iter(run.values())))
    by_matrix = {name: {step: spectra[name] for step, spectra in run.items()} for name in names}
    best = max(((name, step) for name in names for step in run), key=lambda place: run[place[1]][place[0]].cosine)
    first = next(step for step in run if step != best[1] or len(run) == 1)
    return Explorer(
        {
            "matrix": W.Dropdown(options=names, description="matrix"),
            "step": W.SelectionSlider(options=list(run), value=first, description="step"),
            "rho": log_slider("ρ", 0.5, -4, 3),
        },
        lambda matrix, step, rho: ProxyState(matrix, step, rho, by_matrix[matrix], best),
        render_proxy,
        goal=Goal(
            "find the matrix and the step at which |cos(m, v₁)| is the largest of the whole run, and there a ρ with "
            f"which cos(m, (A + ρI)⁻¹m) is at least {NEAR}.",
            lambda state: state.found,
            example={"matrix": best[0], "step": best[1], "rho": 1e3},
        ),
        play="step",
    )
