"""The four curvature matrices of one model at one point, side by side."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from sofim_lab.curvature.matrices import empirical_fisher, fisher, ggn, hessian
from sofim_lab.curvature.per_sample import per_sample_gradients

NAMES = ("fisher", "ggn", "hessian", "empirical")


def relative_distance(A: Tensor, B: Tensor) -> float:
    """‖A − B‖ / ‖B‖ in the Frobenius norm.

    Args:
        A: Shape (d, d).
        B: The reference, of the same shape, not zero.

    Returns:
        The distance in units of the reference.

    Example:
        >>> relative_distance(torch.zeros(2, 2), torch.eye(2))
        1.0
    """
    return float(torch.linalg.matrix_norm(A - B) / torch.linalg.matrix_norm(B))


@dataclass(frozen=True, eq=False)
class FourMatrices:
    """Fisher matrix, Gauss–Newton matrix, Hessian and empirical FIM at the same parameters and data.

    Attributes:
        fisher: The exact Fisher matrix F, shape (d, d).
        ggn: The Gauss–Newton matrix G.
        hessian: The Hessian H of the loss.
        empirical: The empirical FIM Ê, which is not the Fisher matrix.
        mean_gradient: ḡ, the mean of the per-sample gradients, shape (d,).
        loss: The loss.

    Example:
        >>> four = four_matrices(nn.Linear(2, 3), nn.CrossEntropyLoss(), torch.eye(2), torch.tensor([0, 2]))
        >>> four.distance("ggn") < 1e-6, four.distance("hessian") < 1e-6, four.distance("empirical") > 0.1
        (True, True, True)
    """

    fisher: Tensor
    ggn: Tensor
    hessian: Tensor
    empirical: Tensor
    mean_gradient: Tensor
    loss: float

    @property
    def d(self) -> int:
        """Number of parameters."""
        return len(self.fisher)

    def distance(self, name: str) -> float:
        """‖A − F‖ / ‖F‖ in the Frobenius norm, for A = `ggn`, `hessian` or `empirical`."""
        return relative_distance(getattr(self, name), self.fisher)

    def cosine(self, name: str) -> float:
        """tr(A F) / (‖A‖ ‖F‖): 1 where A is a positive multiple of F, whatever the factor."""
        other = getattr(self, name)
        norms = torch.linalg.matrix_norm(other) * torch.linalg.matrix_norm(self.fisher)
        return float((other * self.fisher).sum() / norms)

    def trace_ratio(self, name: str) -> float:
        """The trace of A in units of that of F."""
        return float(getattr(self, name).trace() / self.fisher.trace())

    @property
    def mean_share(self) -> float:
        """‖ḡ‖² / tr Ê for the mean of cross-entropies: the mean's part of the second moment of the gradients."""
        return float(self.mean_gradient @ self.mean_gradient / self.empirical.trace())

    @cached_property
    def eigenvalues(self) -> dict[str, Tensor]:
        """All eigenvalues of each, ascending, shape (d,)."""
        return {name: torch.linalg.eigvalsh(getattr(self, name)) for name in NAMES}

    def negative(self, name: str, tol: float = 1e-6) -> int:
        """How many eigenvalues lie below −tol times the largest magnitude."""
        values = self.eigenvalues[name]
        return int((values < -tol * values.abs().max()).sum())


def four_matrices(model: nn.Module, loss_fn: nn.Module, x: Tensor, y: Tensor) -> FourMatrices:
    """All four at the present parameters of the model.

    Args:
        model: Maps (n, ...) to outputs (n, C), each sample by itself; it is left as it is.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        x: Inputs, n samples in the first dimension.
        y: Class indices (n,), or targets (n, C) for `nn.MSELoss`.

    Returns:
        `FourMatrices`, each computed by itself: none is derived from another.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The data do not fit the model or the loss, or there are too many parameters for full matrices.

    Example:
        >>> four_matrices(nn.Linear(2, 3), nn.CrossEntropyLoss(), torch.eye(2), torch.tensor([0, 2])).d
        9
    """
    with torch.no_grad():
        loss = float(loss_fn(model(x), y))
    return FourMatrices(
        fisher=fisher(model, loss_fn, x),
        ggn=ggn(model, loss_fn, x, y),
        hessian=hessian(model, loss_fn, x, y),
        empirical=empirical_fisher(model, loss_fn, x, y),
        mean_gradient=per_sample_gradients(model, loss_fn, x, y).mean(0),
        loss=loss,
    )
