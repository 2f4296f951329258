"""The way an optimizer walked through parameter space, and its picture on a plane."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.landscape.directions import Directions
from sofim_lab.landscape.principal import principal_components
from sofim_lab.landscape.tree import Tree, check_alike, flatten, parameters, unflatten

_BLOCK_NUMBERS = 2**24  # float64 numbers that are worked on at once, 128 MiB


@dataclass(frozen=True, repr=False, eq=False)
class Path:
    """Points w_0, …, w_T of a training run, kept as the start and the way from it.

    Attributes:
        start: w_0, a tree on the CPU.
        offsets: w_t − w_0, shape (T, d), the first row 0.
        steps: After how many steps of the optimizer each point was reached, shape (T,).
        name: What it is called, e.g. the optimizer's name.
    """

    start: Tree
    offsets: Tensor
    steps: Sequence[int]
    name: str = ""

    def __post_init__(self) -> None:
        d = sum(tensor.numel() for tensor in self.start.values())
        if self.offsets.dim() != 2 or self.offsets.shape[1] != d or len(self.offsets) != len(self.steps):
            got = f"{tuple(self.offsets.shape)} and {len(self.steps)} steps"
            raise ValueError(f"offsets must have the shape (T, {d}) with T steps to match the start, got {got}")
        if len(self.offsets) == 0:
            raise ValueError("the path is empty: record at least one point")
        if not bool(torch.isfinite(self.offsets).all()):
            raise ValueError("offsets must be finite: cut the path before it diverges")

    def __len__(self) -> int:
        return len(self.offsets)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        steps = f"steps {self.steps[0]} to {self.steps[-1]}"
        return f"Path({name}{len(self)} points, d={self.offsets.shape[1]}, {steps})"

    @property
    def points(self) -> Tensor:
        """The points themselves, shape (T, d), in the wider of the two dtypes of start and offsets."""
        return flatten(self.start) + self.offsets

    def tree(self, index: int) -> Tree:
        """One point as a tree, e.g. the origin of a slice; −1 is the end."""
        start = flatten(self.start)
        return unflatten((start + self.offsets[index]).to(start.dtype), self.start)


@dataclass(frozen=True, eq=False)
class ProjectedPath:
    """A path in the coordinates of a plane, or of a line.

    Attributes:
        coordinates: (a, b) of each point's projection o + aD_1 + bD_2, shape (T, k) for k directions.
        residuals: Each point's distance to the plane, shape (T,), in units of the parameters.
        share: How much of the path the plane shows, 1 − Σ residual² / Σ ‖w_t − o‖²; from 0 to 1.
        steps: See `Path`, shape (T,).
        name: See `Path`.
    """

    coordinates: np.ndarray
    residuals: np.ndarray
    share: float
    steps: np.ndarray
    name: str = ""


@dataclass(frozen=True, eq=False)
class CommonPlane:
    """One plane for several paths from one start.

    Attributes:
        origin: The start, which lies on the plane at (0, 0).
        directions: Its two directions, of length one; `explained` is the share of each.
        paths: The paths in its coordinates, in the order given.
    """

    origin: Tree = field(repr=False)
    directions: Directions = field(repr=False)
    paths: tuple[ProjectedPath, ...]


def project(path: Path, directions: Directions | Iterable[Tree], origin: Tree | nn.Module) -> ProjectedPath:
    r"""The nearest points of a plane: least squares, so that the directions need not be orthogonal or of length one.

        (a, b)_t = argmin ‖w_t − (o + aD_1 + bD_2)‖

    All in float64. These are the coordinates of a slice through o along D_1 and D_2.

    Args:
        path: The path.
        directions: One or two (or more) directions of the same model, e.g. those of the slice.
        origin: o, the point the slice was made around: a tree, or the model that stands there.

    Returns:
        `ProjectedPath`.

    Raises:
        ValueError: Directions or origin of another model, no direction, or directions that depend on one another.

    Example:
        >>> path = Path({"w": torch.zeros(3)}, torch.tensor([[0.0, 0, 0], [1, 2, 0], [2, 4, 3]]), (0, 1, 2))
        >>> axes = Directions(({"w": torch.tensor([1.0, 0, 0])}, {"w": torch.tensor([0, 2.0, 0])}), ("x", "y"))
        >>> shown = project(path, axes, path.start)
        >>> shown.coordinates.tolist(), shown.residuals.tolist(), round(shown.share, 3)
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [0.0, 0.0, 3.0], 0.735)
    """
    origin = parameters(origin) if isinstance(origin, nn.Module) else origin
    check_alike("the origin", origin, path.start, "the path")
    trees = tuple(directions)
    for k, tree in enumerate(trees):
        check_alike(f"direction {k + 1}", tree, path.start, "the path")
    D = torch.stack([_wide(flatten(tree)) for tree in trees], dim=1) if trees else torch.empty(0, 0)
    Q, R = _independent(D)
    shift = _wide(flatten(path.start)) - _wide(flatten(origin))
    coordinates, distances, lengths = [], [], []
    for rows in path.offsets.split(max(1, _BLOCK_NUMBERS // len(shift))):
        moved = _wide(rows) + shift
        inside = moved @ Q
        coordinates.append(torch.linalg.solve_triangular(R, inside.mT, upper=True).mT)
        rest = moved - inside @ Q.mT
        distances.append((rest - (rest @ Q) @ Q.mT).norm(dim=1))
        lengths.append(moved.norm(dim=1))
    residuals, total = torch.cat(distances), float(torch.cat(lengths).square().sum())
    share = 1 - float(residuals.square().sum()) / total if total else 1.0
    steps = np.asarray(path.steps)
    return ProjectedPath(torch.cat(coordinates).numpy(), residuals.numpy(), share, steps, path.name)


def common_plane(paths: Sequence[Path]) -> CommonPlane:
    r"""The plane through the common start that shows most of several paths, each path counting alike.

    Its directions maximise Σ_paths (1/T) Σ_t ‖P(w_t − w_0)‖² over the projections P on a plane: principal components
    without centring, so that all paths leave from one point that is on the plane.

    Args:
        paths: Paths of one model from one start, e.g. `RacePaths.paths(seed)`.

    Returns:
        `CommonPlane`.

    Raises:
        ValueError: No path, paths of different models or from different starts, or paths on one straight line.

    Example:
        >>> start = {"w": torch.zeros(3)}
        >>> ways = [Path(start, torch.tensor([[0.0, 0, 0], way]), (0, 1)) for way in ([3.0, 0, 0], [0, 4.0, 0])]
        >>> [round(shown.share, 6) for shown in common_plane(ways).paths]
        [1.0, 1.0]
    """
    if not paths:
        raise ValueError("paths is empty: give at least one path")
    first = paths[0]
    for k, path in enumerate(paths[1:], start=2):
        check_alike(f"path {k}", path.start, first.start, "the model of path 1")
        if not torch.equal(flatten(path.start), flatten(first.start)):
            raise ValueError(
                f"path {k} starts elsewhere than path 1: train from equal weights, e.g. one seed of a race"
            )
    rows = torch.cat([path.offsets.to(torch.promote_types(path.offsets.dtype, torch.float32)) for path in paths])
    weights = torch.cat([torch.full((len(path),), 1 / len(path), dtype=torch.float64) for path in paths])
    components, shares = principal_components(rows, 2, weights=weights)
    dtype = flatten(first.start).dtype
    trees = tuple(unflatten(component.to(dtype), first.start) for component in components)
    settings = {"kind": "common plane", "paths": [path.name for path in paths]}
    directions = Directions(trees, ("principal 1", "principal 2"), tuple(shares), settings)
    return CommonPlane(first.start, directions, tuple(project(path, directions, first.start) for path in paths))


def _independent(D: Tensor) -> tuple[Tensor, Tensor]:
    """D = QR; raise unless the columns are independent."""
    if D.shape[1] == 0:
        raise ValueError("directions is empty: give one for a line or two for a plane")
    lengths = D.norm(dim=0)
    if not bool((torch.isfinite(lengths) & (lengths > 0)).all()):
        raise ValueError(f"the directions have the lengths {lengths.tolist()}: they must be finite and not zero")
    Q, R = torch.linalg.qr(D)
    if bool((R.diagonal().abs() <= 1e-10 * lengths).any()):
        raise ValueError("a direction lies in the span of those before it, so they make no plane: take another")
    return Q, R


def _wide(tensor: Tensor) -> Tensor:
    """In float64, on the CPU."""
    return tensor.detach().to("cpu", torch.float64)
