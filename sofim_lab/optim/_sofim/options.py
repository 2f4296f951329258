"""The options of a parameter group, checked before anything is built from them."""

from typing import Any

from sofim_lab.optim._parameters import check_rate_and_damping, is_finite

CHOICES = {
    "direction": ("momentum", "gradient"),
    "blocks": ("global", "tensor"),
    "nonfinite": ("raise", "skip", "propagate", None),
}
SHARED = ("direction", "blocks", "nonfinite", "capturable", "differentiable", "diagnostics")  # one for all groups


def check_options(options: dict[str, Any]) -> None:
    """Raise a ValueError that names the option, its value and the remedy."""
    check_rate_and_damping(options)
    beta, decay = options["beta"], options["weight_decay"]
    if not (is_finite(beta) and 0 <= beta < 1):
        raise ValueError(f"beta must lie in [0, 1), got {beta!r}: choose for example beta=0.9, or 0 for no memory")
    if not (is_finite(decay) and decay >= 0):
        raise ValueError(f"weight_decay must be a finite number >= 0, got {decay!r}: 0 switches it off")
    for name, allowed in CHOICES.items():
        if options[name] not in allowed:
            raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, got {options[name]!r}")
    if options["capturable"] and options["nonfinite"] == "raise":
        raise ValueError(
            "nonfinite must be 'skip' or 'propagate' where capturable=True, got 'raise': a captured step cannot raise"
        )


def check_shared(options: dict[str, Any], first: dict[str, Any]) -> None:
    """Raise unless a new group agrees with the first one on what only the whole optimizer can have."""
    for name in SHARED:
        if options[name] != first[name]:
            raise ValueError(
                f"{name} must be the same in all groups: this group has {options[name]!r}, the optimizer "
                f"{first[name]!r}; use two optimizers for two"
            )
