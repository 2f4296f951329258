"""How long a step along the averaged gradient is, and the longest it can be: SOFIM and its kin."""

import math

import torch
from torch import Tensor


def step_lengths(norms: Tensor, lr: float, rho: float) -> dict[str, Tensor]:
    """Lengths of the steps along m of four methods, as functions of n = ‖m‖.

    SOFIM takes η n/(ρ + n²). The others get what makes them its relatives: the rate c = η/ρ that SOFIM has for small
    n, and the longest step b = η/(2√ρ) that it has at all.

        constant rate    c n
        clipped          min(c n, b)
        normalised       b
        SOFIM            η n / (ρ + n²)

    Args:
        norms: ‖m‖ ≥ 0, any shape.
        lr: η ≥ 0.
        rho: ρ > 0.

    Returns:
        Name to lengths, each of the shape of `norms`.

    Raises:
        ValueError: lr is negative, rho not positive, or one of them not finite.

    Example:
        >>> lengths = step_lengths(torch.tensor([1.0, 2.0, 100.0]), lr=4.0, rho=4.0)
        >>> lengths["SOFIM"], lengths["clipped"]
        (tensor([0.8000, 1.0000, 0.0400]), tensor([1., 1., 1.]))

    References:
        Clipping: Pascanu, Mikolov, Bengio, 2013, arXiv 1211.5063. Normalised momentum: Cutkosky, Mehta, 2020,
        arXiv 2002.03305. SOFIM: 2024, arXiv 2403.02833.
    """
    if not 0 <= lr < math.inf:
        raise ValueError(f"lr={lr!r} must be 0 or more and finite: 0 moves nothing")
    if not 0 < rho < math.inf:
        raise ValueError(f"rho={rho!r} must be positive and finite")
    longest = longest_step(lr, rho)
    constant = lr / rho * norms
    return {
        "constant rate": constant,
        "clipped": constant.clamp(max=longest),
        "normalised": torch.full_like(constant, longest),
        "SOFIM": lr * norms / (rho + norms**2),
    }


def longest_step(lr: float, rho: float) -> float:
    """SOFIM's trust radius η/(2√ρ): no step of the momentum direction is longer, and at ‖m‖ = √ρ one is that long.

    Args:
        lr: η ≥ 0.
        rho: ρ > 0.

    Returns:
        The bound.

    Example:
        >>> longest_step(lr=4.0, rho=4.0), float(step_lengths(torch.tensor(2.0), lr=4.0, rho=4.0)["SOFIM"])
        (1.0, 1.0)
    """
    return lr / (2 * math.sqrt(rho))
