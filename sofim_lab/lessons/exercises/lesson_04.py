"""Exercises of lesson 04, the regularized FIM."""

import torch

from sofim_lab.lessons.exercises.exercise import Case, Exercise, Mistake


def _samples_case(random: torch.Generator, number: int) -> Case:
    """Gradients of n samples with a mean that is not zero, one a row."""
    n, d = ((4, 3), (3, 7), (30, 20), (10, 100), (50, 200))[number % 5]
    samples = torch.randn(n, d, generator=random, dtype=torch.float64)
    return (samples + torch.randn(d, generator=random, dtype=torch.float64),)


def _closest_diagonal(samples: torch.Tensor) -> torch.Tensor:
    """The diagonal of E[ggᵀ] − E[g]E[g]ᵀ, from the matrices themselves."""
    mean = samples.mean(0)
    return (samples.mT @ samples / len(samples) - torch.outer(mean, mean)).diagonal().clone()


def _rows_case(random: torch.Generator, number: int) -> Case:
    """Rows in float32, with ρ from 1 down to 1e−8."""
    k, d = ((4, 40), (8, 60), (3, 120), (1, 200), (8, 400))[number % 5]
    rows = torch.randn(k, d, generator=random) / d**0.5
    return rows, 10.0 ** (-2 * number)


def _dense_direction(rows: torch.Tensor, rho: float) -> torch.Tensor:
    """F⁻¹g in float64 from the same rounded rows: in the basis of the rows F is small and well scaled."""
    wide = rows.double()
    k = len(wide)
    basis, values, right = torch.linalg.svd(wide.mT, full_matrices=False)
    return basis @ (values / (values.square() / k + rho) * (right @ torch.full((k,), 1 / k, dtype=torch.float64)))


def _inner(rows: torch.Tensor) -> torch.Tensor:
    """GGᵀ."""
    return rows @ rows.mT


def _eye(rows: torch.Tensor) -> torch.Tensor:
    """The k×k unit matrix."""
    return torch.eye(len(rows), dtype=rows.dtype)


def _ones(rows: torch.Tensor) -> torch.Tensor:
    """The vector of k ones."""
    return torch.ones(len(rows), dtype=rows.dtype)


EXERCISES = (
    Exercise(
        id="04.closest_diagonal",
        cases=_samples_case,
        reference=_closest_diagonal,
        mistakes=(
            Mistake(
                lambda samples: samples.square().mean(0),
                "This is the diagonal of the whole second moment. m mᵀ stands for the mean's part already, and diag(r) "
                "is to replace the covariance alone: subtract ḡ² entry by entry.",
            ),
            Mistake(
                lambda samples: samples.mean(0).square() - samples.square().mean(0),
                "The sign is wrong: a variance is the mean of the squares minus the square of the mean.",
            ),
            Mistake(
                lambda samples: (samples - samples.mean(0)).square().sum(0),
                "The sum over the samples stands where their mean should: divide by n.",
            ),
            Mistake(
                lambda samples: samples.var(0),
                "This divides by n − 1, as torch.var does unless told otherwise. Every mean here is over n samples.",
            ),
            Mistake(
                lambda samples: samples.std(0, unbiased=False),
                "These are standard deviations. Entries of a covariance are variances, without the root.",
            ),
            Mistake(
                lambda samples: samples.std(0),
                "These are standard deviations, with n − 1. A covariance holds variances, means over n samples.",
            ),
            Mistake(
                lambda samples: (samples - samples.mean()).square().mean(0),
                "One mean of all entries is subtracted. Each parameter has a mean of its own: samples.mean(0).",
            ),
            Mistake(
                lambda samples: samples.mean(0).square(),
                "This is the diagonal of what m mᵀ keeps. What it drops is asked for.",
            ),
            Mistake(
                lambda samples: samples.var(0, unbiased=False).mean().expand(samples.shape[1]),
                "This is (8), one number for all. Here each parameter may have its own.",
            ),
        ),
        hints=(
            "Write the squared distance as a sum over entries. r stands on the diagonal alone: entry i asks only for "
            "rᵢ = Cov_ii.",
            "Cov_ii is the variance of entry i over the samples: the mean of its square minus the square of its mean.",
            "(samples - samples.mean(0)).square() has the shape (n, d). Take the mean over the samples.",
        ),
        widest=1,
    ),
    Exercise(
        id="04.direction",
        cases=_rows_case,
        reference=_dense_direction,
        mistakes=(
            Mistake(
                lambda rows, rho: rows.mT @ torch.linalg.solve(rho * _eye(rows) + _inner(rows), _ones(rows)),
                "A factor k is missing: F_k divides GᵀG by k, so the small matrix is kρI + GGᵀ.",
            ),
            Mistake(
                lambda rows, rho: (
                    rows.mT @ torch.linalg.solve(len(rows) * rho * _eye(rows) + _inner(rows), len(rows) * _ones(rows))
                ),
                "This is F⁻¹ applied to the sum of the rows, k times too long: g is their mean.",
            ),
            Mistake(
                lambda rows, rho: (
                    rows.mT @ torch.linalg.solve(len(rows) * rho * _eye(rows) + _inner(rows), _ones(rows) / len(rows))
                ),
                "It is k times too short: (12) with a = 1/k gives Gᵀ(kρI + GGᵀ)⁻¹ times ones, the k has cancelled.",
            ),
            Mistake(
                lambda rows, rho: rows.mean(0) / (rho + rows.mean(0).square().sum()),
                "This is SOFIM's direction, k = 1, whatever the rows are.",
            ),
            Mistake(
                lambda rows, rho: rows.mT @ torch.linalg.solve(_inner(rows), _ones(rows)),
                "ρ is missing: the small matrix is kρI + GGᵀ.",
            ),
            Mistake(
                lambda rows, rho: rows.mean(0),
                "This is the mean gradient itself. F⁻¹ has not been applied.",
            ),
            Mistake(
                lambda rows, rho: rows.mean(0) / rho,
                "This divides by ρ alone, as if F had no rows in it.",
            ),
            Mistake(
                lambda rows, rho: rows.mT @ (_inner(rows) @ _ones(rows)) / len(rows) ** 2 + rho * rows.mean(0),
                "This is F g, the product. F⁻¹g, the solution, is asked for.",
            ),
        ),
        hints=(
            "g is a combination of the rows, g = Gᵀa with aⱼ = 1/k: use the push-through identity (12), not (11).",
            "Solve a k×k system, (kρI + GGᵀ) c = 1 with a vector of k ones, then combine the rows: Gᵀc.",
            "rows.mT @ torch.linalg.solve(rows @ rows.mT + k * rho * torch.eye(k), torch.ones(k)).",
        ),
        rtol=1e-4,
        widest=16,
        same_precision=True,
        otherwise=(
            "ρ falls from 1 to 1e−8 over the cases, in float32. An answer that is right at first and gets worse as ρ "
            "falls takes the difference of (11); (12) has none."
        ),
    ),
)
