"""Exercises of lesson 03, the Fisher matrix and its relatives."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _product_case(random: torch.Generator, number: int) -> Case:
    """Jacobians (n, C, d), logits (n, C) and a vector (d,) of different sizes, so that no two of them agree."""
    n, C, d = ((2, 3, 5), (5, 4, 7), (7, 3, 20), (4, 10, 30), (12, 5, 50))[number % 5]
    J = torch.randn(n, C, d, generator=random, dtype=torch.float64)
    f = 2 * torch.randn(n, C, generator=random, dtype=torch.float64)
    return J, f, torch.randn(d, generator=random, dtype=torch.float64)


def _sum_over_labels(J: torch.Tensor, f: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """F v from the definition: the gradient of every label, weighted with the probability that the model gives it."""
    n, C, d = J.shape
    fisher = torch.zeros(d, d, dtype=J.dtype)
    for i in range(n):
        p = torch.softmax(f[i], 0)
        for c in range(C):
            gradient = J[i].T @ (p - torch.nn.functional.one_hot(torch.tensor(c), C))
            fisher += p[c] * torch.outer(gradient, gradient) / n
    return fisher @ v


def _product(p: torch.Tensor, J: torch.Tensor, v: torch.Tensor, sign: float = -1.0) -> torch.Tensor:
    """(1/n) Σ J ᵀ(diag(p) + sign · p pᵀ)J v."""
    u = torch.einsum("ncd,d->nc", J, v)
    middle = p * u + sign * p * (p * u).sum(1, keepdim=True)
    return torch.einsum("ncd,nc->d", J, middle) / len(J)


def _split_case(random: torch.Generator, number: int) -> Case:
    """Per-sample gradients with a mean, from many samples in few dimensions to few in many."""
    n, d = ((8, 3), (30, 5), (50, 2), (6, 40), (3, 100))[number % 5]
    mean = torch.randn(d, generator=random, dtype=torch.float64)
    return (mean + 2 * torch.randn(n, d, generator=random, dtype=torch.float64),)


def _split(G: torch.Tensor) -> torch.Tensor:
    """‖ḡ‖² and the trace of the covariance, from the matrices themselves."""
    second = G.T @ G / len(G)
    first = torch.outer(G.mean(0), G.mean(0))
    return torch.stack([first.trace(), (second - first).trace()])


def _parts(mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Two numbers as a tensor."""
    return torch.stack([mean, spread])


EXERCISES = (
    Exercise(
        id="03.fisher_product",
        cases=_product_case,
        reference=_sum_over_labels,
        mistakes=(
            Mistake(
                lambda J, f, v: len(J) * _product(f.softmax(1), J, v),
                "This is the sum over the samples. F is their mean: divide by n.",
            ),
            Mistake(
                lambda J, f, v: _product(f.softmax(1), J, v) / f.shape[1],
                "It is divided by n·C. The mean runs over the n samples alone; the sum over labels is an expectation, "
                "which p has weighted already.",
            ),
            Mistake(
                lambda J, f, v: _product(f.softmax(1), J, v, sign=1.0),
                "The sign is wrong: Λ = diag(p) − p pᵀ, a covariance, subtracts the square of the mean.",
            ),
            Mistake(
                lambda J, f, v: _product(f.softmax(1), J, v, sign=0.0),
                "This is Jᵀ diag(p) J v: the part − p pᵀ of Λ is missing.",
            ),
            Mistake(
                lambda J, f, v: _product(f, J, v),
                "f holds logits. Λ needs probabilities: p = softmax(f), over the classes.",
            ),
            Mistake(
                lambda J, f, v: _product(f.softmax(0), J, v),
                "The softmax runs over the samples. It has to run over the classes, dim=1.",
            ),
            Mistake(
                lambda J, f, v: torch.einsum("ncd,nc,ncD,D->d", J, f.softmax(1) * (1 - f.softmax(1)), J, v) / len(J),
                "This keeps the diagonal of Λ only: p pᵀ has entries beside it, too.",
            ),
            Mistake(
                lambda J, f, v: torch.einsum("ncd,ncD,D->d", J, J, v) / len(J),
                "This is JᵀJ v: Λ between the two Jacobians is missing (it is the identity only for a Gaussian).",
            ),
        ),
        hints=(
            "Go from right to left and never make a matrix: u = J v for each sample, then Λu, then Jᵀ(Λu).",
            "Λu = p∘u − p (pᵀu), with p = softmax(f) over the classes and pᵀu one number a sample.",
            'u = torch.einsum("ncd,d->nc", J, v), then torch.einsum("ncd,nc->d", J, Λu) / len(J).',
        ),
    ),
    Exercise(
        id="03.split",
        cases=_split_case,
        reference=_split,
        mistakes=(
            Mistake(
                lambda G: _parts(G.mean(0).square().sum(), G.var(0).sum()),
                "The covariance divides by n − 1. The identity holds with 1/n, as in the second moment: "
                "correction=0 in torch.var.",
            ),
            Mistake(
                lambda G: _parts(G.mean(0).square().sum(), G.square().sum(1).mean()),
                "The second number is the whole trace of the second moment: subtract the part of the mean.",
            ),
            Mistake(
                lambda G: _parts(G.sum(0).square().sum(), len(G) * G.var(0, correction=0).sum()),
                "These are sums over the samples: the gradient and the covariance are means.",
            ),
            Mistake(
                lambda G: _parts(G.mean(0).square().sum(), len(G) * G.var(0, correction=0).sum()),
                "The covariance is summed over the samples: divide by n.",
            ),
            Mistake(
                lambda G: _parts(G.var(0, correction=0).sum(), G.mean(0).square().sum()),
                "The two numbers are in the wrong order: first the mean's part, then the covariance's.",
            ),
            Mistake(
                lambda G: _parts(G.mean(0).square().sum().sqrt(), G.var(0, correction=0).sum()),
                "The first number is ‖ḡ‖; its square is asked for, the trace of ḡ ḡᵀ.",
            ),
            Mistake(
                lambda G: _parts(G.mean(1).square().sum(), G.var(1, correction=0).sum()),
                "The mean runs over the parameters. Rows are samples: use dim 0.",
            ),
        ),
        hints=(
            "The trace of an outer product a aᵀ is ‖a‖².",
            "Mean over the rows first: mean = G.mean(0). Its squared length is the first number.",
            "The second is the mean squared length of the rows of G − mean: divide by n, not by n − 1.",
        ),
    ),
)
