"""Conjugate gradients for directions: stopped by relative progress, and where the curvature is too low."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sofim_lab.optim._errors import NotFiniteError

CGStop = Literal["residual", "progress", "max_iter", "curvature"]


@dataclass(frozen=True)
class CGResult:
    """The approximate solution, and why the iteration ended."""

    x: Tensor
    iterations: int  # products spent
    stop: CGStop
    curvature: float | None  # dᵀAd/dᵀd of the direction d that stopped it, where one did


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], b: Tensor, *, tol: float, max_iter: int, floor: float = 0.0
) -> CGResult:
    r"""Solve Ax = b from x = 0 by lowering φ(x) = ½ xᵀAx − bᵀx along conjugate directions d.

    It ends
        residual:  where ‖b − Ax‖ ≤ ε_mach ‖b‖;
        progress:  in iteration i, where the last k = max(10, i/10) lowered φ by less than k·tol of φ (Martens);
        max_iter:  after that many products;
        curvature: where dᵀAd ≤ 0 or dᵀAd < floor·dᵀd. Then x is the iterate so far, or, in the first iteration, where
                   d = b, x = b / max(|bᵀAb|/bᵀb, floor), which is b itself where both are 0.
    In each case bᵀx > 0 unless b = 0: for b = −∇L, x is a direction of descent.

    References:
        J. Martens, 2010, "Deep learning via Hessian-free optimization", §4.4. T. Steihaug, 1983.
    """
    x, r, d = torch.zeros_like(b), b.clone(), b.clone()
    rr = bb = _dot(b, b)
    enough = (torch.finfo(b.dtype).eps ** 2) * bb
    values = [0.0]  # φ after each iteration
    while rr > enough:
        if len(values) > max_iter:
            return CGResult(x, max_iter, "max_iter", None)
        Ad, dd = product(d), _dot(d, d)
        curvature = _dot(d, Ad) / dd
        if not abs(curvature) < float("inf"):
            raise NotFiniteError(
                "the product of the curvature with a direction is not finite, nothing was changed: "
                "look for a second derivative that is inf or nan, as that of √x at 0"
            )
        if curvature <= 0 or curvature < floor:
            if len(values) == 1:
                x = b / (max(abs(curvature), floor) or 1.0)
            return CGResult(x, len(values), "curvature", curvature)
        a = rr / (curvature * dd)
        x, r = x + a * d, r - a * Ad
        rr, before = _dot(r, r), rr
        d = r + rr / before * d
        values.append(-0.5 * (_dot(x, b) + _dot(x, r)))
        if _slow(values, tol):
            return CGResult(x, len(values) - 1, "progress", None)
    return CGResult(x, len(values) - 1, "residual", None)


def _slow(values: list[float], tol: float) -> bool:
    """Whether the last k iterations brought less than k·tol of what all brought."""
    i = len(values) - 1
    k = max(10, i // 10)
    return i > k and values[-1] < 0 and (values[-1] - values[-1 - k]) / values[-1] < k * tol


def _dot(u: Tensor, v: Tensor) -> float:
    """uᵀv, in a tree sum that does not drift."""
    return (u * v).sum().item()
