"""Explorers of lesson 02: two distributions and their KL divergence, and a fit in two parametrisations."""

import math
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
import torch

from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.distributions import loss_levels, plot_fits, plot_kl_along, plot_two_coins, plot_two_gaussians
from sofim_lab.problems.distributions import Family, bernoulli, gaussian
from sofim_lab.problems.parametrisations import GAUSSIAN, Method, descend, path_gap
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import slider


@dataclass(frozen=True)
class PairState:
    """Two distributions p_v and p_w of a family, δ = w − v, and how far they are apart."""

    family: Family
    v: torch.Tensor
    w: torch.Tensor
    distance: float
    quadratic: float
    kl_along: torch.Tensor

    @property
    def kl(self) -> float:
        """KL(p_v ‖ p_w) in nats."""
        return float(self.kl_along[-1])


def pair_state(family: Family, v: tuple[float, ...], w: tuple[float, ...]) -> PairState:
    """Euclidean distance, KL along the segment from v to w, and ½ δᵀFδ with F at v.

    Args:
        family: The family.
        v: Parameters of the first distribution.
        w: Parameters of the second one.

    Returns:
        The state that `render_pair` draws.
    """
    first, second = (family.check(torch.tensor(one, dtype=torch.float64)) for one in (v, w))
    delta = second - first
    along = first + torch.linspace(0, 1, 41, dtype=torch.float64)[:, None] * delta
    quadratic = 0.5 * float(delta @ family.fisher(first) @ delta)
    kl = family.kl(first, along).clamp(min=0)
    return PairState(family, first, second, float(torch.linalg.vector_norm(delta)), quadratic, kl)


def render_pair(state: PairState) -> Picture:
    """Left the two distributions, right KL and its quadratic approximation, with what they say in words."""
    left, right = new_axes(2, width=9.0, height=3.4)
    if state.family is gaussian:
        plot_two_gaussians(state.v, state.w, left)
    else:
        plot_two_coins(float(state.v[0]), float(state.w[0]), left)
    set_title(left, f"parameter distance ‖δ‖ = {state.distance:.2g}")
    plot_kl_along(state.kl_along, state.quadratic, right)
    set_title(right, f"KL = {state.kl:.2g} nats")
    return picture(
        left,
        f"Two {state.family.name} distributions whose parameters are {state.distance:.3g} apart: "
        f"{_named(state, state.v)} and {_named(state, state.w)}. "
        f"KL from the first to the second is {state.kl:.3g} nats, ½ δᵀFδ is {state.quadratic:.3g}: "
        f"{_compared(state.quadratic, state.kl)}.",
    )


def _named(state: PairState, w: torch.Tensor) -> str:
    """The parameters with their symbols."""
    return ", ".join(f"{s} = {float(x):.3g}" for s, x in zip(state.family.symbols, w, strict=True))


def _compared(quadratic: float, kl: float) -> str:
    """How the approximation stands to the true value."""
    if kl < 1e-12:
        return "the two are the same distribution"
    share = 100 * (quadratic / kl - 1)
    return "right to 1 %" if abs(share) < 1 else f"{abs(share):.0f} % too {'large' if share > 0 else 'small'}"


def gaussian_pair_explorer() -> Explorer[PairState]:
    """Move σ₁, σ₂ and the distance of the means; see that equal distances of parameters are not equal changes."""
    return Explorer(
        {
            "std": slider("σ₁", 0.5, 0.2, 3.0, 0.05),
            "other": slider("σ₂", 0.8, 0.2, 3.0, 0.05),
            "shift": slider("μ₂ − μ₁", 0.6, -2.0, 2.0, 0.1),
        },
        lambda std, other, shift: pair_state(gaussian, (0.0, std), (shift, other)),
        render_pair,
        play="shift",
        goal=Goal(
            "a step of length ‖δ‖ ≥ 0.8 that hardly changes the distribution: KL ≤ 0.05 nats.",
            lambda state: state.distance >= 0.8 - 1e-9 and state.kl <= 0.05,
            example={"std": 3.0, "other": 3.0, "shift": 0.8},
        ),
    )


def bernoulli_pair_explorer() -> Explorer[PairState]:
    """Move two probabilities; see where the quadratic approximation of KL holds and where it does not."""
    return Explorer(
        {"p": slider("p₁", 0.5, 0.01, 0.99, 0.01), "q": slider("p₂", 0.7, 0.01, 0.99, 0.01)},
        lambda p, q: pair_state(bernoulli, (p,), (q,)),
        render_pair,
        play="q",
        interval=150,
        goal=Goal(
            "a small change that the approximation gets wrong: KL ≤ 0.05 nats, and ½ δᵀFδ at least twice KL.",
            lambda state: 1e-9 < state.kl <= 0.05 and state.quadratic >= 2 * state.kl,
            example={"p": 0.01, "q": 0.06},
        ),
    )


START, TARGET = (-2.0, 2.0), (1.0, 0.7)
TIME = 4.0  # η times the number of steps, so that a smaller η follows the same way in more steps
WINDOW = (-2.4, 1.8, 0.25, 3.2)


@dataclass(frozen=True)
class FitState:
    """The fit of N(μ, σ²) in two parametrisations, by gradient and by natural gradient.

    Attributes:
        names: The two parametrisations.
        paths: (method, parametrisation) to points in (μ, σ).
        gaps: Method to `path_gap` of its two paths.
        lr: η.
        damping: λ of the natural gradient.
        steps: How many steps were asked for.
        shown: How many are drawn.
    """

    names: tuple[str, str]
    paths: dict[tuple[str, str], torch.Tensor]
    gaps: dict[str, float]
    lr: float
    damping: float
    steps: int
    shown: int


@lru_cache(maxsize=64)
def _path(name: str, method: Method, lr: float, damping: float, steps: int) -> torch.Tensor:
    """One path from START towards TARGET; kept, since a slider moves only some of the four."""
    start, target = (torch.tensor(w, dtype=torch.float64) for w in (START, TARGET))
    return descend(gaussian, target, start, GAUSSIAN[name], method, lr=lr, steps=steps, damping=damping)


@lru_cache(maxsize=1)
def _levels() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The level curves under the paths."""
    return loss_levels(torch.tensor(TARGET, dtype=torch.float64), WINDOW)


def fit_state(first: str, second: str, lr: float, damping: float, time: float = TIME) -> FitState:
    """Both descents in both parametrisations, η · steps = 4.

    Args:
        first: A name of `GAUSSIAN`.
        second: Another one.
        lr: η > 0.
        damping: λ ≥ 0 of the natural gradient.
        time: The steps up to this value of η times their number are drawn.

    Returns:
        The state that `render_fit` draws.
    """
    steps, target = math.ceil(TIME / lr - 1e-9), torch.tensor(TARGET, dtype=torch.float64)
    settings = {"gradient": 0.0, "natural": damping}
    paths = {(m, name): _path(name, m, lr, own, steps) for m, own in settings.items() for name in (first, second)}
    gaps = {m: path_gap(gaussian, paths[m, first], paths[m, second], target) for m in settings}
    return FitState((first, second), paths, gaps, lr, damping, steps, shown=min(steps, int(time / lr + 1e-9)))


def render_fit(state: FitState) -> Picture:
    """Left gradient descent, right natural gradient, each in both parametrisations, with what they say in words."""
    axes = new_axes(2, width=9.6, height=3.7)
    target = torch.tensor(TARGET, dtype=torch.float64)
    for ax, method in zip(axes, ("gradient", "natural"), strict=True):
        own = {name: state.paths[method, name][: state.shown + 1] for name in state.names}
        plot_fits(own, target, WINDOW, _levels(), ax)
        gap = state.gaps[method]
        set_title(
            ax, f"{method}: " + (f"paths apart by {_percent(gap)}" if math.isfinite(gap) else "a path ends early")
        )
    first, second = state.names
    part = "" if state.shown == state.steps else f" Drawn: the first {state.shown} of these steps."
    return picture(
        axes[0],
        f"Fit of N(μ, σ²) to the star in {state.steps} steps of η = {state.lr:.2g}, in {first} and in {second}. "
        f"Gradient descent: {_fate(state, 'gradient')}. "
        f"Natural gradient with λ = {state.damping:.2g}: {_fate(state, 'natural')}.{part}",
    )


def _percent(gap: float) -> str:
    """A gap as a percentage; what rounding leaves is 0."""
    return "0 % (rounding)" if gap < 1e-9 else f"{100 * gap:.2g} %"


def _fate(state: FitState, method: str) -> str:
    """In words: how far the two paths of a method are apart, or which of them ended early."""
    ended = [name for name in dict.fromkeys(state.names) if len(state.paths[method, name]) <= state.steps]
    if ended:
        taken = len(state.paths[method, ended[0]]) - 1
        return f"in {' and in '.join(ended)} step {taken + 1} leads to no Gaussian at all, the path ends there"
    return f"the paths are at most {_percent(state.gaps[method])} of the whole way apart"


def reparametrisation_explorer() -> Explorer[FitState]:
    """Choose two parametrisations, η and λ; see whether the paths of a method depend on the choice."""
    return Explorer(
        {
            "first": W.Dropdown(options=list(GAUSSIAN), value="(μ, σ)", description="one"),
            "second": W.Dropdown(options=list(GAUSSIAN), value="(μ, log σ)", description="other"),
            "lr": slider("η", 0.5, 0.1, 1.0, 0.05),
            "damping": W.SelectionSlider(
                options=[0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0], value=0.1, description="λ"
            ),
            "time": slider("η · steps", TIME, 0.0, TIME, 0.25),
        },
        fit_state,
        render_fit,
        goal=Goal(
            "with one parametrisation (μ, σ) and another that is not affine in it, find η and λ for which the natural "
            "paths agree to 1 % of the way.",
            lambda state: state.gaps["natural"] <= 0.01 and _differ_curvedly(state.names),
            example={"lr": 0.1, "damping": 0.01},
        ),
        play="time",
    )


def _differ_curvedly(names: tuple[str, str]) -> bool:
    """Whether one parametrisation is affine in (μ, σ) and the other is not."""
    return GAUSSIAN[names[0]].affine != GAUSSIAN[names[1]].affine
