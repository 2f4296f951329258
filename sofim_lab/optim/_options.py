"""The options of a parameter group, checked before anything is built from them."""

import math
from typing import Any

DIRECTIONS = ("momentum", "gradient")


def check_options(options: dict[str, Any]) -> None:
    """Raise a ValueError that names the option, its value and the remedy."""
    lr, beta, rho, decay = (options[name] for name in ("lr", "beta", "rho", "weight_decay"))
    if not (_is_finite(lr) and lr >= 0):
        raise ValueError(f"lr must be a finite number >= 0, got {lr!r}: choose for example lr=1.0")
    if not (_is_finite(beta) and 0 <= beta < 1):
        raise ValueError(f"beta must lie in [0, 1), got {beta!r}: choose for example beta=0.9, or 0 for no memory")
    if not (_is_finite(rho) and rho > 0):
        raise ValueError(
            f"rho must be a finite number > 0, got {rho!r}: F = m mᵀ alone has no inverse; choose for example rho=0.5"
        )
    if not (_is_finite(decay) and decay >= 0):
        raise ValueError(f"weight_decay must be a finite number >= 0, got {decay!r}: 0 switches it off")
    if options["direction"] not in DIRECTIONS:
        raise ValueError(f"direction must be 'momentum' or 'gradient', got {options['direction']!r}")


def _is_finite(value: object) -> bool:
    """Whether the value is one finite number (a one-element tensor counts)."""
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False
