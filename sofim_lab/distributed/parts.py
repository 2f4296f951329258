"""What each of several workers would do with its part of m, on its own norm and on the common one."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Parts:
    """The vector m, cut among workers.

    Attributes:
        squares: ‖m_r‖² of each worker's part, shape (workers,), float64.
        rho: ρ.
    """

    squares: Tensor
    rho: float

    @property
    def total(self) -> float:
        """‖m‖² of the whole."""
        return float(self.squares.sum())

    @property
    def stretch(self) -> Tensor:
        """How much too long each part of the step would be on the worker's own norm, (ρ + ‖m‖²)/(ρ + ‖m_r‖²)."""
        return (self.rho + self.total) / (self.rho + self.squares)


def cut(tensors: list[Tensor], workers: int, rho: float) -> Parts:
    """Cut every tensor along its first dimension, as FSDP2 does, and take the norms of what each worker gets.

    Args:
        tensors: The moments of the parameters.
        workers: 1 or more.
        rho: ρ > 0.

    Returns:
        The parts.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> cut([torch.tensor([3.0, 4.0])], workers=2, rho=1.0).stretch.tolist()
        [2.6, 1.5294117647058822]
    """
    if workers < 1:
        raise ValueError(f"workers={workers!r} must be 1 or more")
    if not rho > 0:
        raise ValueError(f"rho={rho!r} must be positive")
    squares = torch.zeros(workers, dtype=torch.float64)
    for tensor in tensors:
        for worker, piece in enumerate(tensor.chunk(workers)):  # fewer pieces than workers where it has few rows
            squares[worker] += piece.double().square().sum()
    return Parts(squares, rho)


def by_parameter(model: nn.Module, vector: Tensor) -> list[Tensor]:
    """A vector of all parameters as tensors of their shapes."""
    parameters = list(model.parameters())
    pieces = vector.split([p.numel() for p in parameters])
    return [piece.view_as(p) for p, piece in zip(parameters, pieces, strict=True)]
