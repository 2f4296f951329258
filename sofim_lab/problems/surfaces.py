"""Losses of two parameters, whose minima and saddles are known: the ground that can be drawn in full."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Point = tuple[float, float]
Window = tuple[float, float, float, float]  # left, right, bottom, top


@dataclass(frozen=True)
class Surface:
    """A smooth function of (x, y), bounded below, with the points at which its gradient is zero.

    Attributes:
        name: The key in `SURFACES`.
        function: Maps points (..., 2) to values (...).
        minima: All local minima, lowest first.
        saddles: All saddle points; the Hessian has one negative and one positive eigenvalue there.
        window: The part of the plane worth drawing: left, right, bottom, top.
        formula: The function in plain text.

    Example:
        >>> surface = SURFACES["saddle"]
        >>> surface.gradient(torch.tensor([0.0, 1.0]))
        tensor([0., 0.])
        >>> surface.hessian(torch.tensor([0.0, 0.0]))
        tensor([[ 1.,  0.],
                [ 0., -1.]])
    """

    name: str
    function: Callable[[Tensor], Tensor]
    minima: tuple[Point, ...]
    saddles: tuple[Point, ...]
    window: Window
    formula: str = ""

    def __call__(self, xy: Tensor) -> Tensor:
        """The values at points (..., 2), shape (...)."""
        if xy.shape[-1:] != (2,):
            raise ValueError(f"xy has shape {tuple(xy.shape)}: the last dimension must be 2, for x and y")
        return self.function(xy)

    def gradient(self, xy: Tensor) -> Tensor:
        """∇f by automatic differentiation.

        Args:
            xy: Points, shape (..., 2), floating.

        Returns:
            Shape (..., 2), detached.
        """
        return self._derivatives(xy)[0].detach()

    def hessian(self, xy: Tensor) -> Tensor:
        """∇²f by automatic differentiation.

        Args:
            xy: Points, shape (..., 2), floating.

        Returns:
            Shape (..., 2, 2), symmetric, detached.
        """
        gradient, at = self._derivatives(xy)
        rows = [torch.autograd.grad(gradient[..., i].sum(), at, retain_graph=True)[0] for i in (0, 1)]
        return torch.stack(rows, dim=-2)

    def grid(self, points: int = 101) -> tuple[Tensor, Tensor, Tensor]:
        """The values over the window, for a map.

        Args:
            points: In each direction, 2 or more.

        Returns:
            x of shape (points,), y of shape (points,), and values of shape (points, points), a row for each y.
        """
        left, right, bottom, top = self.window
        x = torch.linspace(left, right, points, dtype=torch.float64)
        y = torch.linspace(bottom, top, points, dtype=torch.float64)
        return x, y, self(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1))

    def nearest(self, xy: Tensor) -> tuple[str, Point, float]:
        """Which known point a place is closest to.

        Args:
            xy: One point, shape (2,).

        Returns:
            `minimum` or `saddle`, the point, and the distance to it.
        """
        known = [("minimum", point) for point in self.minima] + [("saddle", point) for point in self.saddles]
        distances = [float(torch.linalg.vector_norm(xy.detach() - xy.new_tensor(point))) for _, point in known]
        place = min(range(len(known)), key=distances.__getitem__)
        return *known[place], distances[place]

    def _derivatives(self, xy: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient with its graph, and the leaf that it depends on."""
        with torch.enable_grad():
            at = xy.detach().clone().requires_grad_()
            # + 0·x²: the second derivative exists for autograd, too, where the function is linear in a coordinate.
            value = self(at).sum() + 0 * at.square().sum()
            return torch.autograd.grad(value, at, create_graph=True)[0], at


def quadratic(condition: float = 10.0) -> Surface:
    """The bowl ½ (x² + κ y²): Hessian diag(1, κ), eigenvalues 1 and κ, minimum at the origin.

    Args:
        condition: The condition number κ ≥ 1.

    Returns:
        The surface.

    Raises:
        ValueError: condition < 1 or not finite.

    Example:
        >>> float(quadratic(4.0)(torch.tensor([2.0, 1.0])))
        4.0
    """
    if not 1 <= condition < float("inf"):
        raise ValueError(f"condition={condition!r} must be a finite number of at least 1")

    def function(xy: Tensor) -> Tensor:
        x, y = xy.unbind(-1)
        return 0.5 * (x**2 + condition * y**2)

    return Surface("quadratic", function, ((0.0, 0.0),), (), (-1.6, 1.6, -1.2, 1.2), f"½ (x² + {condition:g} y²)")


def _rosenbrock(xy: Tensor) -> Tensor:
    x, y = xy.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _saddle(xy: Tensor) -> Tensor:
    x, y = xy.unbind(-1)
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def _double_well(xy: Tensor) -> Tensor:
    x, y = xy.unbind(-1)
    return x**4 / 4 - x**3 / 6 - 3 * x**2 / 4 + (y - x / 2) ** 2 / 2


def _himmelblau(xy: Tensor) -> Tensor:
    x, y = xy.unbind(-1)
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (
        quadratic(),
        Surface("rosenbrock", _rosenbrock, ((1.0, 1.0),), (), (-2.0, 2.0, -1.0, 3.0), "(1 − x)² + 100 (y − x²)²"),
        Surface(
            "saddle",
            _saddle,
            minima=((0.0, 1.0), (0.0, -1.0)),
            saddles=((0.0, 0.0),),
            window=(-2.0, 2.0, -1.6, 1.6),
            formula="x²/2 − y²/2 + y⁴/4",
        ),
        Surface(  # along y = x/2 the slope is (x + 1) x (x − 3/2): two wells of different depth and curvature
            "double_well",
            _double_well,
            minima=((1.5, 0.75), (-1.0, -0.5)),
            saddles=((0.0, 0.0),),
            window=(-2.0, 2.6, -1.8, 2.0),
            formula="x⁴/4 − x³/6 − 3x²/4 + (y − x/2)²/2",
        ),
        Surface(  # there is a maximum, too, at (−0.27, −0.92)
            "himmelblau",
            _himmelblau,
            minima=(
                (3.0, 2.0),
                (-2.805118086952745, 3.131312518250573),
                (-3.779310253377747, -3.2831859912861696),
                (3.5844283403304917, -1.8481265269644034),
            ),
            saddles=(
                (-3.0730257507643897, -0.08135304428796751),
                (-0.12796134673068005, -1.9537149802445766),
                (0.08667750455539634, 2.884254701174776),
                (3.385154183607021, 0.07385187983774928),
            ),
            window=(-5.0, 5.0, -5.0, 5.0),
            formula="(x² + y − 11)² + (x + y² − 7)²",
        ),
    )
}
