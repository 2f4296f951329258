"""Directions p = −A⁻¹g from a matrix A, decomposed once, or from its products alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.optim._exact.cg import CGResult, conjugate_gradients

Modified = Callable[[Tensor, float], Tensor]  # eigenvalues, ascending, and damping, to the eigenvalues of A


@dataclass(frozen=True)
class Direction:
    """A direction p, and what was learned on the way."""

    p: Tensor
    negative_curvature: bool | None  # None: not known
    eigenvalues: Tensor | None = None
    cg: CGResult | None = None


class Dense:
    """The matrix by its eigenvalues e and eigenvectors Q: p = −Q diag(modified(e, damping))⁻¹ Qᵀg."""

    def __init__(self, matrix: Tensor, gradient: Tensor, modified: Modified, owner: str) -> None:
        if not bool(matrix.isfinite().all()):
            raise NotFiniteError(
                f"{owner}: the curvature matrix is not finite at the present parameters, nothing was changed: "
                "look for a second derivative that is inf or nan, as that of √x at 0"
            )
        self.e, self.Q = torch.linalg.eigh(matrix)
        self.rotated = self.Q.mT @ gradient.to(matrix)
        self.modified, self.owner = modified, owner

    def __call__(self, damping: float) -> Direction:
        """The direction at this damping; zero where the gradient is."""
        e = self.modified(self.e, damping)
        least = float(e.abs().min())
        protected = least >= damping / 2 > 0  # small because the damping is, not because two numbers cancel
        if bool(self.rotated.any()) and least <= rounding(e) and not protected:
            raise torch.linalg.LinAlgError(
                f"{self.owner}: the damped matrix is singular at damping={damping:g}, its eigenvalues are between "
                f"{float(e.min()):.1e} and {float(e.max()):.1e}, nothing was changed: choose a larger damping"
            )
        p = -(self.Q @ torch.where(self.rotated == 0, 0.0, self.rotated / e))
        return Direction(p, bool(self.e[0] < -rounding(self.e)), self.e.cpu())


class MatrixFree:
    """Conjugate gradients on v ↦ Av + damping·v, or on A itself with the damping as the least curvature trusted."""

    def __init__(
        self, product: Callable[[Tensor], Tensor], gradient: Tensor, *, added: bool, tol: float, max_iter: int
    ) -> None:
        self.product, self.g, self.added, self.tol, self.max_iter = product, gradient, added, tol, max_iter

    def __call__(self, damping: float) -> Direction:
        """The direction at this damping; zero where the gradient is."""
        shift, floor = (damping, 0.0) if self.added else (0.0, damping)
        found = conjugate_gradients(
            lambda v: self.product(v) + shift * v, -self.g, floor=floor, tol=self.tol, max_iter=self.max_iter
        )
        met = found.curvature is not None and found.curvature < shift
        return Direction(found.x, met if found.iterations else None, cg=found)


def rounding(e: Tensor) -> float:
    """What eigenvalues that are zero may come out as."""
    return 10 * torch.finfo(e.dtype).eps * float(e.abs().max())
