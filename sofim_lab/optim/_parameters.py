"""The parameters and the numbers that an optimizer is given, checked before anything is built from them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def check_parameters(groups: Sequence[dict[str, Any]], owner: str) -> list[Tensor]:
    """All parameters of the groups in order; raise unless they are trainable, real, dense and on one device."""
    params: list[Tensor] = []
    for i, group in enumerate(groups):
        for j, p in enumerate(group["params"]):
            name = group["param_names"][j] if "param_names" in group else f"parameter {j} of group {i}"
            what = f"{name}, shape {tuple(p.shape)},"
            if not p.requires_grad:
                raise ValueError(f"{owner}: {what} requires no grad: leave it out, or call p.requires_grad_(True)")
            if not p.is_floating_point() or p.layout is not torch.strided:
                raise ValueError(f"{owner}: {what} is {p.dtype}, {p.layout}: real dense parameters are needed")
            if params and p.device != params[0].device:
                raise ValueError(
                    f"{owner}: {what} is on {p.device}, the first parameter on {params[0].device}: "
                    "move the model to one device"
                )
            params.append(p)
    return params


def check_rate_and_damping(options: dict[str, Any]) -> None:
    """Raise unless lr >= 0 and rho > 0 are finite."""
    if isinstance(options["lr"], Tensor) and options["lr"].numel() != 1:
        raise ValueError(
            f"lr must be one number: Tensor lr must be 1-element, got the shape {tuple(options['lr'].shape)}"
        )
    if not (is_finite(options["lr"]) and options["lr"] >= 0):
        raise ValueError(f"lr must be a finite number >= 0, got {options['lr']!r}: choose for example lr=1.0")
    if not (is_finite(options["rho"]) and options["rho"] > 0):
        raise ValueError(
            f"rho must be a finite number > 0, got {options['rho']!r}: a matrix of low rank has no inverse without it; "
            "choose for example rho=0.5"
        )


def check_count(name: str, value: object, *, default: int) -> None:
    """Raise unless the value is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}: choose for example {name}={default}")


def is_finite(value: Any) -> bool:
    """Whether the value is one finite number (a one-element tensor counts)."""
    try:
        return math.isfinite(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False
