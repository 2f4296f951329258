"""Exercises of lesson 07, loss landscapes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _rows(matrix: Tensor) -> Tensor:
    """‖·‖ of each row, shape (h, 1)."""
    return torch.linalg.vector_norm(matrix, dim=1, keepdim=True)


def _filter_case(random: torch.Generator, number: int) -> Case:
    """A direction, and a weight whose rows differ in length."""
    h, p = ((2, 3), (4, 2), (5, 5), (16, 9), (10, 30))[number % 5]
    direction = torch.randn(h, p, generator=random, dtype=torch.float64)
    weight = torch.randn(h, p, generator=random, dtype=torch.float64)
    return direction, weight * torch.logspace(-1, 1, h, dtype=torch.float64)[:, None]


def _by_matrix(direction: Tensor, weight: Tensor) -> Tensor:
    """The rows scaled by a diagonal matrix of ratios."""
    ratio = (weight @ weight.mT).diagonal().sqrt() / (direction @ direction.mT).diagonal().sqrt()
    return torch.diag(ratio) @ direction


def _flattest_case(random: torch.Generator, number: int) -> Case:
    """Diagonals of a Hessian, none of them negative, with the two layers far from balance."""
    sizes = ((2, 3, 1), (6, 4, 2), (20, 10, 5), (65, 20, 10), (200, 100, 10))[number % 5]
    scales = (0.1, 30.0, 1.0) if number % 2 else (50.0, 0.2, 3.0)
    return tuple(
        scale * torch.rand(size, generator=random, dtype=torch.float64).add(0.1)
        for size, scale in zip(sizes, scales, strict=True)
    )


def _trace(alpha: float, first: float, second: float, rest: float) -> float:
    """The trace of the Hessian after the rescaling by α."""
    return first / alpha**2 + second * alpha**2 + rest


def _by_bisection(first: Tensor, second: Tensor, rest: Tensor) -> Tensor:
    """The root of the trace's slope in log α."""
    a, b, c = (math.fsum(part.tolist()) for part in (first, second, rest))
    low, high = -30.0, 30.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if b * math.exp(2 * middle) < a * math.exp(-2 * middle) else (low, middle)
    return torch.tensor([math.exp(low), _trace(math.exp(low), a, b, c)], dtype=torch.float64)


def _with(power: float, *, flipped: bool = False, rest: bool = True, least: bool = False) -> Callable[..., Tensor]:
    """The right answer with a part of it wrong; `least` keeps the smallest trace beside a wrong α, as by (11)."""

    def answer(first: Tensor, second: Tensor, other: Tensor) -> Tensor:
        a, b, c = float(first.sum()), float(second.sum()), float(other.sum()) if rest else 0.0
        alpha = (b / a if flipped else a / b) ** power
        return torch.tensor([alpha, _trace((a / b) ** 0.25 if least else alpha, a, b, c)], dtype=torch.float64)

    return answer


def _means(first: Tensor, second: Tensor, rest: Tensor) -> Tensor:
    """The traces replaced by means."""
    return _with(0.25)(first.mean(), second.mean(), rest.mean())


def _unbalanced(first: Tensor, second: Tensor, rest: Tensor) -> Tensor:
    """The right α, the trace as it was."""
    alpha = float(first.sum() / second.sum()) ** 0.25
    return torch.tensor([alpha, _trace(1.0, float(first.sum()), float(second.sum()), float(rest.sum()))]).double()


EXERCISES = (
    Exercise(
        id="07.filter",
        cases=_filter_case,
        reference=_by_matrix,
        mistakes=(
            Mistake(
                lambda d, w: d * torch.linalg.vector_norm(w) / torch.linalg.vector_norm(d),
                "This scales the whole matrix by one number: that is layer normalisation. Each row has its own factor.",
            ),
            Mistake(
                lambda d, w: d * torch.linalg.vector_norm(w, dim=0) / torch.linalg.vector_norm(d, dim=0),
                "These are the norms of the columns. A filter is a row: the weights into one output.",
            ),
            Mistake(
                lambda d, w: d * _rows(d) / _rows(w),
                "The ratio is upside down: row i is multiplied by ‖wᵢ‖ and divided by ‖dᵢ‖.",
            ),
            Mistake(
                lambda d, w: d / _rows(d),
                "The rows have length one now. They need the length of the weight's rows: multiply by ‖wᵢ‖.",
            ),
            Mistake(
                lambda d, w: d * _rows(w),
                "The direction's own length is still in there: divide row i by ‖dᵢ‖ first.",
            ),
            Mistake(
                lambda d, w: d * _rows(w) ** 2 / _rows(d) ** 2,
                "These are squared norms. Take the root of each sum of squares.",
            ),
            Mistake(
                lambda d, w: d * w.abs().sum(1, keepdim=True) / d.abs().sum(1, keepdim=True),
                "This is the sum of absolute values. ‖·‖ is the root of the sum of squares.",
            ),
            Mistake(
                lambda d, w: w * (_rows(d) > 0),
                "This returns the weight. The direction keeps its own entries; only their size changes.",
            ),
        ),
        hints=(
            "A filter is one row. torch.linalg.vector_norm(weight, dim=1) gives one norm a row, shape (h,).",
            "keepdim=True makes the norms a column (h, 1), which then divides and multiplies whole rows.",
            "direction * norm(weight) / norm(direction), both norms with dim=1, keepdim=True.",
        ),
    ),
    Exercise(
        id="07.flattest",
        cases=_flattest_case,
        reference=_by_bisection,
        mistakes=(
            Mistake(_with(0.5), "A root is missing: the slope is zero where α⁴ (not α²) is the ratio of the traces."),
            Mistake(
                _with(0.25, flipped=True),
                "The ratio is upside down: a first layer with much curvature is to be made larger, α > 1.",
            ),
            Mistake(_with(1.0), "α⁴ is the ratio of the two traces: take the fourth root."),
            Mistake(_with(0.5, least=True), "The trace is right. α lacks a root: α⁴ (not α²) is t₁/t₂."),
            Mistake(_with(0.25, flipped=True, least=True), "The trace is right. α is upside down: it is (t₁/t₂)^¼."),
            Mistake(
                _with(0.25, rest=False),
                "α is right. The trace lacks what the rescaling leaves alone: add the sum of `rest`.",
            ),
            Mistake(_means, "These are means. A trace is the sum of the diagonal, and the layers differ in size."),
            Mistake(_unbalanced, "α is right. The trace is that before the rescaling: put α into t₁/α² + α²t₂ + t₃."),
        ),
        hints=(
            "With t₁, t₂, t₃ the sums of the three arguments, the trace is t₁/α² + α²t₂ + t₃. Differentiate by α.",
            "−2t₁/α³ + 2αt₂ = 0, so α⁴ = t₁/t₂.",
            "torch.stack([alpha, t1 / alpha**2 + alpha**2 * t2 + t3]) makes one tensor of the two numbers.",
        ),
    ),
)
