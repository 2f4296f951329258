"""Sums of AᵀB that are symmetric in exact arithmetic: half the work, and no second matrix."""

from torch import Tensor

_BLOCK = 512


def add_products(matrix: Tensor, left: Tensor, right: Tensor, scale: float) -> None:
    """Add scale · leftᵀ right to the block upper triangle of the matrix, in place."""
    for start in range(0, len(matrix), _BLOCK):
        stop = start + _BLOCK
        matrix[start:stop, start:].addmm_(left[:, start:stop].mT, right[:, start:], alpha=scale)


def mirror(matrix: Tensor) -> Tensor:
    """Fill the lower triangle from the upper one, in place."""
    for start in range(0, len(matrix), _BLOCK):
        stop = start + _BLOCK
        corner = matrix[start:stop, start:stop]
        corner.copy_(corner.triu() + corner.triu(1).mT)
        matrix[stop:, start:stop] = matrix[start:stop, stop:].mT
    return matrix
