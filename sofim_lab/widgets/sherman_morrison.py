"""Explorers of lesson 05: the derivation in floating-point numbers, and the spectrum of F = m mᵀ + ρI."""

from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
import torch

from sofim_lab.curvature import DerivationLine, RegularizedFIM, derivation_residuals
from sofim_lab.curvature.step_lengths import longest_step
from sofim_lab.plots import Picture, new_axes, picture, plot_derivation, plot_spectrum, plot_step_length, set_title
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
_SPECTRUM_D = 40


@dataclass(frozen=True)
class DerivationState:
    """The residual of each line for one ρ, d and dtype."""

    rho: float
    d: int
    dtype: str
    lines: tuple[DerivationLine, ...]

    @property
    def textbook_error(self) -> float:
        """Relative error of the textbook form of F⁻¹m."""
        return next(line.residual for line in self.lines if line.label == "textbook")

    @property
    def stable_error(self) -> float:
        """Relative error of the collapsed form, equation (8)."""
        return next(line.residual for line in self.lines if line.label == "(8)")


@lru_cache(maxsize=4)
def _vectors(d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A moment of length one and a right-hand side, float64."""
    random = torch.Generator().manual_seed(seed)
    m, v = torch.randn(2, d, generator=random, dtype=torch.float64)
    return m / torch.linalg.vector_norm(m), v


def derivation_state(rho: float, d: int, dtype: str) -> DerivationState:
    """The lines of the derivation for ‖m‖ = 1, evaluated in `dtype` on the CPU.

    Args:
        rho: ρ > 0.
        d: Length of the vectors.
        dtype: `float64`, `float32` or `bfloat16`.

    Returns:
        The state that `render_derivation` draws.
    """
    m, v = (vector.to(DTYPES[dtype]) for vector in _vectors(d))
    return DerivationState(rho, d, dtype, derivation_residuals(m, v, rho))


def render_derivation(state: DerivationState) -> Picture:
    """The residuals as dots, with what they say in words."""
    ax = plot_derivation(state.lines, torch.finfo(DTYPES[state.dtype]).eps)
    set_title(ax, f"{state.dtype}, d = {state.d}, ρ = {state.rho:.2g}, ‖m‖ = 1", loc="left")
    worst = max(line.residual for line in state.lines if line.label in ("(1)", "(2)", "(3)", "(4)"))
    return picture(
        ax,
        f"In {state.dtype} with d = {state.d} and ρ = {state.rho:.2g}, lines (1) to (4) hold to {worst:.0e} or better. "
        f"Of the ways to write F⁻¹m, the textbook form is off by {state.textbook_error:.0e}, "
        f"the collapsed form (8) by {state.stable_error:.0e}.",
    )


def derivation_explorer() -> Explorer[DerivationState]:
    """Move ρ, d and the dtype; see which lines of the derivation survive in floating-point numbers."""
    return Explorer(
        {
            "rho": log_slider("ρ", 1.0, -8, 1, step=0.25),
            "d": W.SelectionSlider(options=[2, 4, 8, 16, 32, 64, 128, 256, 512], value=64, description="d"),
            "dtype": W.Dropdown(options=list(DTYPES), value="float32", description="dtype"),
        },
        derivation_state,
        render_derivation,
        goal=Goal(
            "in float32, find a ρ at which the textbook form has no correct digit left (error 1 or more) "
            "while the collapsed form (8) still has six.",
            lambda state: state.dtype == "float32" and state.textbook_error >= 1 and state.stable_error <= 1e-6,
            example={"rho": 1e-8},
        ),
        play="rho",
    )


@dataclass(frozen=True)
class SpectrumState:
    """Spectrum of F for one ρ and ‖m‖, and the length of the step F⁻¹m."""

    rho: float
    norm: float
    eigenvalues: torch.Tensor
    condition_number: float
    step_length: float
    bound: float


def spectrum_state(rho: float, norm: float) -> SpectrumState:
    """Eigenvalues of F = m mᵀ + ρI in R^40 and ‖F⁻¹m‖ beside its bound 1/(2√ρ).

    Args:
        rho: ρ > 0.
        norm: ‖m‖ > 0.

    Returns:
        The state that `render_spectrum` draws.
    """
    direction, _ = _vectors(_SPECTRUM_D)
    fisher = RegularizedFIM(norm * direction, rho)
    step = float(torch.linalg.vector_norm(fisher.solve(norm * direction)))
    return SpectrumState(
        rho, norm, fisher.eigenvalues(), float(fisher.condition_number()), step, bound=longest_step(1.0, rho)
    )


def render_spectrum(state: SpectrumState) -> Picture:
    """Left the spectrum, right the length of the step, with what they say in words."""
    left, right = new_axes(2, width=9.0, height=3.6)
    plot_spectrum(state.eigenvalues, left)
    plot_step_length(state.norm, state.rho, ax=right)
    return picture(
        left,
        f"F has the eigenvalue ρ = {state.rho:.3g} in {_SPECTRUM_D - 1} directions and "
        f"ρ + ‖m‖² = {float(state.eigenvalues[-1]):.3g} along m, condition number {state.condition_number:.3g}. "
        f"The step F⁻¹m has length {state.step_length:.3g}, "
        f"{100 * state.step_length / state.bound:.0f} % of the longest possible, {state.bound:.3g}.",
    )


def spectrum_explorer() -> Explorer[SpectrumState]:
    """Move ρ and ‖m‖; see the two eigenvalues of F and how long the step becomes."""
    return Explorer(
        {
            "rho": log_slider("ρ", 1.0, -6, 1),
            "norm": log_slider("‖m‖", 10**0.5, -3, 2),
        },
        spectrum_state,
        render_spectrum,
        goal=Goal(
            "choose ρ and ‖m‖ so that the step is as long as it can be: at least 99 % of 1/(2√ρ).",
            lambda state: state.step_length >= 0.99 * state.bound,
            example={"norm": 1.0},
        ),
        play="norm",
    )
