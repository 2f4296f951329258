"""Explorer of lesson 00: how long one step is, SOFIM's beside that of momentum at the rate η/ρ."""

from dataclasses import dataclass

import torch

from sofim_lab.curvature.step_lengths import step_lengths
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.sofim import plot_kin
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

_LR = 1.0
_RANGE = (1e-3, 1e2)  # of ρ and of ‖m‖, and the axes of the picture


@dataclass(frozen=True)
class OneStepState:
    """Lengths of one step for a ρ and a ‖m‖, with η = 1."""

    rho: float
    norm: float
    sofim: float
    constant: float

    @property
    def share(self) -> float:
        """SOFIM's step in units of the other, ρ/(ρ + ‖m‖²)."""
        return self.sofim / self.constant


def one_step_state(rho: float, norm: float) -> OneStepState:
    """Both lengths for η = 1.

    Args:
        rho: ρ > 0.
        norm: ‖m‖ > 0.

    Returns:
        The state that `render_one_step` draws.
    """
    lengths = step_lengths(torch.tensor(norm, dtype=torch.float64), _LR, rho)
    return OneStepState(rho, norm, float(lengths["SOFIM"]), float(lengths["constant rate"]))


def render_one_step(state: OneStepState) -> Picture:
    """Both lengths against ‖m‖, a dot at the chosen one, and what they say in words."""
    ax = plot_kin(_LR, state.rho, new_axes(width=7.2)[0], rules=("constant rate", "SOFIM"), at=state.norm)
    ax.set(xlim=_RANGE, ylim=(1e-4, 1e3))
    ax.legend(loc="lower right")
    set_title(ax, f"one step, η = {_LR:g}, ρ = {state.rho:.2g}, ‖m‖ = {state.norm:.2g}")
    return picture(
        ax,
        f"With ρ = {state.rho:.2g} and ‖m‖ = {state.norm:.2g} SOFIM's step has the length {state.sofim:.3g}, that of "
        f"momentum at the constant rate η/ρ = {_LR / state.rho:.3g} the length {state.constant:.3g}: SOFIM goes "
        f"{100 * state.share:.3g} % of the way.",
    )


def one_step_explorer() -> Explorer[OneStepState]:
    """Move ρ and ‖m‖; see where SOFIM's step is that of momentum, and where it is shorter."""
    return Explorer(
        {"rho": log_slider("ρ", 0.5, -3, 2), "norm": log_slider("‖m‖", 0.1, -3, 2)},
        one_step_state,
        render_one_step,
        goal=Goal(
            "choose ρ and ‖m‖ so that SOFIM's step is at most half as long as that of momentum.",
            lambda state: state.share <= 0.5,
            example={"norm": 1.0},
        ),
        play="norm",
        interval=200,
    )
