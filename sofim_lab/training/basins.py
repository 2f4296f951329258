"""Where pure Newton ends, from many starts at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sofim_lab.problems.surfaces import Point, Surface

_NEAR = 1e-6
_KINDS = ("minimum", "saddle", "elsewhere")


def pure_newton(surface: Surface, starts: Tensor, steps: int = 20) -> Tensor:
    """The iterates of w ← w − H(w)⁻¹ ∇f(w), unchecked, for many starts in one batch.

    Args:
        surface: The loss f.
        starts: Shape (..., 2).
        steps: How many, 0 or more.

    Returns:
        Shape (steps + 1, ..., 2); nan from the step on at which H is singular.

    Example:
        >>> from sofim_lab.problems import quadratic
        >>> pure_newton(quadratic(1000.0), torch.tensor([[3.0, -2.0]]), steps=1)[-1].tolist()
        [[0.0, 0.0]]
    """
    points = [starts.detach().clone()]
    for _ in range(steps):
        step, failed = torch.linalg.solve_ex(surface.hessian(points[-1]), surface.gradient(points[-1]))
        points.append(torch.where(failed[..., None] == 0, points[-1] - step, torch.nan))
    return torch.stack(points)


@dataclass(frozen=True, eq=False)
class Basins:
    """Which stationary point pure Newton reaches, for each start on a grid.

    Attributes:
        surface: The loss.
        x: Starts, shape (points,).
        y: Starts, shape (points,).
        reached: Number in `targets`, or −1 for none of them, shape (points, points), a row for each y.
        targets: Kind (`minimum` or `saddle`) and place of each known stationary point.
    """

    surface: Surface
    x: Tensor
    y: Tensor
    reached: Tensor
    targets: tuple[tuple[str, Point], ...]

    def share(self, kind: str) -> float:
        """The share of the starts that end at a `minimum`, at a `saddle`, or at neither (`elsewhere`).

        Raises:
            ValueError: Another kind.
        """
        if kind not in _KINDS:
            raise ValueError(f"kind={kind!r} is unknown: choose one of {', '.join(_KINDS)}")
        wanted = [place for place, (known, _) in enumerate(self.targets) if known == kind]
        wanted = [-1] if kind == "elsewhere" else wanted
        return float(torch.isin(self.reached, torch.tensor(wanted)).double().mean())


def basins(surface: Surface, points: int = 120, steps: int = 50) -> Basins:
    """Run pure Newton from every point of a grid over the surface's window.

    Args:
        surface: The loss.
        points: Starts in each direction.
        steps: Steps from each.

    Returns:
        `Basins`.

    Example:
        >>> from sofim_lab.problems import quadratic
        >>> basins(quadratic(), points=8, steps=1).share("minimum")
        1.0
    """
    x, y, _ = surface.grid(points)
    starts = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    ends = pure_newton(surface, starts, steps)[-1]
    targets = tuple([("minimum", p) for p in surface.minima] + [("saddle", p) for p in surface.saddles])
    reached = torch.full(ends.shape[:-1], -1)
    for number, (_, place) in enumerate(targets):
        reached[torch.linalg.vector_norm(ends - ends.new_tensor(place), dim=-1) < _NEAR] = number
    return Basins(surface, x, y, reached, targets)
