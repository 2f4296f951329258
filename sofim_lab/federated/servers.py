"""Server optimizers: what is done with the clients' mean gradient; and SOFIM's warm-up."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from sofim_lab.optim import SOFIM
from sofim_lab.optim.kin import AlongMoment
from sofim_lab.training.refusals import whole_number

Server = Callable[[Iterable[nn.Parameter]], Optimizer]

_VAST = 1e16  # a ρ beside which no ‖m‖² counts


def fed_avg(rate: float) -> Server:
    """The server of FedAvg: plain descent. At the rate η_c E the new weights are the mean of the clients' weights."""
    return lambda params: torch.optim.SGD(params, lr=rate)


def fed_avg_m(rate: float, momentum: float = 0.9) -> Server:
    """FedAvg with heavy-ball momentum on the server."""
    return lambda params: torch.optim.SGD(params, lr=rate, momentum=momentum)


def fed_adam(rate: float, tau: float = 1e-3) -> Server:
    """Adam on the server, with the larger ε (τ) that pseudo-gradients need."""
    return lambda params: torch.optim.Adam(params, lr=rate, betas=(0.9, 0.99), eps=tau)


def fed_ema(rate: float, beta: float = 0.9) -> Server:
    """Averaged momentum at a constant rate: SOFIM's momentum direction for ρ → ∞, and so its honest control."""
    return lambda params: AlongMoment(params, "constant rate", lr=rate, rho=1.0, beta=beta)


def fed_sofim(
    rate: float,
    rho: float = 0.5,
    beta: float = 0.9,
    direction: Literal["momentum", "gradient"] = "momentum",
    warm_up: int = 0,
) -> Server:
    """SOFIM on the server, w ← w − η F⁻¹v with F = m mᵀ + ρI and m the mean of what the clients sent.

    Args:
        rate: η/ρ, the rate of the limit for large ρ, so that servers of one rate agree where ‖m‖² ≪ ρ.
        rho: ρ > 0, in units of a squared gradient.
        beta: β of the mean.
        direction: v = m, or the latest aggregate (`gradient`).
        warm_up: Rounds at the beginning in which the server descends along m at the rate η/ρ and F waits;
            the groups of parameters name it (`warm_up`), and hold the settings for afterwards between steps.

    Returns:
        A constructor that is given the parameters.

    Raises:
        ValueError: rate, rho or warm_up is out of its range.

    Example:
        >>> w = nn.Parameter(torch.tensor([0.0]))
        >>> server = fed_sofim(rate=1.0, rho=1.0, warm_up=1)([w])
        >>> w.grad = torch.tensor([3.0])
        >>> for _ in range(2):
        ...     server.step()
        ...     print(round(w.item(), 6))
        -3.0
        -3.3

    References:
        DP-FedSOFIM, 2026, arXiv 2601.09166 (v the latest aggregate), and its authors' code (v = m, after an optional
        warm-up by m alone, there at the rate η).
    """
    if not 0 <= rate < math.inf:
        raise ValueError(f"rate={rate!r} must be 0 or more and finite, e.g. 1.0")
    if not 0 < rho < math.inf:
        raise ValueError(f"rho={rho!r} must be positive and finite, e.g. 0.5")
    if whole_number("warm_up", warm_up) < 0:
        raise ValueError(f"warm_up={warm_up} must be 0 or more rounds")

    def make(params: Iterable[nn.Parameter]) -> SOFIM:
        optimizer = SOFIM(params, lr=rate * rho, rho=rho, beta=beta, direction=direction)
        if warm_up:
            _let_f_wait(optimizer, warm_up, {"lr": rate * rho, "rho": rho, "direction": direction})
        return optimizer

    return make


def _let_f_wait(optimizer: SOFIM, rounds: int, settings: dict[str, Any]) -> None:
    """In the first steps put a vast ρ, at the same η/ρ, in place of the settings; between steps those are in place."""
    taken = 0
    for group in optimizer.param_groups:
        group["warm_up"] = rounds

    def before(_: Optimizer, *unused: Any) -> None:
        nonlocal taken
        taken += 1
        if taken <= rounds:
            waiting = {"lr": settings["lr"] / settings["rho"] * _VAST, "rho": _VAST, "direction": "momentum"}
        for group in optimizer.param_groups if taken <= rounds + 1 else ():
            group.update(waiting if taken <= rounds else settings)

    def after(_: Optimizer, *unused: Any) -> None:
        for group in optimizer.param_groups if taken <= rounds else ():
            group.update(settings)

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
