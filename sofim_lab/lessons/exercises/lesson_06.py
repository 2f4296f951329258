"""Exercises of lesson 06, SOFIM assembled."""

from collections.abc import Callable

import torch
from torch import Tensor

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake

Rule = Callable[[Tensor, Tensor, int, float, float, float], tuple[Tensor, Tensor]]  # M, g, t, lr, beta, rho → M, step


def _sofim_case(random: torch.Generator, number: int) -> Case:
    """A start, some gradients in order, and settings for which every part of the step counts."""
    d, steps = ((3, 4), (7, 6), (20, 8), (60, 10), (150, 12))[number % 5]
    start = torch.randn(d, generator=random, dtype=torch.float64)
    gradients = torch.randn(steps, d, generator=random, dtype=torch.float64) + start
    eta, beta, rho = torch.rand(3, generator=random, dtype=torch.float64).tolist()
    return start, gradients, 0.2 + eta, 0.5 + 0.45 * beta, d * (0.3 + rho)


def _walk(rule: Rule) -> Callable[..., Tensor]:
    """The exercise's function for one rule of a step."""

    def walk(start: Tensor, gradients: Tensor, lr: float, beta: float, rho: float) -> Tensor:
        w, moment = start, torch.zeros_like(start)
        for t, g in enumerate(gradients, start=1):
            moment, step = rule(moment, g, t, lr, beta, rho)
            w = w - step
        return w

    return walk


def _dense(moment: Tensor, g: Tensor, t: int, lr: float, beta: float, rho: float) -> tuple[Tensor, Tensor]:
    """Algorithm 1 with the matrix written down."""
    moment = beta * moment + (1 - beta) * g
    m = moment / (1 - beta**t)
    fisher = torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype)
    return moment, lr * torch.linalg.solve(fisher, m)


def _rule(
    average: Callable[[Tensor, Tensor, float], Tensor] = lambda moment, g, beta: beta * moment + (1 - beta) * g,
    correction: Callable[[float, int], float] = lambda beta, t: 1 - beta**t,
    scale: Callable[[Tensor, float, float], float | Tensor] = lambda m, lr, rho: lr / (rho + m @ m),
    latest: bool = False,
) -> Callable[..., Tensor]:
    """The right step with one of its parts replaced."""

    def rule(moment: Tensor, g: Tensor, t: int, lr: float, beta: float, rho: float) -> tuple[Tensor, Tensor]:
        moment = average(moment, g, beta)
        m = moment / correction(beta, t)
        return moment, scale(m, lr, rho) * (g if latest else m)

    return _walk(rule)


def _clipped_case(random: torch.Generator, number: int) -> Case:
    """‖m‖ from far below √ρ/2 to far above √ρ."""
    d = (3, 7, 20, 50, 200)[number % 5]
    eta, exponent = torch.rand(2, generator=random, dtype=torch.float64).tolist()
    rho = 10 ** (2 * exponent - 1)
    m = torch.randn(d, generator=random, dtype=torch.float64)
    size = (0.02, 0.4, 0.7, 1.5, 30.0)[number % 5] * rho**0.5
    return m * (size / torch.linalg.vector_norm(m)), 0.2 + eta, rho


def _clipped_step(m: Tensor, lr: float, rho: float) -> Tensor:
    """The shorter of the step at the rate η/ρ and the step of length η/(2√ρ)."""
    full = lr / rho * m
    longest = lr / (2 * rho**0.5)
    return full if torch.linalg.vector_norm(full) <= longest else longest * m / torch.linalg.vector_norm(m)


EXERCISES = (
    Exercise(
        id="06.sofim",
        cases=_sofim_case,
        reference=_walk(_dense),
        mistakes=(
            Mistake(
                _rule(scale=lambda m, lr, rho: -lr / (rho + m @ m)),
                "The sign is wrong: the step goes uphill. It is subtracted, w = w − η F⁻¹m.",
            ),
            Mistake(
                _rule(correction=lambda beta, t: 1.0),
                "The bias correction is missing: divide M by 1 − βᵗ before you use it.",
            ),
            Mistake(
                _rule(correction=lambda beta, t: 1 - beta),
                "The correction is 1 − βᵗ, with the number t of the step, not 1 − β.",
            ),
            Mistake(
                _rule(correction=lambda beta, t: 1 - beta ** (t + 1)),
                "The steps are counted from 1: in the first one the correction is 1 − β, so that m = g.",
            ),
            Mistake(
                _rule(average=lambda moment, g, beta: beta * moment + g),
                "This is the sum of heavy-ball momentum. The mean weights the new gradient by 1 − β.",
            ),
            Mistake(
                _rule(average=lambda moment, g, beta: (1 - beta) * moment + beta * g),
                "β and 1 − β have changed places: the old average gets β.",
            ),
            Mistake(
                _rule(average=lambda moment, g, beta: g, correction=lambda beta, t: 1.0),
                "This takes the latest gradient alone. M has to be carried from step to step.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr / (m @ m)),
                "ρ is missing: F⁻¹m = m / (ρ + ‖m‖²).",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr / (rho + torch.linalg.vector_norm(m))),
                "The norm must be squared: ‖m‖² = mᵀm.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: 1 / (rho + m @ m)),
                "The rate lr is missing.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr / (rho + m * m)),
                "m * m squares each entry by itself. ‖m‖² is one number, m @ m.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr / (rho + m.square().mean())),
                "This takes the mean of the squares. ‖m‖² is their sum.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr * (rho + m @ m)),
                "This multiplies with ρ + ‖m‖². The inverse divides by it.",
            ),
            Mistake(
                _rule(scale=lambda m, lr, rho: lr / rho),
                "This is the limit for large ρ. The rank-one part m mᵀ of F is missing.",
            ),
            Mistake(
                _rule(latest=True),
                "The step is along g with SOFIM's rate. Algorithm 1 goes along m.",
            ),
        ),
        hints=(
            "Go through the rows of `gradients` with enumerate(gradients, start=1): t and g of each step.",
            "In each step: M = beta * M + (1 - beta) * g, then m = M / (1 - beta**t). M begins as zeros.",
            "F⁻¹m needs no matrix: w = w - lr * m / (rho + m @ m). Return w after the last step.",
        ),
        widest=4,
    ),
    Exercise(
        id="06.clipped",
        cases=_clipped_case,
        reference=_clipped_step,
        mistakes=(
            Mistake(
                lambda m, lr, rho: lr * m / (rho + m @ m),
                "This is SOFIM's own step. Clipping keeps the rate η/ρ up to the bound, and the bound beyond it.",
            ),
            Mistake(
                lambda m, lr, rho: lr / rho * m * min(1.0, float(rho**0.5 / torch.linalg.vector_norm(m))),
                "A factor 2 is missing: this clips at η/√ρ, twice SOFIM's longest step.",
            ),
            Mistake(
                lambda m, lr, rho: lr / (2 * rho**0.5) * m / torch.linalg.vector_norm(m),
                "This normalises always: small m must keep the rate η/ρ.",
            ),
            Mistake(
                lambda m, lr, rho: lr / (2 * rho**0.5) * m if 2 * m.norm() > rho**0.5 else lr / rho * m,
                "Beyond the bound the step has to have the length η/(2√ρ): divide m by its norm there.",
            ),
            Mistake(
                lambda m, lr, rho: lr / rho * m,
                "This never clips: no step may be longer than η/(2√ρ).",
            ),
            Mistake(
                lambda m, lr, rho: (lr / rho * m).clamp(-lr / (2 * rho**0.5), lr / (2 * rho**0.5)),
                "This clips each entry by itself and turns the direction. Clip the norm: scale the whole vector.",
            ),
            Mistake(
                lambda m, lr, rho: (
                    lr / (2 * rho**0.5) * m / torch.linalg.vector_norm(m) * max(1.0, float(2 * m.norm() / rho**0.5))
                ),
                "The longer of the two is taken: it must be the shorter.",
            ),
        ),
        hints=(
            "Two candidates point along m: the step η/ρ · m, and the one of length η/(2√ρ). Take the shorter.",
            "η/ρ · ‖m‖ = η/(2√ρ) where ‖m‖ = √ρ/2: below that the step is η/ρ · m.",
            "lr / rho * m * min(1, rho**0.5 / (2 * ‖m‖)), with torch.linalg.vector_norm for ‖m‖.",
        ),
    ),
)
