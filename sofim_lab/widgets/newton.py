"""Explorers of lesson 01: gradient descent on a quadratic, and Newton's rules on surfaces with saddles."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ipywidgets as W
import torch
from torch import Tensor

from sofim_lab.optim import Newton
from sofim_lab.plots import Picture, new_axes, picture
from sofim_lab.plots.descent import plot_convergence, plot_map
from sofim_lab.plots.scale import number
from sofim_lab.problems import SURFACES, Surface, quadratic
from sofim_lab.problems.surfaces import Point
from sofim_lab.training import Descent, descend_on, pure_newton
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider, slider

_DIGITS = 1e-6  # the error asked for, relative to the start
_QUADRATIC_STEPS = 100
_SURFACE_STEPS = 20
_RADIUS = 1.1  # of the starts on the quadratic

METHODS: dict[str, Callable[[float], Callable[[list[Any]], torch.optim.Optimizer]]] = {
    "pure Newton": lambda _: lambda p: Newton(p, damping=0.0, globalisation="none"),
    "gradient descent": lambda rate: lambda p: torch.optim.SGD(p, lr=rate),
    "damped, H + λI": lambda damping: lambda p: Newton(p, damping=damping, globalisation="none"),
    "saddle-free, |H|": lambda damping: lambda p: Newton(p, damping=damping),
    "eigenvalue shift": lambda damping: lambda p: Newton(p, damping=damping, globalisation="shift"),
    "Levenberg–Marquardt": lambda damping: lambda p: Newton(p, damping=damping, globalisation="lm"),
}


@dataclass(frozen=True, eq=False)
class QuadraticState:
    """The first steps of gradient descent, and one Newton step, on ½(x² + κy²)."""

    surface: Surface
    condition: float
    share: float  # η λ_max
    path: Tensor  # (steps + 1, 2)
    newton: Tensor  # (2, 2)

    @property
    def factor(self) -> float:
        """By how much a step multiplies the worse of the two errors: max |1 − ηλ|."""
        return max(abs(1 - self.share), abs(1 - self.share / self.condition))

    @property
    def best_factor(self) -> float:
        """The smallest such factor over all rates, (κ − 1)/(κ + 1)."""
        return (self.condition - 1) / (self.condition + 1)


def steps_needed(factor: float, digits: float = _DIGITS) -> float:
    """Steps until an error that each one multiplies by `factor` has shrunk to `digits`; infinite from 1 on."""
    if factor >= 1 - 1e-12:
        return math.inf
    return 1 if factor <= digits else math.ceil(math.log(digits) / math.log(factor) - 1e-9)


def quadratic_state(condition: float, share: float, angle: float, steps: int = _QUADRATIC_STEPS) -> QuadraticState:
    """Both paths from one start.

    Args:
        condition: κ ≥ 1, the eigenvalues of H are 1 and κ.
        share: Learning rate in units of 1/λ_max: gradient descent converges below 2.
        angle: Of the start from the x-axis, in degrees.
        steps: Of gradient descent, 1 or more.

    Returns:
        The state that `render_quadratic` draws.
    """
    turn = math.radians(angle)
    start = _RADIUS * torch.tensor([math.cos(turn), math.sin(turn)], dtype=torch.float64)
    shrink = 1 - share / condition * torch.tensor([1.0, condition], dtype=torch.float64)
    path = start * shrink ** torch.arange(steps + 1)[:, None]  # equation (2)
    surface = quadratic(condition)
    return QuadraticState(surface, condition, share, path, pure_newton(surface, start, steps=1))


def render_quadratic(state: QuadraticState) -> Picture:
    """Left the paths on the map, right the errors, with what they say in words."""
    left, right = new_axes(2, width=10.0, height=4.0)
    paths = {"gradient descent": state.path, "Newton": state.newton}
    plot_map(state.surface, paths, left)
    plot_convergence({name: torch.linalg.vector_norm(path, dim=1) for name, path in paths.items()}, right)
    right.set_xlim(-0.04 * _QUADRATIC_STEPS, 1.04 * _QUADRATIC_STEPS)  # the same while the steps are played
    first, last = torch.linalg.vector_norm(state.path[[0, -1]], dim=1).tolist()
    needed, best = steps_needed(state.factor), steps_needed(state.best_factor)
    fate = "never comes closer" if math.isinf(needed) else f"needs at most {needed:,} steps for six digits"
    return picture(
        left,
        f"Condition number {state.condition:.3g}, learning rate {state.share:.3g}/λ_max. A step of gradient descent "
        f"multiplies the errors along the two axes by {1 - state.share / state.condition:.3f} and "
        f"{1 - state.share:.3f}: it {fate}. With the best rate it would be {best:,}. Drawn: {len(state.path) - 1} of "
        f"its steps, after which the error is {number(last / first)} of the first. Newton's step lands on the minimum "
        f"at once.",
    )


def quadratic_explorer() -> Explorer[QuadraticState]:
    """Move the condition number, the learning rate and the start; compare gradient descent with Newton's step."""
    return Explorer(
        {
            "condition": log_slider("κ", 5.0, 0, 3, 0.05),
            "share": slider("η · λ_max", 0.5, 0.05, 2.2, 0.01),
            "angle": slider("start, °", 40.0, 0.0, 90.0, 1.0),
            "steps": W.IntSlider(value=_QUADRATIC_STEPS, min=1, max=_QUADRATIC_STEPS, description="steps"),
        },
        quadratic_state,
        render_quadratic,
        goal=Goal(
            "at a condition number of 20 or more, find a learning rate with which gradient descent needs at most 10 % "
            "more steps than with the best one.",
            lambda s: s.condition >= 20 and steps_needed(s.factor) <= 1.1 * steps_needed(s.best_factor),
            example={"condition": 100.0, "share": 1.98},
        ),
        play="steps",
        interval=150,
    )


@dataclass(frozen=True, eq=False)
class SurfaceState:
    """A method and pure Newton from one start."""

    surface: Surface
    method: str
    setting: float
    run: Descent
    pure: Descent
    steps: int = _SURFACE_STEPS  # how many are drawn

    @property
    def runs(self) -> dict[str, Descent]:
        """Name to run; one where the method is pure Newton itself."""
        return {"pure Newton": self.pure, self.method: self.run}


@lru_cache(maxsize=32)
def _run(surface: str, method: str, setting: float, start: Point) -> Descent:
    """All steps of a method; fewer are its beginning, so that playing costs nothing."""
    return descend_on(SURFACES[surface], METHODS[method](setting), start, steps=_SURFACE_STEPS)


def surface_state(
    surface: str, method: str, setting: float, x: float, y: float, steps: int = _SURFACE_STEPS
) -> SurfaceState:
    """Twenty steps of a method, and as many of pure Newton, from the same start.

    Args:
        surface: A key of `SURFACES`.
        method: A key of `METHODS`.
        setting: λ; for gradient descent the learning rate; pure Newton has none.
        x: Start, from −1 (left edge of the window) to 1 (right edge).
        y: Start, from −1 (bottom) to 1 (top).
        steps: How many are drawn.

    Returns:
        The state that `render_surface` draws.
    """
    ground = SURFACES[surface]
    left, right, bottom, top = ground.window
    start = (left + (right - left) * (x + 1) / 2, bottom + (top - bottom) * (y + 1) / 2)
    pure = _run(surface, "pure Newton", 0.0, start)
    run = pure if method == "pure Newton" else _run(surface, method, setting, start)
    return SurfaceState(ground, method, setting, run, pure, steps)


def render_surface(state: SurfaceState) -> Picture:
    """Left the paths on the map, right the norm of the gradient, with what they say in words."""
    left, right = new_axes(2, width=10.0, height=4.2)
    runs, shown = state.runs, slice(state.steps + 1)
    plot_map(state.surface, {name: run.points[shown] for name, run in runs.items()}, left)
    plot_convergence({name: r.gradient_norms[shown] for name, r in runs.items()}, right, ylabel="norm of the gradient")
    longest = max(run.steps for run in runs.values())
    right.set_xlim(-0.04 * longest, 1.04 * longest)  # the same while the steps are played
    setting = {"pure Newton": "", "gradient descent": f" at η = {state.setting:.3g}"}.get(
        state.method, f" with λ = {state.setting:.3g}"
    )
    words = f"{state.surface.name}, start {_place(state.run.points[0])}. {in_words('Pure Newton', state.pure)}"
    if state.method != "pure Newton":
        words += " " + in_words(state.method[0].upper() + state.method[1:] + setting, state.run)
    if state.steps < longest:
        places = [f"{name} is at {_place(run.points[shown][-1])}" for name, run in runs.items()]
        words += f" Drawn: the first {state.steps} steps, after which {' and '.join(places)}."
    return picture(left, words)


def _place(point: Tensor) -> str:
    """Coordinates in brackets."""
    return "({:.2f}, {:.2f})".format(*(round(coordinate, 2) + 0.0 for coordinate in point.tolist()))  # + 0.0: no −0.00


def in_words(name: str, run: Descent) -> str:
    """One sentence on where a run ended."""
    place = _place(run.points[-1])
    fate = {
        "on the way": f"is at {place} after {run.steps} steps, loss {float(run.losses[-1]):.3g}, not settled",
        "diverged": f"diverges within {run.steps} steps",
        "singular": f"stops after {run.steps} steps: the matrix of its step is singular there",
    }.get(run.end, f"ends at a {run.end}, {place}, loss {float(run.losses[-1]):.3g}, after {run.steps} steps")
    return f"{name} {fate}."


def surface_explorer() -> Explorer[SurfaceState]:
    """Move the start, the method and its damping over surfaces with saddles; pure Newton is always drawn, too."""

    def rescued(state: SurfaceState) -> bool:
        return state.pure.end == "saddle" and state.run.end == "minimum"

    return Explorer(
        {
            "surface": W.Dropdown(options=[name for name in SURFACES if name != "quadratic"], value="saddle",
                                  description="surface"),
            "method": W.Dropdown(options=list(METHODS), value="pure Newton", description="method"),
            "setting": log_slider("λ (or η)", 0.1, -3, 2),
            "x": slider("start x", 0.6, -1.0, 1.0, 0.02),
            "y": slider("start y", 0.6, -1.0, 1.0, 0.02),
            "steps": W.IntSlider(value=_SURFACE_STEPS, min=0, max=_SURFACE_STEPS, description="steps"),
        },
        surface_state,
        render_surface,
        goal=Goal(
            "find a start from which pure Newton ends at a saddle, and a method that reaches a minimum from there.",
            rescued,
            example={"method": "saddle-free, |H|", "y": 0.1},
        ),
        play="steps",
    )  # fmt: skip
