"""Exercises of lesson 02, natural gradient."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake

solve = torch.linalg.solve


def _scores_case(random: torch.Generator, number: int) -> Case:
    """Scores of a few outcomes with mean zero, their probabilities, and a vector."""
    outcomes, d = ((2, 3), (3, 2), (5, 8), (10, 30), (7, 100))[number % 5]
    scores = torch.randn(outcomes, d, generator=random, dtype=torch.float64)
    p = torch.softmax(torch.randn(outcomes, generator=random, dtype=torch.float64), 0)
    return scores - p @ scores, p, torch.randn(d, generator=random, dtype=torch.float64)


def _fisher_times(scores: torch.Tensor, p: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """F v the long way: the sum of the outer products, then the product."""
    return sum(weight * torch.outer(s, s) for weight, s in zip(p, scores, strict=True)) @ v


def _positive(random: torch.Generator, d: int) -> torch.Tensor:
    """A positive definite matrix with condition number of about a hundred."""
    root = torch.randn(d, d, generator=random, dtype=torch.float64)
    return root @ root.T / d + 0.05 * torch.eye(d, dtype=torch.float64)


def _step_case(random: torch.Generator, number: int) -> Case:
    """A Fisher matrix, a gradient and a KL radius from 0.001 to 1."""
    d = (2, 3, 5, 10, 30)[number % 5]
    g = torch.randn(d, generator=random, dtype=torch.float64)
    return _positive(random, d), g, float(10 ** (-3 * torch.rand((), generator=random, dtype=torch.float64)))


def _natural_step(F: torch.Tensor, g: torch.Tensor, epsilon: float) -> torch.Tensor:
    """In coordinates u = Rᵀδ with F = R Rᵀ the constraint is a sphere: go along −R⁻¹g to its edge, and back."""
    root = torch.linalg.cholesky(F)
    slope = torch.linalg.solve_triangular(root, g[:, None], upper=False)[:, 0]
    u = -((2 * epsilon) ** 0.5) * slope / torch.linalg.vector_norm(slope)
    return torch.linalg.solve_triangular(root.T, u[:, None], upper=True)[:, 0]


def _length(F: torch.Tensor, g: torch.Tensor, epsilon: float) -> torch.Tensor:
    """The factor √(2ε / gᵀF⁻¹g)."""
    return torch.sqrt(2 * epsilon / (g @ solve(F, g)))


def _coordinates_case(random: torch.Generator, number: int) -> Case:
    """F and g in w, a Jacobian ∂w/∂θ that is not symmetric, and λ from 0.01 to 1."""
    d = (2, 3, 4, 8, 20)[number % 5]
    g = torch.randn(d, generator=random, dtype=torch.float64)
    J = 2 * torch.eye(d, dtype=torch.float64) + torch.randn(d, d, generator=random, dtype=torch.float64) / d**0.5
    return _positive(random, d), g, J, float(10 ** (-2 * torch.rand((), generator=random, dtype=torch.float64)))


def _seen_in_w(F: torch.Tensor, g: torch.Tensor, J: torch.Tensor, damping: float) -> torch.Tensor:
    """−(F + λ(JJᵀ)⁻¹)⁻¹g."""
    return -solve(F + damping * torch.linalg.inv(J @ J.T), g)


def _eye(F: torch.Tensor) -> torch.Tensor:
    """The unit matrix of that size."""
    return torch.eye(len(F), dtype=F.dtype)


EXERCISES = (
    Exercise(
        id="02.fisher_times",
        cases=_scores_case,
        reference=_fisher_times,
        mistakes=(
            Mistake(
                lambda scores, p, v: scores.T @ (scores @ v),
                "This is a sum over the outcomes, each counted once. An expectation weights each with its probability.",
            ),
            Mistake(
                lambda scores, p, v: scores.T @ (scores @ v) / len(p),
                "This is a mean over the outcomes as if all were equally probable. Weight each with its p instead.",
            ),
            Mistake(
                lambda scores, p, v: (p[:, None] * scores).T @ (p * (scores @ v)),
                "The probabilities enter twice: E[s sᵀ] weights the product s sᵀ once.",
            ),
            Mistake(
                lambda scores, p, v: scores.T @ (p * (scores @ v)) / len(p),
                "The weights p add up to 1 already: the sum is not divided by the number of outcomes.",
            ),
            Mistake(
                lambda scores, p, v: -(scores.T @ (p * (scores @ v))),
                "The sign is wrong: F is the mean of s sᵀ; the minus belongs to the second derivative of log p.",
            ),
            Mistake(
                lambda scores, p, v: torch.cov(scores.mT, aweights=p) @ v,
                "torch.cov corrects for a small sample unless told otherwise. These are all outcomes: correction=0.",
            ),
            Mistake(
                lambda scores, p, v: p @ scores**2 * v,
                "This keeps the diagonal of F only: s sᵀ has entries beside it, too.",
            ),
        ),
        hints=(
            "F v = Σ p_y s_y (s_yᵀv): for each outcome one number, s_yᵀv, then a weighted sum of the rows.",
            "scores @ v holds the numbers s_yᵀv of all outcomes. Multiply them with p, entry by entry.",
            "A weighted sum of rows is a product with the transposed matrix: scores.T @ (p * (scores @ v)).",
        ),
        otherwise="Try one outcome alone, scores of shape (1, d): then F v is p · s (sᵀv).",
    ),
    Exercise(
        id="02.natural_step",
        cases=_step_case,
        reference=_natural_step,
        mistakes=(
            Mistake(
                lambda F, g, epsilon: _length(F, g, epsilon) * solve(F, g),
                "The sign is wrong: this is the other solution of Lagrange's equations, steepest ascent.",
            ),
            Mistake(lambda F, g, epsilon: -solve(F, g), "The direction is right, the length is missing: KL must be ε."),
            Mistake(
                lambda F, g, epsilon: -_length(F, g, epsilon / 2) * solve(F, g),
                "A factor 2 is missing: the constraint is ½ δᵀFδ = ε, so δᵀFδ = 2ε.",
            ),
            Mistake(
                lambda F, g, epsilon: -(_length(F, g, epsilon) ** 2) * solve(F, g),
                "A square root is missing: the length enters the constraint squared.",
            ),
            Mistake(
                lambda F, g, epsilon: -torch.sqrt(2 * epsilon * (g @ solve(F, g))) * solve(F, g),
                "gᵀF⁻¹g belongs in the denominator under the root.",
            ),
            Mistake(
                lambda F, g, epsilon: -((2 * epsilon) ** 0.5) * solve(F, g),
                "√(2ε) is there, but not the length of F⁻¹g as F measures it: divide by √(gᵀF⁻¹g).",
            ),
            Mistake(
                lambda F, g, epsilon: -torch.sqrt(2 * epsilon / (g @ F @ g)) * solve(F, g),
                "The length has gᵀFg under the root. Inserted into the constraint, F⁻¹g gives gᵀF⁻¹g.",
            ),
            Mistake(
                lambda F, g, epsilon: -torch.sqrt(2 * epsilon / (g @ F @ g)) * g,
                "This is the plain gradient, scaled to the right KL. The direction asked for is F⁻¹g.",
            ),
            Mistake(
                lambda F, g, epsilon: -((2 * epsilon) ** 0.5) * solve(F, g) / torch.linalg.vector_norm(solve(F, g)),
                "The length is measured in parameters, ‖δ‖ = √(2ε). It is to be measured by F: δᵀFδ = 2ε.",
            ),
            Mistake(
                lambda F, g, epsilon: -torch.sqrt(2 * epsilon / (g @ F @ F @ F @ g)) * (F @ g),
                "This multiplies with F. The direction is the solution of F x = g.",
            ),
        ),
        hints=(
            "First the direction: torch.linalg.solve(F, g). Then find the number to multiply it with.",
            "With δ = −c F⁻¹g the constraint reads ½ c² gᵀF⁻¹g = ε.",
            "c = √(2ε / gᵀF⁻¹g), and gᵀF⁻¹g is g @ direction.",
        ),
        otherwise="Check two things: ½ δᵀFδ must be ε, and F δ must be parallel to g.",
    ),
    Exercise(
        id="02.seen_in_w",
        cases=_coordinates_case,
        reference=_seen_in_w,
        mistakes=(
            Mistake(
                lambda F, g, J, damping: -solve(J.T @ F @ J + damping * _eye(F), J.T @ g),
                "This is the change of θ. To first order w changes by J times that.",
            ),
            Mistake(
                lambda F, g, J, damping: J @ solve(J.T @ F @ J + damping * _eye(F), J.T @ g),
                "The sign is wrong: the step goes against the gradient.",
            ),
            Mistake(
                lambda F, g, J, damping: -solve(F + damping * _eye(F), g),
                "This damps in w. The step is taken in θ, where λI is added to JᵀFJ.",
            ),
            Mistake(
                lambda F, g, J, damping: -solve(F, g),
                "λ is missing: without damping J would drop out, with it it does not.",
            ),
            Mistake(
                lambda F, g, J, damping: -J.T @ solve(J @ F @ J.T + damping * _eye(F), J @ g),
                "J is transposed: with w = φ(θ) and J = ∂w/∂θ, the gradient in θ is Jᵀg and the matrix JᵀFJ; "
                "seen in w the damping is λ(JJᵀ)⁻¹, not λ(JᵀJ)⁻¹.",
            ),
            Mistake(
                lambda F, g, J, damping: -J.T @ solve(J.T @ F @ J + damping * _eye(F), J.T @ g),
                "The last move is transposed: a step in θ changes w by J times it, not by Jᵀ.",
            ),
            Mistake(
                lambda F, g, J, damping: -solve(F + damping * J @ J.T, g),
                "An inverse is missing: the damping seen in w is λ(JJᵀ)⁻¹.",
            ),
            Mistake(
                lambda F, g, J, damping: -J @ solve(J.T @ F @ J + damping * _eye(F), g),
                "The gradient in θ is Jᵀg, by the chain rule, not g.",
            ),
        ),
        hints=(
            "Three moves: carry g and F over to θ, take the damped step there, carry the step back to w.",
            "In θ the gradient is Jᵀg and the Fisher matrix is JᵀFJ; λ is added to the latter.",
            "The last move multiplies with J: −J (JᵀFJ + λI)⁻¹ Jᵀg.",
        ),
        otherwise="Test with J = I first (the answer is −(F + λI)⁻¹g), then with J = 2I (λ is divided by 4).",
    ),
)
