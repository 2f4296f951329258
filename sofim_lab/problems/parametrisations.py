"""Other coordinates for the same distributions, and descent in any of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from sofim_lab.problems.arguments import whole_number
from sofim_lab.problems.distributions import Family

Method = Literal["gradient", "natural"]


@dataclass(frozen=True)
class Parametrisation:
    """Coordinates θ for the parameters w of a family: w = φ(θ).

    Attributes:
        name: The coordinates, as figures write them.
        to_w: φ; where θ names no distribution the result is not valid or nan.
        from_w: Its inverse.
        jacobian: θ to J = ∂w/∂θ, shape (d, d).
        affine: Whether J is the same everywhere.

    Example:
        >>> log_std = GAUSSIAN["(μ, log σ)"]
        >>> log_std.from_w(torch.tensor([1.0, 1.0]))
        tensor([1., 0.])
    """

    name: str
    to_w: Callable[[Tensor], Tensor]
    from_w: Callable[[Tensor], Tensor]
    jacobian: Callable[[Tensor], Tensor]
    affine: bool = False


def _second(
    name: str,
    to_std: Callable[[Tensor], Tensor],
    from_std: Callable[[Tensor], Tensor],
    slope: Callable[[Tensor], Tensor],
    affine: bool = False,
) -> Parametrisation:
    """μ stays, the second coordinate stands for σ."""
    return Parametrisation(
        name,
        lambda theta: torch.stack([theta[0], to_std(theta[1])]),
        lambda w: torch.stack([w[0], from_std(w[1])]),
        lambda theta: torch.diag(torch.stack([torch.ones_like(theta[0]), slope(theta[1])])),
        affine,
    )


def _linear(name: str, rows: list[list[float]]) -> Parametrisation:
    """θ = A w."""
    forward = torch.tensor(rows, dtype=torch.float64)
    back = torch.linalg.inv(forward)
    return Parametrisation(
        name, lambda theta: back.to(theta) @ theta, lambda w: forward.to(w) @ w, lambda theta: back.to(theta), True
    )


def _by_name(*known: Parametrisation) -> dict[str, Parametrisation]:
    return {one.name: one for one in known}


GAUSSIAN = _by_name(
    _second("(μ, σ)", lambda s: s, lambda s: s, torch.ones_like, affine=True),
    _linear("(μ + σ, μ − 2σ)", [[1.0, 1.0], [1.0, -2.0]]),
    _second("(μ, log σ)", torch.exp, torch.log, torch.exp),
    _second("(μ, σ²)", torch.sqrt, torch.square, lambda s: 0.5 / torch.sqrt(s)),
    _second("(μ, 1/σ²)", lambda s: s**-0.5, lambda s: s**-2, lambda s: -0.5 * s**-1.5),
)
"""Coordinates of N(μ, σ²) by name; the first two are affine in (μ, σ)."""

BERNOULLI = _by_name(
    Parametrisation("p", lambda t: t, lambda w: w, lambda t: torch.ones_like(t)[:, None], affine=True),
    Parametrisation("log-odds", torch.sigmoid, torch.logit, lambda t: (torch.sigmoid(t) * torch.sigmoid(-t))[:, None]),
    Parametrisation(
        "angle",
        lambda t: torch.sin(t / 2) ** 2,
        lambda w: 2 * torch.asin(w.sqrt()),
        lambda t: (torch.sin(t) / 2)[:, None],
    ),
)
"""Coordinates of a Bernoulli distribution by name; in the angle, p = sin²(θ/2), the Fisher matrix is 1 everywhere."""


def direction(
    family: Family, parametrisation: Parametrisation, theta: Tensor, g: Tensor, method: Method, damping: float = 0.0
) -> Tensor:
    """The descent direction in θ for a loss whose gradient in w is g.

        gradient: −Jᵀg        natural: −(F_θ + λI)⁻¹Jᵀg,  F_θ = JᵀF(w)J

    Args:
        family: The family.
        parametrisation: The coordinates θ.
        theta: Where, shape (d,).
        g: Gradient of the loss in w, shape (d,).
        method: `gradient` or `natural`.
        damping: λ ≥ 0.

    Returns:
        Shape (d,).

    Raises:
        ValueError: Another method.

    Example:
        >>> from sofim_lab.problems.distributions import bernoulli
        >>> theta, g = torch.tensor([0.5]), torch.tensor([1.0])
        >>> direction(bernoulli, BERNOULLI["p"], theta, g, "natural")
        tensor([-0.2500])
    """
    _check(method)
    jacobian = parametrisation.jacobian(theta)
    slope = jacobian.mT @ g
    if method == "gradient":
        return -slope
    fisher = jacobian.mT @ family.fisher(parametrisation.to_w(theta)) @ jacobian
    return -torch.linalg.solve(fisher + damping * torch.eye(len(g), dtype=g.dtype, device=g.device), slope)


def descend(
    family: Family,
    target: Tensor,
    start: Tensor,
    parametrisation: Parametrisation,
    method: Method,
    *,
    lr: float,
    steps: int,
    damping: float = 0.0,
) -> Tensor:
    """Fit p_w to a target by descent on KL(target ‖ p_w) in the coordinates θ.

    Args:
        family: The family.
        target: Parameters w of the target (d,).
        start: Parameters w of the first point (d,).
        parametrisation: The coordinates θ in which the steps θ ← θ + η · direction are taken.
        method: `gradient` or `natural`.
        lr: η > 0.
        steps: How many steps at most.
        damping: λ ≥ 0 of the natural direction.

    Returns:
        The points in w, shape (T + 1, d), start included; T < steps where a step led to no distribution.

    Raises:
        ValueError: Start or target name no distribution, another method, or an option is out of range.

    Example:
        One natural step of η = 1 in the right coordinates fits a Bernoulli distribution exactly:

        >>> from sofim_lab.problems.distributions import bernoulli
        >>> start, target = torch.tensor([[0.1], [0.7]], dtype=torch.float64)
        >>> descend(bernoulli, target, start, BERNOULLI["p"], "natural", lr=1.0, steps=1).flatten()
        tensor([0.1000, 0.7000], dtype=torch.float64)
    """
    _check(method)
    if not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"lr={lr!r} must be a positive number, e.g. 0.1")
    if not damping >= 0:
        raise ValueError(f"damping={damping!r} must be 0 or more; 0 is the natural gradient itself")
    if whole_number("steps", steps) < 0:
        raise ValueError(f"steps={steps!r} must be 0 or more; 0 gives the start alone")
    theta = parametrisation.from_w(family.check(start))
    path = [family.check(start)]
    family.check(target)
    for _ in range(steps):
        slope = family.kl_gradient(target, path[-1])
        theta = theta + lr * direction(family, parametrisation, theta, slope, method, damping)
        w = parametrisation.to_w(theta)
        if not family.valid(w):
            break
        path.append(w)
    return torch.stack(path)


def path_gap(family: Family, a: Tensor, b: Tensor, target: Tensor) -> float:
    """How far two paths with the same start are apart, in units of the way from there to the target.

        max_k √(δ_kᵀ F(a_k) δ_k) / √(2 KL(target ‖ start)),    δ_k = b_k − a_k

    Numerator and denominator are lengths in nats: √(2 KL) to second order.

    Args:
        family: The family.
        a: Path (T + 1, d) in w.
        b: Another one.
        target: Parameters w of the target.

    Returns:
        0 for equal paths; inf where one of them ends earlier than the other.

    Raises:
        ValueError: The paths differ and start at the target: there is no way to measure them by.
    """
    if torch.equal(a, b):
        return 0.0
    if a.shape != b.shape:
        return math.inf
    lengths = [float(delta @ family.fisher(w) @ delta) for w, delta in zip(a, b - a, strict=True)]
    way = 2 * float(family.kl(target, a[0]))
    if way <= 0:
        raise ValueError(f"target={target.tolist()} is where the paths start: choose another, so that there is a way")
    return math.sqrt(max(lengths) / way)


def _check(method: str) -> None:
    """One of the two there are."""
    if method not in get_args(Method):
        raise ValueError(f"method={method!r} is unknown: choose {' or '.join(map(repr, get_args(Method)))}")
