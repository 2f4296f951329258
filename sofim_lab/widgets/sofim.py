"""Explorers of lesson 06: SOFIM's path on a surface, and SOFIM on digits beside its constant-rate limit."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import ipywidgets as W
from torch.optim import Optimizer

from sofim_lab.optim import SOFIM
from sofim_lab.optim.kin import AlongMoment
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.descent import plot_map
from sofim_lab.plots.sofim import (
    describe_sofim_path,
    plot_batch_losses,
    plot_length_histogram,
    plot_path_lengths,
)
from sofim_lab.problems import mlp
from sofim_lab.problems.surfaces import Point
from sofim_lab.training import TrainingResult, step_bound, train
from sofim_lab.training.sofim_path import SofimPath, sofim_path
from sofim_lab.widgets.digits import digits_on_cpu
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider, slider

STARTS: dict[str, Point] = {
    "quadratic": (-1.3, 0.9),
    "rosenbrock": (-1.5, 2.0),
    "saddle": (1.5, 0.05),
    "double_well": (-0.4, 1.4),
    "himmelblau": (-1.0, -4.0),
}
_LONGEST = 60


@lru_cache(maxsize=16)
def _whole_path(surface: str, lr: float, rho: float, beta: float, noise: float, direction: str) -> SofimPath:
    """All steps; fewer are its beginning, so that playing costs nothing."""
    return sofim_path(
        surface, STARTS[surface], lr=lr, beta=beta, rho=rho, direction=direction, noise=noise, steps=_LONGEST
    )


def path_state(surface: str, lr: float, rho: float, beta: float, noise: float, direction: str, steps: int) -> SofimPath:
    """SOFIM's first steps on a surface.

    Args:
        surface: Key in `STARTS`.
        lr: η.
        rho: ρ.
        beta: β.
        noise: Standard deviation of the gradient's noise.
        direction: `momentum` or `gradient`.
        steps: How many steps, up to 60.

    Returns:
        The path that `render_path` draws.
    """
    path = _whole_path(surface, lr, rho, beta, noise, direction)
    points, losses = path.points[: steps + 1], path.losses[: steps + 1]
    return replace(path, points=points, losses=losses, lengths=path.lengths[:steps], norms=path.norms[:steps])


def render_path(path: SofimPath) -> Picture:
    """Left the path on the map, right the length of its steps against the bound."""
    left, right = new_axes(2, width=9.6, height=3.8)
    plot_map(path.surface, {"SOFIM": path.points}, left)
    set_title(left, f"{path.surface.name}: {path.surface.formula}", fontsize=9.5)
    plot_path_lengths(path, right)
    right.set_xlim(-1, _LONGEST + 1)  # the same while the steps are played
    set_title(right, f"f = {float(path.losses[-1]):.3g} after {len(path.lengths)} steps")
    return picture(left, describe_sofim_path(path))


def sofim_path_explorer() -> Explorer[SofimPath]:
    """Move η, ρ, β, the noise and the direction; see where SOFIM goes on a surface, and how long its steps are."""
    return Explorer(
        {
            "surface": W.Dropdown(options=list(STARTS), value="quadratic", description="surface"),
            "direction": W.Dropdown(options=["momentum", "gradient"], description="direction"),
            "lr": log_slider("η", 1.0, -2, 1),
            "rho": log_slider("ρ", 0.1, -3, 2),
            "beta": slider("β", 0.9, 0.0, 0.95, 0.05),
            "noise": slider("noise", 1.0, 0.0, 5.0, 0.5),
            "steps": W.IntSlider(value=_LONGEST, min=1, max=_LONGEST, description="steps"),
        },
        path_state,
        render_path,
        goal=Goal(
            "on the quadratic with noise 1 or more, in 60 steps of the momentum direction, take at least one step "
            "of 95 % of the bound, and stay within 0.15 of the minimum for the last ten.",
            _settles_after_a_longest_step,
            example={"rho": 30.0},
        ),
        play="steps",
        interval=200,
    )


def _settles_after_a_longest_step(path: SofimPath) -> bool:
    """Whether the path has a step near the bound and ends in quiet."""
    if path.bound is None or path.surface.name != "quadratic" or path.noise < 1 or len(path.lengths) < _LONGEST:
        return False
    return float(path.lengths.max()) >= 0.95 * path.bound and path.distance <= 0.15


@dataclass(frozen=True)
class DigitsState:
    """One short run of SOFIM on digits, and momentum at the constant rate η/ρ on the same batches."""

    sofim: TrainingResult
    control: TrainingResult

    @property
    def ratio(self) -> float:
        """η/ρ."""
        return self.sofim.settings["lr"] / self.sofim.settings["rho"]


def _short_run(make: type[Optimizer], name: str, epochs: int, seed: int, **options: Any) -> TrainingResult:
    """A few epochs of a 64-32-10 network."""
    model = mlp((64, 32, 10), seed=seed, device="cpu")
    optimizer = make(model.parameters(), **options)
    return train(model, digits_on_cpu(), optimizer, epochs=epochs, batch_size=128, seed=seed, name=name, progress=False)


@lru_cache(maxsize=64)
def _control_run(ratio: float, beta: float, epochs: int, seed: int) -> TrainingResult:
    """Averaged momentum at a constant rate, SOFIM's limit for large ρ."""
    name = f"constant rate {ratio:.3g}"
    return _short_run(AlongMoment, name, epochs, seed, rule="constant rate", lr=ratio, rho=1.0, beta=beta)


def digits_state(rho: float, ratio: float, beta: float, direction: str, epochs: int = 4, seed: int = 0) -> DigitsState:
    """Train both on digits.

    Args:
        rho: ρ.
        ratio: η/ρ, the rate of the limit for large ρ.
        beta: β.
        direction: `momentum` or `gradient`.
        epochs: Passes over the 1,197 images in batches of 128.
        seed: Seed of the weights and of the order of the images.

    Returns:
        The state that `render_digits` draws.
    """
    run = _short_run(SOFIM, "SOFIM", epochs, seed, lr=ratio * rho, rho=rho, beta=beta, direction=direction)
    return DigitsState(run, _control_run(ratio, beta, epochs, seed))


def render_digits(state: DigitsState) -> Picture:
    """Left the loss of each mini-batch, right how long SOFIM's steps were."""
    left, right = new_axes(2, width=9.6, height=3.6)
    plot_batch_losses([state.sofim, state.control], left)
    plot_length_histogram(state.sofim, right)
    set_title(left, f"η/ρ = {state.ratio:.3g}")
    set_title(right, f"{len(state.sofim.steps)} steps of SOFIM")
    known, bound = state.sofim.settings, step_bound(state.sofim)
    lengths = sorted(step.step_length for step in state.sofim.steps)
    middle = lengths[len(lengths) // 2]
    share = "it has no bound" if bound is None else f"{100 * middle / bound:.0f} % of the bound {bound:.3g}"
    return picture(
        left,
        f"SOFIM, {known['direction']} direction, with ρ = {known['rho']:.3g}, η = {known['lr']:.3g}, "
        f"β = {known['beta']:g} goes from a training loss of {state.sofim.epochs[0].train_loss:.3g} to "
        f"{_last(state.sofim)} in {len(state.sofim.steps)} steps; momentum at the constant rate η/ρ = "
        f"{state.ratio:.3g} to {_last(state.control)}. SOFIM's median step is {middle:.2g}, {share}.",
    )


def _last(run: TrainingResult) -> str:
    """The last training loss, in words where it is no number."""
    loss = run.final.train_loss
    return "no number (it diverged)" if run.diverged or not math.isfinite(loss) else f"{loss:.3g}"


def sofim_digits_explorer() -> Explorer[DigitsState]:
    """Move ρ, η/ρ, β and the direction; see SOFIM learn digits beside momentum at the constant rate η/ρ."""
    return Explorer(
        {
            "rho": log_slider("ρ", 0.5, -3, 2, late=True),
            "ratio": log_slider("η/ρ", 1.0, -1, 1.5, late=True),
            "beta": slider("β", 0.9, 0.0, 0.95, 0.05, late=True),
            "direction": W.Dropdown(options=["momentum", "gradient"], description="direction"),
        },
        digits_state,
        render_digits,
        goal=Goal(
            "find a rate η/ρ with which the constant-rate run ends above the loss it began with, and a ρ with which "
            "SOFIM (momentum direction) at the same η/ρ ends below half of that.",
            _survives,
            example={"ratio": 10.0, "rho": 0.05},
        ),
        preview=partial(digits_state, epochs=1),
    )


def _survives(state: DigitsState) -> bool:
    """Whether the control fails at this rate and SOFIM does not."""
    begin = state.control.epochs[0].train_loss
    failed = state.control.diverged or state.control.final.train_loss > begin
    learnt = not state.sofim.diverged and state.sofim.final.train_loss < begin / 2
    return failed and learnt and state.sofim.settings["direction"] == "momentum"
