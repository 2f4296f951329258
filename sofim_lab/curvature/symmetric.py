"""What a symmetric matrix has to be able to do where its eigenvalues are looked for."""

from typing import Protocol

import torch
from torch import Tensor


class Symmetric(Protocol):
    """A symmetric matrix that multiplies vectors: a `CurvatureOperator`, or a dense tensor."""

    @property
    def shape(self) -> torch.Size:
        """(d, d)."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of its numbers, and of the vectors that it takes."""
        ...

    @property
    def device(self) -> torch.device:
        """Where these are."""
        ...

    def __matmul__(self, v: Tensor, /) -> Tensor: ...


def check_symmetric(A: Symmetric) -> None:
    """Raise unless A is a square matrix of real floating-point numbers; a dense one has to be symmetric."""
    name = type(A).__name__
    if any(not hasattr(A, part) for part in ("shape", "dtype", "device", "__matmul__")):
        raise TypeError(f"A must be a matrix that multiplies tensors, e.g. hessian_operator(...), got {name}")
    if len(A.shape) != 2 or A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ValueError(f"A must be a square matrix, got the shape {tuple(A.shape)}")
    if not A.dtype.is_floating_point:
        raise ValueError(f"A must be real floating point, got {A.dtype}: convert it, e.g. A.double()")
    if isinstance(A, Tensor):
        if not bool(torch.isfinite(A).all()):
            raise ValueError("A must be finite, it holds inf or nan: clean it first")
        if not torch.allclose(A, A.mT, rtol=0, atol=1e3 * torch.finfo(A.dtype).eps * float(A.abs().max())):
            raise ValueError("A must be symmetric: use (A + A.mT) / 2")
