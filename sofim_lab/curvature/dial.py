"""The dial between the rank-one Fisher matrix of SOFIM and the empirical one: nested groups of samples as rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.curvature._checks import check_damping
from sofim_lab.curvature.woodbury import LowRankFIM


def nested_means(samples: Tensor, k: int) -> Tensor:
    """The means of k equal groups of rows, in their order: G of shape (k, d).

    Row j is (k/n) Σ g_i over i = jn/k … (j + 1)n/k − 1. The groups for 2k halve those for k: they are nested.

    Args:
        samples: Gradients of n samples, one a row, shape (n, d).
        k: Number of groups, a divisor of n.

    Returns:
        Shape (k, d); k = 1 is the mean of all, k = n the samples themselves.

    Raises:
        ValueError: samples is no matrix, or k does not divide n.

    Example:
        >>> nested_means(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 4.0]]), k=2)
        tensor([[2., 0.],
                [0., 3.]])
    """
    if samples.dim() != 2:
        raise ValueError(f"samples must have the shape (n, d), got {tuple(samples.shape)}")
    n, d = samples.shape
    if not 1 <= k <= n or n % k:
        raise ValueError(f"k={k} must divide the number of samples, n={n}, so that all groups are of one size")
    return samples.reshape(k, n // k, d).mean(1)


@dataclass(frozen=True)
class DialPosition:
    """The direction F_k⁻¹g for one k, beside that of all samples, F_n⁻¹g.

    Attributes:
        k: Number of rows.
        cosine: Cosine of the angle between the two directions.
        length: ‖F_k⁻¹g‖ / ‖F_n⁻¹g‖.
        eigenvalues: All eigenvalues of F_k, ascending, shape (d,).
    """

    k: int
    cosine: float
    length: float
    eigenvalues: Tensor


def dial(samples: Tensor, rho: float, ks: Iterable[int] | None = None) -> tuple[DialPosition, ...]:
    r"""Turn the dial: F_k = GᵀG/k + ρI with the means of k nested groups as rows, and the direction F_k⁻¹g.

    g is the mean of all samples for every k. k = 1 is SOFIM with β = 0, k = n the damped empirical Fisher matrix.

    Args:
        samples: Gradients of n samples, one a row, shape (n, d).
        rho: ρ > 0.
        ks: The positions; by default the powers of two that divide n, and n.

    Returns:
        One position for each k.

    Raises:
        ValueError: A k does not divide n, or ρ is not positive.

    Example:
        >>> samples = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> [round(position.cosine, 3) for position in dial(samples, rho=0.5)]
        [0.759, 1.0]

    References:
        Y. Ren, D. Goldfarb, 2019, arXiv 1906.02353 (the end k = n). SOFIM, 2024, arXiv 2403.02833 (the end k = 1).
    """
    n = len(samples)
    if ks is None:
        ks = sorted({n, *(2**i for i in range(n.bit_length()) if n % 2**i == 0)})
    full = LowRankFIM(samples, rho).solve_mean()
    positions = []
    for k in ks:
        fim = LowRankFIM(nested_means(samples, k), rho)
        x = full if k == n else fim.solve_mean()
        lengths = torch.linalg.vector_norm(x), torch.linalg.vector_norm(full)
        cosine = float(x @ full / (lengths[0] * lengths[1]))
        positions.append(DialPosition(k, cosine, float(lengths[0] / lengths[1]), fim.eigenvalues()))
    return tuple(positions)


def woodbury_direction(rows: Tensor, rho: float) -> Tensor:
    """F_k⁻¹g as Woodbury's identity stands in a book, (g − Gᵀ(kρI + GGᵀ)⁻¹Gg)/ρ, in the dtype of the rows.

    Args:
        rows: G, shape (k, d).
        rho: ρ > 0.

    Returns:
        Shape (d,). The difference loses its digits as ρ → 0.
    """
    g = rows.mean(0)
    return (g - rows.mT @ torch.linalg.solve(_small(rows, rho), rows @ g)) / rho


def push_through_direction(rows: Tensor, rho: float) -> Tensor:
    """The same F_k⁻¹g without a difference, Gᵀ(kρI + GGᵀ)⁻¹1, in the dtype of the rows.

    Args:
        rows: G, shape (k, d).
        rho: ρ > 0.

    Returns:
        Shape (d,).
    """
    return rows.mT @ torch.linalg.solve(_small(rows, rho), torch.ones(len(rows)).to(rows))


def _small(rows: Tensor, rho: float) -> Tensor:
    """The k×k matrix kρI + GGᵀ."""
    return rows @ rows.mT + len(rows) * check_damping(rho) * torch.eye(len(rows)).to(rows)


@dataclass(frozen=True)
class DialError:
    """Relative errors of the two forms of F_k⁻¹g at one ρ."""

    rho: float
    woodbury: float
    push_through: float


def dial_errors(rows: Tensor, rhos: Iterable[float]) -> tuple[DialError, ...]:
    """Both forms in the dtype of the rows against `LowRankFIM` in float64, from the same rounded rows.

    Args:
        rows: G, shape (k, d), e.g. float32.
        rhos: Values of ρ > 0.

    Returns:
        One row of errors ‖x − exact‖/‖exact‖ for each ρ.

    Example:
        >>> rows = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
        >>> (error,) = dial_errors(rows, [1e-6])
        >>> error.push_through < 1e-5 < error.woodbury
        True
    """
    table = []
    for rho in rhos:
        exact = LowRankFIM(rows.double(), rho).solve_mean()
        errors = (
            float(torch.linalg.vector_norm(form(rows, rho).double() - exact) / torch.linalg.vector_norm(exact))
            for form in (woodbury_direction, push_through_direction)
        )
        table.append(DialError(float(rho), *errors))
    return tuple(table)
