"""Low-rank Fisher matrices Σ p g gᵀ + ρI with a few rows g, and the identities that invert them."""

import math
from functools import reduce

import torch
from torch import Tensor

from sofim_lab.curvature._checks import check_damping, check_vector

_COLUMNS = 2**15  # columns of the rows that are widened to float64 together


class LowRankFIM:
    r"""The matrix F = Σ_j p_j g_j g_jᵀ + ρI, kept as its k rows g_j, their weights p_j and its damping ρ.

    With the rows G ∈ R^{k×d}, S = diag(√p) and the small matrix K = S G Gᵀ S, Woodbury's identity says for any v

        F⁻¹v = (v − GᵀS (K + ρI)⁻¹ S G v) / ρ,

    a difference that loses its digits as ρ → 0. Where v lies in the row space it need not be taken, for moving Gᵀ
    through the inverse ("push-through") gives

        F⁻¹Gᵀa = GᵀS (K + ρI)⁻¹ S⁻¹ a,    e.g. a = p for the mean v = Σ_j p_j g_j.

    All sums are taken in float64, whatever the dtype of the rows: in float32 the difference is accurate for v outside
    the row space, and the push-through form for any damping. A product costs O(kd), the decomposition of K once
    O(k²d + k³).

    Args:
        rows: G, shape (k, d), real floating point, finite. k = 1 is `RegularizedFIM(rows[0], rho)`.
        rho: the damping ρ, > 0, in units of ‖g‖².
        weights: p, shape (k,), > 0; 1/k each if None, so that F = GᵀG/k + ρI.

    Raises:
        TypeError: rows or weights are no tensors.
        ValueError: rows is no finite floating-point matrix, the weights do not fit it, or rho is out of range.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
        >>> F = LowRankFIM(rows, rho=0.5)
        >>> F.eigenvalues()
        tensor([0.5000, 1.0000, 5.0000], dtype=torch.float64)
        >>> F.solve_mean()
        tensor([0.5000, 0.3000, 0.0000], dtype=torch.float64)

    References:
        M. Woodbury, 1950, "Inverting modified matrices". Y. Ren and D. Goldfarb, 2019, arXiv 1906.02353, eq. 9 (damped
        empirical Fisher matrices by way of the samples). E. Frantar, E. Kurtic and D. Alistarh, 2021, arXiv 2107.03356.
    """

    def __init__(self, rows: Tensor, rho: float, weights: Tensor | None = None) -> None:
        _check_rows(rows)
        k = len(rows)
        if weights is None:
            weights = wide(torch.ones(k, device=rows.device)) / k
        check_vector("weights", weights)
        if len(weights) != k or not bool((weights > 0).all()):
            raise ValueError(f"weights must be {k} numbers > 0, one for each row, got {weights.tolist()}")
        self.rows = rows
        self.rho = check_damping(rho)
        self.weights = wide(weights.to(rows.device))
        self.dual = Dual(inner_products(rows, rows), self.weights)

    @property
    def shape(self) -> torch.Size:
        """(d, d), the shape of the matrix that is never built."""
        return torch.Size((self.rows.shape[1], self.rows.shape[1]))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the rows, which vectors must share."""
        return self.rows.dtype

    def __repr__(self) -> str:
        return f"LowRankFIM(k={self.rows.shape[0]}, d={self.rows.shape[1]}, rho={self.rho:g})"

    def matvec(self, v: Tensor) -> Tensor:
        """Fv = Σ_j p_j g_j g_jᵀv + ρv.

        Args:
            v: shape (d,) or (d, c), the dtype of the rows.

        Returns:
            The product, shaped as v.

        Raises:
            ValueError: v has another length, dtype or number of dimensions.
        """
        columns = self._columns(v)
        weighted = self.weights[:, None] * inner_products(self.rows, columns.mT)
        return (combine(self.rows, weighted) + self.rho * wide(columns)).to(v).view_as(v)

    def solve(self, v: Tensor) -> Tensor:
        """F⁻¹v by Woodbury's identity, in float64; for v in the row space `solve_rows` keeps more digits.

        Args:
            v: shape (d,) or (d, c), the dtype of the rows.

        Returns:
            The solution, shaped as v.

        Raises:
            ValueError: v has another length, dtype or number of dimensions.
        """
        columns = self._columns(v)
        c = self.dual.woodbury(inner_products(self.rows, columns.mT), self.rho)
        return ((wide(columns) - combine(self.rows, c)) / self.rho).to(v).view_as(v)

    def solve_rows(self, a: Tensor) -> Tensor:
        """F⁻¹Gᵀa by the push-through form, for the combination Σ_j a_j g_j of the rows.

        Args:
            a: shape (k,) or (k, c), any floating dtype.

        Returns:
            Shape (d,) or (d, c), in the dtype of the rows.

        Raises:
            ValueError: a has another length or number of dimensions.
        """
        k = len(self.rows)
        if not isinstance(a, Tensor) or a.dim() not in (1, 2) or len(a) != k:
            got = tuple(a.shape) if isinstance(a, Tensor) else type(a).__name__
            raise ValueError(f"a must be a tensor of shape ({k},) or ({k}, c), one coefficient a row, got {got}")
        c = self.dual.push_through(wide(a.to(self.rows.device)).reshape(k, -1), self.rho)
        return combine(self.rows, c).to(self.dtype).reshape(-1, *a.shape[1:])

    def solve_mean(self) -> Tensor:
        """F⁻¹ Σ_j p_j g_j, shape (d,): the direction along the mean of the rows, by the push-through form."""
        return self.solve_rows(self.weights)

    def dense(self) -> Tensor:
        """The matrix itself, shape (d, d): d² numbers, for looking at and for checking."""
        scaled = self.weights.sqrt()[:, None] * wide(self.rows)
        return (scaled.mT @ scaled).to(self.rows) + self.rho * torch.eye(self.shape[0]).to(self.rows)

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, ascending, shape (d,): those of K plus ρ, and ρ for the rest."""
        d = self.shape[0]
        values = torch.full((d,), self.rho, dtype=self.dtype, device=self.rows.device)
        top = self.dual.eigenvalues[-min(d, len(self.rows)) :]
        values[d - len(top) :] += top.to(values)
        return values

    def logdet(self) -> Tensor:
        """Log det F = d log ρ + Σ log(1 + λ_j/ρ) over the eigenvalues of K, a 0-dimensional tensor."""
        logarithms = torch.log1p(self.dual.eigenvalues / self.rho).sum()
        return (self.shape[0] * math.log(self.rho) + logarithms).to(self.dtype)

    def _columns(self, v: Tensor) -> Tensor:
        """The vectors as columns, shape (d, c); raise unless they fit the rows."""
        d = self.shape[0]
        if not isinstance(v, Tensor) or v.dim() not in (1, 2) or v.shape[0] != d:
            got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise ValueError(f"v must be a tensor of shape ({d},) or ({d}, c) to match the rows, got {got}")
        if v.dtype != self.dtype:
            raise ValueError(f"v must have the dtype of the rows, {self.dtype}, got {v.dtype}: use v.to(F.dtype)")
        return v.reshape(d, -1)


class Dual:
    """The k×k side of Woodbury's identity: K = S G Gᵀ S with S = diag(√p), decomposed as U diag(λ) Uᵀ."""

    def __init__(self, gram: Tensor, weights: Tensor) -> None:
        """Take gram = G Gᵀ, shape (k, k), and p, shape (k,)."""
        self.root = weights.sqrt()[:, None]
        values, self.vectors = torch.linalg.eigh(self.root * gram * self.root.mT)
        self.eigenvalues = values.clamp_min(0)  # ascending; K is positive semidefinite up to rounding

    def push_through(self, a: Tensor, rho: float) -> Tensor:
        """The coefficients c = S (K + ρI)⁻¹ S⁻¹ a, shape (k, c), with F⁻¹Gᵀa = Gᵀc."""
        return self.root * self._solve(a / self.root, rho)

    def woodbury(self, b: Tensor, rho: float) -> Tensor:
        """The coefficients c = S (K + ρI)⁻¹ S b, shape (k, c), with F⁻¹v = (v − Gᵀc)/ρ for b = Gv."""
        return self.root * self._solve(self.root * b, rho)

    def _solve(self, b: Tensor, rho: float) -> Tensor:
        """(K + ρI)⁻¹ b."""
        return self.vectors @ ((self.vectors.mT @ b) / (self.eigenvalues[:, None] + rho))


def inner_products(rows: Tensor, others: Tensor) -> Tensor:
    """G Vᵀ in float64, shape (k, c), for V of shape (c, d); without a wide copy of either."""
    pairs = zip(rows.split(_COLUMNS, dim=1), others.split(_COLUMNS, dim=1), strict=True)
    return reduce(torch.add, (wide(g) @ wide(v).mT for g, v in pairs))


def combine(rows: Tensor, a: Tensor) -> Tensor:
    """Gᵀa in float64, shape (d, c), for a of shape (k, c); without a wide copy of the rows."""
    return torch.cat([wide(g).mT @ a for g in rows.split(_COLUMNS, dim=1)])


def wide(x: Tensor) -> Tensor:
    """In float64, or in float32 on a device that has no more."""
    return x.float() if x.device.type == "mps" else x.double()


def _check_rows(rows: Tensor) -> None:
    """Raise unless the rows are a finite matrix."""
    if not isinstance(rows, Tensor):
        raise TypeError(f"rows must be a tensor, got {type(rows).__name__}: use torch.stack(rows)")
    if rows.dim() != 2:
        raise ValueError(f"rows must have the shape (k, d), got {tuple(rows.shape)}: one row is rows[None]")
    check_vector("rows", rows.reshape(-1))
