"""Explorer of lesson 09: training with clipped gradients and noise."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W

from sofim_lab.federated import Privacy, Server, dirichlet_split, fed_avg, fed_ema, fed_sofim, federate
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.beyond import describe_rounds, plot_rounds
from sofim_lab.problems import mlp
from sofim_lab.training import TrainingResult
from sofim_lab.widgets.digits import digits_on_cpu
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider

DELTA = 1e-4
SERVERS: dict[str, Callable[[float], Server]] = {
    "SOFIM, momentum": lambda rate: fed_sofim(rate, rho=0.5),
    "SOFIM, gradient": lambda rate: fed_sofim(rate, rho=0.5, direction="gradient"),
    "averaged momentum": fed_ema,
    "FedAvg": fed_avg,
}
CONTROLS = {"momentum": "averaged momentum", "gradient": "FedAvg"}  # SOFIM for ρ → ∞


@dataclass(frozen=True)
class PrivateState:
    """A private run of SOFIM, the control on the same releases, and what they reveal."""

    run: TrainingResult
    control: TrainingResult
    privacy: Privacy
    epsilon: float


@lru_cache(maxsize=64)
def _private(name: str, noise: float, clip: float, rounds: int) -> TrainingResult:
    """One private run of softmax regression with ten clients."""
    digits, model = digits_on_cpu(), mlp((64, 10), device="cpu")
    parts = dirichlet_split(digits.train.y, 10, 0.5)
    rate, privacy = 3.0, Privacy(clip, noise, DELTA)
    server = SERVERS[name](rate)(model.parameters())
    return federate(model, digits, server, parts, rounds=rounds, privacy=privacy, name=name, progress=False)


def private_state(noise: float, clip: float, rounds: int, direction: str) -> PrivateState:
    """Train with noise, and add up what that reveals.

    Args:
        noise: Noise multiplier σ.
        clip: Clipping norm C.
        rounds: Releases T.
        direction: SOFIM's direction, `momentum` or `gradient`.

    Returns:
        The state that `render_private` draws.
    """
    run, control = (_private(name, noise, clip, rounds) for name in (f"SOFIM, {direction}", CONTROLS[direction]))
    privacy = Privacy(clip, noise, DELTA)
    return PrivateState(run, control, privacy, privacy.epsilon(rounds))


def first_rounds(noise: float, clip: float, rounds: int, direction: str) -> PrivateState:
    """The state after three rounds: what can be shown at once."""
    return private_state(noise, clip, min(rounds, 3), direction)


def render_private(state: PrivateState) -> Picture:
    """Validation accuracy round by round, with ε in the title."""
    (ax,) = new_axes(width=7.2, height=3.6)
    plot_rounds([state.run, state.control], ax)
    rounds, known = len(state.run.steps), state.privacy
    set_title(ax, f"{rounds} rounds: ε = {state.epsilon:.3g} at δ = {DELTA:g}")
    return picture(
        ax,
        f"{describe_rounds([state.run, state.control])} Noise σ = {known.noise:.3g}, clipping norm "
        f"C = {known.clip:.3g}: the {rounds} rounds are ({state.epsilon:.3g}, {DELTA:g})-differentially private.",
    )


def private_explorer() -> Explorer[PrivateState]:
    """Move noise, clipping norm, rounds and SOFIM's direction; see accuracy and ε."""
    return Explorer(
        {
            "noise": log_slider("σ", 20.0, 0, 2.5, late=True),
            "clip": log_slider("C", 1.0, -2, 1, late=True),
            "rounds": W.IntSlider(value=30, min=5, max=60, step=5, description="rounds", continuous_update=False),
            "direction": W.Dropdown(options=["momentum", "gradient"], description="direction"),
        },
        private_state,
        render_private,
        goal=Goal(
            "reach a validation accuracy of 0.75 or more with SOFIM at ε ≤ 0.4.",
            lambda state: state.epsilon <= 0.4 and state.run.final.val_accuracy >= 0.75,
            example={"noise": 40.0},
        ),
        preview=first_rounds,
    )
