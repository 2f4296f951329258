"""Three families of distributions: densities, exact expectations, Fisher matrices and KL divergences."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

NODES = 20  # Gauss–Hermite: exact for polynomials in x up to degree 39


@dataclass(frozen=True)
class Family:
    """Distributions p_w on the line or on finitely many labels, w of shape (d,), float64 advised.

    Attributes:
        name: What figures call it.
        symbols: One for each parameter.
        log_prob: (w, outcomes (k,)) to log p_w, shape (k,).
        outcomes: w to outcomes (k,) and weights (k,): Σ weight · f(outcome) is E_{p_w} f, exactly for every f on
            labels, and for a Gaussian for every polynomial f up to degree 39.
        fisher: w to the Fisher matrix (d, d) in closed form.
        kl: (v, w) to KL(p_v ‖ p_w) ≥ 0 in nats; leading dimensions of v and w broadcast.
        kl_gradient: (v, w) to ∇_w KL(p_v ‖ p_w), shape (d,).
        valid: Whether w names a distribution of the family; False for nan.

    Example:
        >>> w = torch.tensor([0.0, 2.0], dtype=torch.float64)
        >>> gaussian.fisher(w)
        tensor([[0.2500, 0.0000],
                [0.0000, 0.5000]], dtype=torch.float64)
        >>> round(float(gaussian.kl(w, w + torch.tensor([1.0, 0.0]))), 4)
        0.125

    References:
        S. Amari, 1998, "Natural gradient works efficiently in learning", §3.
    """

    name: str
    symbols: tuple[str, ...]
    log_prob: Callable[[Tensor, Tensor], Tensor]
    outcomes: Callable[[Tensor], tuple[Tensor, Tensor]]
    fisher: Callable[[Tensor], Tensor]
    kl: Callable[[Tensor, Tensor], Tensor]
    kl_gradient: Callable[[Tensor, Tensor], Tensor]
    valid: Callable[[Tensor], bool]

    def check(self, w: Tensor) -> Tensor:
        """The parameters, if they name a distribution.

        Raises:
            ValueError: They do not.
        """
        if not self.valid(w):
            parts = w.flatten().tolist()
            named = zip(self.symbols, parts, strict=True) if len(self.symbols) == len(parts) else [("w", parts)]
            values = ", ".join(f"{s} = {v:g}" if isinstance(v, float) else f"{s} = {v}" for s, v in named)
            raise ValueError(
                f"{values} is no {self.name} distribution: all must be finite, σ positive, p inside (0, 1)"
            )
        return w


def scores(family: Family, w: Tensor) -> tuple[Tensor, Tensor]:
    """The score ∇_w log p_w of each outcome by automatic differentiation, and the outcomes' weights.

    Args:
        family: The family.
        w: Parameters (d,).

    Returns:
        Scores (k, d) and weights (k,): `weights @ scores` is E[∇log p].

    Raises:
        ValueError: w names no distribution.

    Example:
        >>> s, weights = scores(bernoulli, torch.tensor([0.25], dtype=torch.float64))
        >>> s.flatten(), weights @ s
        (tensor([-1.3333,  4.0000], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    x, weights = family.outcomes(family.check(w))
    return torch.func.jacrev(lambda at: family.log_prob(at, x))(w), weights


def log_hessians(family: Family, w: Tensor) -> tuple[Tensor, Tensor]:
    """∇²_w log p_w of each outcome by automatic differentiation, and the outcomes' weights.

    Args:
        family: The family.
        w: Parameters (d,).

    Returns:
        Second derivatives (k, d, d) and weights (k,).

    Raises:
        ValueError: w names no distribution.

    Example:
        >>> h, weights = log_hessians(bernoulli, torch.tensor([0.5], dtype=torch.float64))
        >>> h.flatten()
        tensor([-4., -4.], dtype=torch.float64)
    """
    x, weights = family.outcomes(family.check(w))
    return torch.func.hessian(lambda at: family.log_prob(at, x))(w), weights


@lru_cache(maxsize=1)
def _hermite() -> tuple[Tensor, Tensor]:
    """Nodes and weights for expectations under N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


def _gaussian_log_prob(w: Tensor, x: Tensor) -> Tensor:
    mean, std = w
    return -0.5 * ((x - mean) / std) ** 2 - torch.log(std) - 0.5 * math.log(2 * math.pi)


def _gaussian_outcomes(w: Tensor) -> tuple[Tensor, Tensor]:
    nodes, weights = _hermite()
    return w[0] + w[1] * nodes.to(w), weights.to(w)


def _gaussian_kl(v: Tensor, w: Tensor) -> Tensor:
    """log(σ_w/σ_v) + (σ_v² + (μ_v − μ_w)²)/(2σ_w²) − ½, arranged so that equal w and v give exactly zero."""
    r = (v[..., 1] - w[..., 1]) / w[..., 1]  # σ_v/σ_w − 1
    shift = (v[..., 0] - w[..., 0]) / w[..., 1]
    return 0.5 * shift**2 + (r - torch.log1p(r)) + 0.5 * r**2


def _gaussian_kl_gradient(v: Tensor, w: Tensor) -> Tensor:
    shift, std = v[0] - w[0], w[1]
    return torch.stack([-shift / std**2, 1 / std - (v[1] ** 2 + shift**2) / std**3])


def _bernoulli_kl(v: Tensor, w: Tensor) -> Tensor:
    p, q = v[..., 0], w[..., 0]
    return torch.xlogy(p, p / q) + torch.xlogy(1 - p, (1 - p) / (1 - q))


def _categorical_fisher(w: Tensor) -> Tensor:
    p = torch.softmax(w, 0)
    return torch.diag(p) - torch.outer(p, p)


def _categorical_kl(v: Tensor, w: Tensor) -> Tensor:
    log_p, log_q = torch.log_softmax(v, -1), torch.log_softmax(w, -1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


gaussian = Family(
    "Gaussian",
    ("μ", "σ"),
    _gaussian_log_prob,
    _gaussian_outcomes,
    lambda w: torch.diag(torch.stack([w[1] ** -2, 2 * w[1] ** -2])),
    _gaussian_kl,
    _gaussian_kl_gradient,
    lambda w: bool(torch.isfinite(w).all() and (w[..., 1] > 0).all()),
)
"""N(μ, σ²) with w = (μ, σ), σ the standard deviation: F = diag(1/σ², 2/σ²)."""

bernoulli = Family(
    "Bernoulli",
    ("p",),
    lambda w, y: torch.where(y == 1, torch.log(w[0]), torch.log1p(-w[0])),
    lambda w: (torch.tensor([0, 1], device=w.device), torch.stack([1 - w[0], w[0]])),
    lambda w: (1 / (w * (1 - w)))[:, None],
    _bernoulli_kl,
    lambda v, w: (w - v) / (w * (1 - w)),
    lambda w: bool(((w > 0) & (w < 1)).all()),
)
"""y = 1 with probability p, else 0, with w = (p,): F = 1/(p(1 − p))."""

categorical = Family(
    "categorical",
    ("logits",),
    lambda w, y: torch.log_softmax(w, 0)[y],
    lambda w: (torch.arange(len(w), device=w.device), torch.softmax(w, 0)),
    _categorical_fisher,
    _categorical_kl,
    lambda v, w: torch.softmax(w, 0) - torch.softmax(v, 0),
    lambda w: bool(torch.isfinite(w).all()),
)
"""Label c with probability softmax(w)_c, w the logits (C,): F = diag(p) − p pᵀ, singular along (1, …, 1)."""
