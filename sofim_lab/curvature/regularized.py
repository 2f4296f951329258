"""The regularized rank-one Fisher matrix F = m mᵀ + ρI, and the identity that inverts it."""

import math

import torch
from torch import Tensor

from sofim_lab.curvature._checks import check_damping, check_vector


class RegularizedFIM:
    r"""The matrix F = m mᵀ + ρI, kept as its vector m and its damping ρ: every product costs O(d).

    By Sherman–Morrison, for any v,

        F⁻¹v = v/ρ − m mᵀv / (ρ² + ρ‖m‖²).

    The difference loses all digits as ρ → 0. `solve` splits v along m instead, with a = mᵀv/‖m‖²:

        F⁻¹v = a m / (ρ + ‖m‖²) + (v − a m) / ρ,    in particular F⁻¹m = m / (ρ + ‖m‖²).

    The eigenvalue ρ + ‖m‖² belongs to m; all d − 1 others are ρ.

    Args:
        m: the vector, shape (d,), real floating point, finite; 0 is allowed and gives F = ρI.
        rho: the damping, > 0, in units of ‖m‖².

    Raises:
        TypeError: m is not a tensor.
        ValueError: m is not a finite floating-point vector, or rho is not a finite positive number.

    Example:
        >>> import torch
        >>> F = RegularizedFIM(torch.tensor([3.0, 4.0], dtype=torch.float64), rho=25.0)
        >>> F.solve(F.m)
        tensor([0.0600, 0.0800], dtype=torch.float64)
        >>> F.eigenvalues()
        tensor([25., 50.], dtype=torch.float64)

    References:
        Sherman and Morrison, 1950. SOFIM, 2024, arXiv 2403.02833, Algorithm 1.
    """

    def __init__(self, m: Tensor, rho: float) -> None:
        check_vector("m", m)
        self.m = m
        self.rho = check_damping(rho)
        self.squared_norm = m.square().sum()  # a sum in a tree: a float32 dot product drifts at large d

    @property
    def shape(self) -> torch.Size:
        """(d, d), the shape of the matrix that is never built."""
        return torch.Size((self.m.numel(), self.m.numel()))

    @property
    def dtype(self) -> torch.dtype:
        """The type of m, which vectors must share."""
        return self.m.dtype

    def __repr__(self) -> str:
        return f"RegularizedFIM(d={self.m.numel()}, rho={self.rho:g}, squared_norm={float(self.squared_norm):g})"

    def matvec(self, v: Tensor) -> Tensor:
        """Fv = m mᵀv + ρv.

        Args:
            v: shape (d,) or (d, k), the dtype of m.

        Returns:
            The product, shaped as v.

        Raises:
            ValueError: v has another length, dtype or number of dimensions.
        """
        return self._outer(self._inner(v)) + self.rho * v

    def solve(self, v: Tensor) -> Tensor:
        """F⁻¹v by Sherman–Morrison, split along m and across it, in O(d) for each column.

        Args:
            v: shape (d,) or (d, k), the dtype of m.

        Returns:
            The solution, shaped as v.

        Raises:
            ValueError: v has another length, dtype or number of dimensions.
        """
        inner = self._inner(v)
        a = torch.where(self.squared_norm > 0, inner / self.squared_norm, 0.0)
        along = self._outer(a)
        return along / (self.rho + self.squared_norm) + (v - along) / self.rho

    def dense(self) -> Tensor:
        """The matrix itself, shape (d, d): d² numbers, for looking at and for checking."""
        return torch.outer(self.m, self.m) + self.rho * torch.eye(self.m.numel()).to(self.m)

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, ascending, shape (d,): ρ with multiplicity d − 1, then ρ + ‖m‖²."""
        values = torch.full_like(self.m, self.rho)
        values[-1] += self.squared_norm
        return values

    def logdet(self) -> Tensor:
        """Log det F = d log ρ + log(1 + ‖m‖²/ρ), a 0-dimensional tensor: det F over- or underflows at large d."""
        return self.m.numel() * math.log(self.rho) + torch.log1p(self.squared_norm / self.rho)

    def condition_number(self) -> Tensor:
        """λ_max/λ_min, a 0-dimensional tensor: 1 + ‖m‖²/ρ, and 1 where d = 1."""
        return 1 + self.squared_norm / self.rho * (self.m.numel() > 1)

    def _inner(self, v: Tensor) -> Tensor:
        """mᵀv, shape () or (k,)."""
        d = self.m.numel()
        if not isinstance(v, Tensor) or v.dim() not in (1, 2) or v.shape[0] != d:
            got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise ValueError(f"v must be a tensor of shape ({d},) or ({d}, k) to match m, got {got}")
        if v.dtype != self.m.dtype:
            raise ValueError(f"v must have the dtype of m, {self.m.dtype}, got {v.dtype}: use v.to(m)")
        return (self.m * v.mT).sum(-1) if v.dim() == 2 else (self.m * v).sum()

    def _outer(self, a: Tensor) -> Tensor:
        """The multiples a of m, shape (d,) or (d, k)."""
        return self.m * a if a.dim() == 0 else torch.outer(self.m, a)


def sherman_morrison(A_inv: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""The inverse after a rank-one change, (A + u vᵀ)⁻¹, from A⁻¹ in O(d²).

        (A + u vᵀ)⁻¹ = A⁻¹ − A⁻¹u vᵀA⁻¹ / (1 + vᵀA⁻¹u)

    Args:
        A_inv: the inverse of A, shape (d, d); A need not be symmetric.
        u: shape (d,), the dtype of A_inv.
        v: shape (d,), the dtype of A_inv.

    Returns:
        The inverse of A + u vᵀ, shape (d, d).

    Raises:
        ValueError: a shape or a dtype does not fit.
        torch.linalg.LinAlgError: A + u vᵀ is singular, 1 + vᵀA⁻¹u = 0 up to rounding.

    Example:
        >>> import torch
        >>> sherman_morrison(torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]))
        tensor([[ 0.5000, -0.5000],
                [ 0.0000,  1.0000]])

    References:
        Sherman and Morrison, 1950, "Adjustment of an inverse matrix corresponding to a change in one element".
    """
    _check_update(A_inv, u, v)
    left, right = A_inv @ u, v @ A_inv
    pivot = 1 + v @ left
    magnitude = 1 + v.abs() @ A_inv.abs() @ u.abs()  # what rounding in the pivot is proportional to
    if pivot.abs() <= 8 * torch.finfo(pivot.dtype).eps * magnitude:
        raise torch.linalg.LinAlgError(
            f"A + u vᵀ is singular: 1 + vᵀA⁻¹u = {pivot.item():.1e}, zero up to rounding; change u or v, or damp A"
        )
    return A_inv - torch.outer(left, right) / pivot


def _check_update(A_inv: Tensor, u: Tensor, v: Tensor) -> None:
    """Raise unless the three tensors fit together."""
    if A_inv.dim() != 2 or A_inv.shape[0] != A_inv.shape[1]:
        raise ValueError(f"A_inv must be a square matrix, got the shape {tuple(A_inv.shape)}")
    if not A_inv.is_floating_point():
        raise ValueError(f"A_inv must be real floating point, got {A_inv.dtype}: convert it, e.g. A_inv.double()")
    d = A_inv.shape[0]
    for name, x in (("u", u), ("v", v)):
        if x.shape != (d,):
            raise ValueError(f"{name} must have the shape ({d},) to match A_inv, got {tuple(x.shape)}")
        if x.dtype != A_inv.dtype:
            raise ValueError(f"{name} must have the dtype of A_inv, {A_inv.dtype}, got {x.dtype}: use {name}.to(A_inv)")
