"""Checks of vectors and dampings: the argument, what it is, what to do."""

import math

import torch
from torch import Tensor


def check_vector(name: str, x: Tensor) -> None:
    """Raise unless x is a 1-D tensor of finite real floating-point numbers."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(x).__name__}: use torch.as_tensor({name})")
    if x.dim() != 1 or x.numel() == 0:
        raise ValueError(
            f"{name} must be a non-empty vector of shape (d,), got the shape {tuple(x.shape)}: flatten it first"
        )
    if not x.is_floating_point():
        raise ValueError(f"{name} must be real floating point, got {x.dtype}: convert it, e.g. {name}.double()")
    if not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{name} must be finite, {bad} of its {x.numel()} entries are inf or nan: clean it first")


def check_damping(rho: float) -> float:
    """The damping as a float; raise unless it is finite and positive."""
    value = float(rho)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"rho must be a finite number > 0, got {value!r}: m mᵀ alone has no inverse, try rho=0.5")
    return value
