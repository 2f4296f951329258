"""Exercises of lesson 09, training beyond one machine."""

import math
from collections.abc import Callable

import torch
from scipy.special import ndtr
from torch import Tensor

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _parts_case(random: torch.Generator, number: int) -> Case:
    """A vector m cut among workers, one row each, with a ρ beside which the parts differ."""
    workers, width = ((2, 3), (3, 4), (4, 9), (5, 20), (8, 40))[number % 5]
    sizes = 0.3 + 2 * torch.rand(workers, 1, generator=random, dtype=torch.float64)
    parts = sizes * torch.randn(workers, width, generator=random, dtype=torch.float64) / width**0.5
    lr, rho = (0.2 + torch.rand(2, generator=random, dtype=torch.float64)).tolist()
    return parts, lr, rho * workers


def _dense_step(parts: Tensor, lr: float, rho: float) -> Tensor:
    """The whole matrix, solved and cut up again."""
    m = parts.flatten()
    fisher = torch.outer(m, m) + rho * torch.eye(len(m), dtype=m.dtype)
    return -lr * torch.linalg.solve(fisher, m).view_as(parts)


def _with_norm(square: Callable[[Tensor], Tensor], sign: float = -1.0) -> Callable[[Tensor, float, float], Tensor]:
    """The step with something else in the place of ‖m‖²."""
    return lambda parts, lr, rho: sign * lr * parts / (rho + square(parts))


def _rows_case(random: torch.Generator, number: int) -> Case:
    """Gradients of samples, some longer than the norm C and some shorter; in one case one of them is zero."""
    n, d = ((4, 3), (6, 5), (10, 8), (25, 12), (60, 30))[number % 5]
    rows = torch.randn(n, d, generator=random, dtype=torch.float64) / d**0.5
    rows = rows * 4 ** (2 * torch.rand(n, 1, generator=random, dtype=torch.float64) - 1)
    if number % 5 == 1:
        rows[0] = 0  # a sample that is fitted: its gradient has no direction
    return rows, 0.5 + float(torch.rand(1, generator=random, dtype=torch.float64))


def _clipped_mean(rows: Tensor, clip: float) -> Tensor:
    """One sample after the other."""
    total = torch.zeros_like(rows[0])
    for g in rows:
        length = math.sqrt(float(g @ g))
        total = total + (g if length <= clip else g * (clip / length))
    return total / len(rows)


def _norms(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1, keepdim=True)


def _budget_case(random: torch.Generator, number: int) -> Case:
    """A budget and a number of rounds."""
    one, other = torch.rand(2, generator=random, dtype=torch.float64).tolist()
    return 0.3 + 4 * one, 10 ** (-3 - 4 * other), (5, 20, 50, 100, 400)[number % 5]


def _delta(epsilon: float, mu: float) -> float:
    """δ(ε), written down as it stands in the lesson."""
    return float(ndtr(mu / 2 - epsilon / mu) - math.exp(epsilon) * ndtr(-mu / 2 - epsilon / mu))


def _mu_for(epsilon: float, delta: float) -> float:
    """The μ that a budget allows, by halving an interval."""
    low, high = 1e-4, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _delta(epsilon, middle) < delta else (low, middle)
    return (low + high) / 2


def _noise(epsilon: float, delta: float, rounds: int) -> Tensor:
    return _scalar(rounds**0.5 / _mu_for(epsilon, delta))


def _scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


EXERCISES = (
    Exercise(
        id="09.parts",
        cases=_parts_case,
        reference=_dense_step,
        mistakes=(
            Mistake(
                _with_norm(lambda parts: parts.square().sum(dim=1, keepdim=True)),
                "Each worker divides by its own norm. ‖m‖² is one number: the sum over all workers.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().sum(dim=1).mean()),
                "This is the mean of the workers' squared norms. The squares of the parts add up.",
            ),
            Mistake(
                _with_norm(lambda parts: torch.linalg.vector_norm(parts, dim=1).sum() ** 2),
                "This adds norms and squares the sum. Square first, then add: ‖m‖² = Σ ‖m_r‖².",
            ),
            Mistake(
                _with_norm(lambda parts: torch.linalg.vector_norm(parts, dim=1).sum()),
                "This adds norms. It is their squares that add up.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().sum(dim=1).max()),
                "This takes the largest of the squared norms. They have to be added.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().sum(dim=0)),
                "Each entry gets a denominator of its own: dim=0 adds over the workers. ‖m‖² is one number.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().sum().sqrt()),
                "The denominator has ‖m‖ in it. It is the square that is asked for: ρ + ‖m‖².",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().mean()),
                "This is the mean of the squared entries. They have to be added.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.sum().square()),
                "This adds the entries and squares the sum. Square each entry first, then add.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.sum(dim=0).square().sum()),
                "This adds the parts entry by entry, as if all workers held the same entries. Add their squared norms.",
            ),
            Mistake(
                _with_norm(lambda parts: parts.square().sum(), sign=1.0),
                "The sign is wrong: the step goes uphill. It is −η m/(ρ + ‖m‖²).",
            ),
            Mistake(
                lambda parts, lr, rho: -lr * parts / (len(parts) * rho + parts.square().sum()),
                "ρ is added once, after the sum over the workers, not once a worker.",
            ),
            Mistake(
                lambda parts, lr, rho: -lr * parts / parts.square().sum(),
                "ρ is missing: the denominator is ρ + ‖m‖².",
            ),
            Mistake(
                lambda parts, lr, rho: -lr * parts / rho,
                "‖m‖² is missing: the denominator is ρ + ‖m‖².",
            ),
        ),
        hints=(
            "What each worker contributes is one number, the sum of the squares of its own entries.",
            "Add these numbers over all rows: this is the all-reduce. Squares add up; norms do not.",
            "The step is −η m/(ρ + ‖m‖²), with the same scalar in every row: -lr * parts / (rho + total).",
        ),
        widest=2,
        otherwise="Compare the first entries below: −η m/(ρ + ‖m‖²), with one ‖m‖² for all rows.",
    ),
    Exercise(
        id="09.clip",
        cases=_rows_case,
        reference=_clipped_mean,
        mistakes=(
            Mistake(
                lambda rows, clip: rows.mean(dim=0) * min(1.0, clip / float(rows.mean(dim=0).norm())),
                "This clips the mean, if anything: one sample can shift the sum by any length. Clip each row first.",
            ),
            Mistake(
                lambda rows, clip: rows.sum(dim=0) * min(1.0, clip / float(rows.sum(dim=0).norm())) / len(rows),
                "This clips the sum: one sample can turn it to anywhere. Clip each row first.",
            ),
            Mistake(
                lambda rows, clip: (rows * min(1.0, clip / float(rows.norm()))).mean(dim=0),
                "All rows get one factor, from the norm of the whole matrix. Each row has its own norm and factor.",
            ),
            Mistake(
                lambda rows, clip: (rows * (clip / torch.linalg.vector_norm(rows, dim=0)).clamp(max=1)).mean(dim=0),
                "This clips columns: dim=0 runs over the samples. The norm of a row is taken over dim=1.",
            ),
            Mistake(
                lambda rows, clip: rows.clamp(-clip, clip).mean(dim=0),
                "This clips each entry by itself. The norm of a row is what C bounds.",
            ),
            Mistake(
                lambda rows, clip: (clip * rows / _norms(rows)).mean(dim=0),
                "This gives every row the length C. Rows shorter than C stay as they are.",
            ),
            Mistake(
                lambda rows, clip: (clip * rows / _norms(rows).clamp(min=1e-12)).mean(dim=0),
                "This gives every row the length C. Rows shorter than C stay as they are.",
            ),
            Mistake(
                lambda rows, clip: (rows * (_norms(rows) / clip).clamp(max=1)).mean(dim=0),
                "The factor is upside down: it is C/‖g‖, for rows longer than C.",
            ),
            Mistake(
                lambda rows, clip: (rows / _norms(rows).clamp(min=1)).mean(dim=0),
                "This clips to the length 1. The factor is min(1, C/‖g‖).",
            ),
            Mistake(
                lambda rows, clip: (rows * (clip / _norms(rows)).clamp(max=1)).sum(dim=0),
                "This is the sum. Divide by the number of samples.",
            ),
            Mistake(
                lambda rows, clip: (rows * (clip / _norms(rows) ** 2).clamp(max=1)).mean(dim=0),
                "The factor is C/‖g‖, not C/‖g‖².",
            ),
            Mistake(
                lambda rows, clip: (rows * (_norms(rows) <= clip)).mean(dim=0),
                "This drops the rows that are too long. They are shortened to the length C.",
            ),
            Mistake(
                lambda rows, clip: rows[_norms(rows)[:, 0] <= clip].mean(dim=0),
                "This drops the rows that are too long. They are shortened to the length C.",
            ),
            Mistake(
                lambda rows, clip: (rows * (clip / _norms(rows)).clamp(min=1)).mean(dim=0),
                "The factor must not exceed 1: this lengthens short rows and leaves the long ones.",
            ),
            Mistake(
                lambda rows, clip: (rows / _norms(rows) * _norms(rows).clamp(max=clip)).mean(dim=0),
                "A row of zeros has no direction, and 0/0 is nan. Multiply each row by the smaller of 1 and C/‖g‖.",
            ),
        ),
        hints=(
            "torch.linalg.vector_norm(rows, dim=1) gives the norm of each row.",
            "The factor of a row is min(1, C/‖g‖): (C / norms).clamp(max=1).",
            "Multiply the rows by the factors as a column, factors[:, None], and take the mean over the rows.",
        ),
        otherwise="Compare the first entries below: each row times min(1, C/‖row‖), then the mean over the rows.",
    ),
    Exercise(
        id="09.noise",
        cases=_budget_case,
        reference=_noise,
        mistakes=(
            Mistake(
                lambda epsilon, delta, rounds: _noise(epsilon, delta, 1),
                "That is enough for a single round. After T rounds μ is √T times as large.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: rounds**0.5 * _noise(epsilon, delta, rounds),
                "This grows with T. The noise has to grow with √T only.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: _scalar(math.sqrt(2 * math.log(1.25 / delta) * rounds) / epsilon),
                "This is the classical bound √(2 ln(1.25/δ))/ε: more noise than needed, and proved for ε ≤ 1 only.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: 1 / _noise(epsilon, delta, rounds),
                "This is the inverse: σ = √T/μ.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: _scalar(_mu_for(epsilon, delta)),
                "This is the μ that the budget allows. The noise is σ = √T/μ.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: rounds**0.5 * _scalar(_mu_for(epsilon, delta)),
                "√T is divided by μ, not multiplied: more privacy is a smaller μ and needs more noise.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: 2 * _noise(epsilon, delta, rounds),
                "Twice the noise is for neighbours that replace a sample. Here one is added or removed.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: _noise(epsilon / rounds, delta / rounds, 1),
                "This gives each round an equal share of ε and δ. That is private, but needs more noise than (7) does.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: _scalar(rounds**0.5 / 1e-4),
                "The search ended at the low end of its interval: it keeps the wrong half. δ grows with μ.",
            ),
            Mistake(
                lambda epsilon, delta, rounds: _scalar(rounds**0.5 / 50.0),
                "The search ended at the high end of its interval: it keeps the wrong half. δ grows with μ.",
            ),
        ),
        hints=(
            "gaussian_delta(epsilon, mu) grows with mu. Look for the μ at which it is delta.",
            "Halve an interval: start with low, high = 1e-4, 50.0 and keep the half in which δ is crossed, 100 times.",
            "The answer is rounds**0.5 / mu.",
        ),
        rtol=1e-5,
        otherwise="Try your σ: gaussian_delta(epsilon, √rounds/σ) has to be delta. If it nearly is, go on searching.",
    ),
)
