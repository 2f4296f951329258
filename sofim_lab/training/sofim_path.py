"""SOFIM on a surface of two parameters with noisy gradients, each step with what the optimizer says about it."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from sofim_lab.curvature.step_lengths import longest_step
from sofim_lab.optim import SOFIM
from sofim_lab.problems.surfaces import SURFACES, Point, Surface
from sofim_lab.training.descend import descend


@dataclass(frozen=True, eq=False)
class SofimPath:
    """A path of SOFIM over a surface.

    Attributes:
        surface: The ground.
        settings: lr, beta, rho and direction, as SOFIM got them.
        noise: Standard deviation of the noise on each component of the gradient.
        points: Where it was, shape (steps + 1, 2), float64, the start included.
        losses: Values of the surface there, without noise, shape (steps + 1,).
        lengths: Length of each step, shape (steps,).
        norms: ‖m‖ at each step, shape (steps,).
    """

    surface: Surface
    settings: dict[str, Any]
    noise: float
    points: Tensor
    losses: Tensor
    lengths: Tensor
    norms: Tensor

    @property
    def bound(self) -> float | None:
        """The longest step η/(2√ρ) that the momentum direction can take; None for the gradient direction."""
        if self.settings["direction"] != "momentum":
            return None
        return longest_step(self.settings["lr"], self.settings["rho"])

    @property
    def distance(self) -> float:
        """Largest distance of the last ten points from the minimum nearest to the end."""
        ends = self.points.new_tensor(self.surface.minima)
        nearest = min(ends, key=lambda end: float(torch.linalg.vector_norm(self.points[-1] - end)))
        return float(torch.linalg.vector_norm(self.points[-10:] - nearest, dim=1).max())


def sofim_path(
    surface: str,
    start: Point,
    *,
    lr: float,
    beta: float,
    rho: float,
    direction: str = "momentum",
    noise: float = 0.0,
    steps: int = 60,
    seed: int = 0,
) -> SofimPath:
    """Walk down a surface f with SOFIM and the gradients ∇f + noise·z, z standard normal.

    Args:
        surface: Key in `sofim_lab.problems.surfaces.SURFACES`.
        start: First point.
        lr: η > 0.
        beta: β in [0, 1).
        rho: ρ > 0.
        direction: `momentum` or `gradient`.
        noise: Standard deviation of the noise, ≥ 0.
        steps: How many steps, 1 or more. The path ends early where it is no longer finite, or
            where the gradient is exactly 0.
        seed: Seed of the noise.

    Returns:
        The path. The same arguments give the same path.

    Raises:
        ValueError: There is no such surface, noise < 0, steps < 1, or what `SOFIM` refuses.

    Example:
        >>> path = sofim_path("quadratic", (1.0, 1.0), lr=0.5, beta=0.0, rho=1.0, steps=3)
        >>> path.points.shape, bool(path.lengths.max() <= path.bound)
        (torch.Size([4, 2]), True)

    References:
        SOFIM, 2024, arXiv 2403.02833, Algorithm 1.
    """
    if surface not in SURFACES:
        raise ValueError(f"surface={surface!r} is unknown: choose one of {', '.join(SURFACES)}")
    if not (noise >= 0 and math.isfinite(noise)):
        raise ValueError(f"noise={noise!r} must be a finite number of 0 or more")
    if steps < 1:
        raise ValueError(f"steps={steps!r} must be 1 or more")
    ground = SURFACES[surface]
    w = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    settings: dict[str, Any] = {"lr": lr, "beta": beta, "rho": rho, "direction": direction}
    optimizer = SOFIM([w], **settings, diagnostics=True, foreach=False)
    draws = iter(noise * _normals(steps + 1, int(seed)))
    # The noise enters as a tilt of the surface: its gradient is the draw itself.
    # Where it vanishes exactly, the kind of the point is asked for, beyond the last draw.
    way = descend(
        lambda: ground(w) + next(draws, torch.zeros_like(w)) @ w, [w], lambda _: optimizer, steps=steps, tol=0.0
    )
    finite = int(torch.isfinite(way.points).all(dim=1).sum())
    points = way.points[:finite]
    records = [[float(record.step_length), float(record.moment_norm)] for record in optimizer.records[: finite - 1]]
    lengths, norms = torch.tensor(records, dtype=torch.float64).reshape(-1, 2).unbind(dim=1)
    return SofimPath(ground, settings, noise, points, ground(points), lengths, norms)


@lru_cache(maxsize=8)
def _normals(steps: int, seed: int) -> Tensor:
    """Noise of every step, shape (steps, 2)."""
    return torch.randn(steps, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
