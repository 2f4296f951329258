"""Exercises of lesson 00, Start here."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _step_case(random: torch.Generator, number: int) -> Case:
    """A vector, a rate and a ρ, none of them 1."""
    d = (2, 3, 5, 20, 100)[number % 5]
    m = torch.randn(d, generator=random, dtype=torch.float64)
    lr, rho = torch.rand(2, generator=random, dtype=torch.float64).tolist()
    return m, 0.1 + 0.8 * lr, 2 + 3 * rho


def _dense_step(m: torch.Tensor, lr: float, rho: float) -> torch.Tensor:
    """−η(m mᵀ + ρI)⁻¹m by a dense solve."""
    return -lr * torch.linalg.solve(torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype), m)


def _rate_case(random: torch.Generator, number: int) -> Case:
    """η, β and ρ, none of them 1."""
    lr, beta, rho = torch.rand(3, generator=random, dtype=torch.float64).tolist()
    return 0.2 + 0.6 * lr, 0.55 + 0.4 * beta, 1.5 + 4 * rho


def _rate_by_running(lr: float, beta: float, rho: float) -> torch.Tensor:
    """The lr at which the sum of momentum goes as far as the mean, found by summing gradients that are all 1."""
    total = mean = 0.0
    for _ in range(2000):
        total = beta * total + 1
        mean = beta * mean + (1 - beta)
    return torch.tensor(lr / rho * mean / total, dtype=torch.float64)


def _number(value: float) -> torch.Tensor:
    """A float as a tensor."""
    return torch.tensor(value, dtype=torch.float64)


EXERCISES = (
    Exercise(
        id="00.step",
        cases=_step_case,
        reference=_dense_step,
        mistakes=(
            Mistake(
                lambda m, lr, rho: lr * m / (rho + m @ m),
                "The sign is wrong: the step goes against m, downhill. There is a minus in (2).",
            ),
            Mistake(lambda m, lr, rho: -m / (rho + m @ m), "The rate lr is missing: η stands before the fraction."),
            Mistake(lambda m, lr, rho: -lr * m / (m @ m), "ρ is missing in the denominator, ρ + ‖m‖²."),
            Mistake(lambda m, lr, rho: -lr * m / rho, "‖m‖² is missing in the denominator, ρ + ‖m‖²."),
            Mistake(
                lambda m, lr, rho: -lr * m / (rho + torch.linalg.vector_norm(m)),
                "The norm must be squared: ‖m‖² = mᵀm.",
            ),
            Mistake(
                lambda m, lr, rho: -lr * m / (rho + m * m),
                "m * m squares each entry by itself. ‖m‖² is one number, the sum of the squares: m @ m.",
            ),
            Mistake(
                lambda m, lr, rho: -lr * m / (rho + m.square().mean()),
                "This takes the mean of the squares. ‖m‖² is their sum.",
            ),
            Mistake(
                lambda m, lr, rho: -lr * m * (rho + m @ m),
                "This multiplies with ρ + ‖m‖². The inverse divides by it.",
            ),
        ),
        hints=(
            "‖m‖² is one number for the whole vector, the sum of the squares of its entries.",
            "In PyTorch m @ m is ‖m‖².",
            "return -lr * m / (rho + m @ m)",
        ),
        widest=16,
        otherwise="Try m = (1, 0) with lr = 1 and ρ = 1: the answer is (−½, 0).",
    ),
    Exercise(
        id="00.sgd_rate",
        cases=_rate_case,
        reference=_rate_by_running,
        mistakes=(
            Mistake(
                lambda lr, beta, rho: _number(lr / rho),
                "The factor 1 − β is missing: SGD sums the gradients where SOFIM averages them.",
            ),
            Mistake(
                lambda lr, beta, rho: _number(lr / rho / (1 - beta)),
                "1 − β stands in the denominator. SGD's sum is longer than the mean, so its rate must be smaller.",
            ),
            Mistake(lambda lr, beta, rho: _number((1 - beta) * lr), "ρ is missing: the rate is (1 − β) η/ρ."),
            Mistake(
                lambda lr, beta, rho: _number((1 - beta) * lr * rho), "This multiplies with ρ. A larger ρ slows SOFIM."
            ),
            Mistake(
                lambda lr, beta, rho: _number(beta * lr / rho),
                "β stands where 1 − β should: with β = 0 the two methods have the same rate, η/ρ.",
            ),
            Mistake(
                lambda lr, beta, rho: _number((1 - beta) * rho / lr),
                "η and ρ have changed places: a larger η is a larger rate.",
            ),
            Mistake(
                lambda lr, beta, rho: _number(lr * rho / (1 - beta)),
                "This is the way back, from SGD's rate to SOFIM's η.",
            ),
        ),
        hints=(
            "Which of the three numbers enter (3)? All of them.",
            "With β = 0 there is no average, and the rate is η/ρ. With β near 1 it is far smaller.",
            "return (1 - beta) * lr / rho",
        ),
        rtol=1e-6,
        otherwise="Try η = 1, β = 0.9, ρ = 0.5, the setting of the race: the answer is 0.2.",
    ),
)
