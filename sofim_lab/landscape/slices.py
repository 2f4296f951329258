"""Slices through the loss: along one direction, over a plane, and over a plane from coarse to fine."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from sofim_lab.curvature.memory import CHUNK_BYTES
from sofim_lab.landscape.axes import COARSE, Extent, axis, coarse_to_fine, ranges
from sofim_lab.landscape.directions import Directions
from sofim_lab.landscape.grid import Grid, check_size, settings_of, warn_of_gaps
from sofim_lab.landscape.methods import METHODS, choose
from sofim_lab.landscape.result import Slice
from sofim_lab.landscape.scene import Data, LossFunction, build_scene
from sofim_lab.landscape.tree import Tree


def slice_1d(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    directions: Directions,
    *,
    extent: Extent = 1.0,
    points: int = 51,
    accuracy: bool = False,
    origin: Tree | None = None,
    batch_norm: str = "eval",
    method: str = "auto",
    memory_bytes: int = CHUNK_BYTES,
    progress: bool | None = None,
) -> Slice:
    r"""The loss along one direction through a point of parameter space, for evenly spaced a.

        loss[i] = L(w + a_i D)

    Args:
        model: See `slice_2d`, as for all that is not named here.
        loss_fn: See `slice_2d`.
        data: See `slice_2d`.
        directions: One direction of this model.
        extent: A number e for −e … e, or a pair (low, high).
        points: How many, at least 2; an odd number has a = 0 in the middle of −e … e.
        accuracy: See `slice_2d`.
        origin: See `slice_2d`.
        batch_norm: See `slice_2d`.
        method: See `slice_2d`.
        memory_bytes: See `slice_2d`.
        progress: See `slice_2d`.

    Returns:
        A `Slice` with b = None and a loss of shape (points,).

    Raises:
        TypeError: See `slice_2d`.
        ValueError: See `slice_2d`.
        MemoryError: See `slice_2d`.

    Example:
        >>> import torch
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.ones_(model.weight)
        >>> line = Directions(({"weight": torch.tensor([[1.0]])},), ("w",))
        >>> slice_1d(model, nn.MSELoss(), (torch.ones(1, 1), torch.zeros(1, 1)), line, points=3).loss
        array([0., 1., 4.])

    References:
        I. J. Goodfellow, O. Vinyals and A. M. Saxe, 2015, arXiv 1412.6544, §3.
    """
    checks = {"accuracy": accuracy, "origin": origin, "batch_norm": batch_norm, "memory_bytes": memory_bytes}
    (grid,) = _grids(model, loss_fn, data, directions, 1, extent, [(points,)], method, progress, checks)
    picture = grid.picture()
    warn_of_gaps(picture)
    return picture


def slice_2d(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    directions: Directions,
    *,
    extent: Extent = 1.0,
    points: int | tuple[int, int] = 51,
    accuracy: bool = False,
    origin: Tree | None = None,
    batch_norm: str = "eval",
    method: str = "auto",
    memory_bytes: int = CHUNK_BYTES,
    progress: bool | None = None,
) -> Slice:
    r"""The loss over a plane through a point of parameter space, on a regular grid.

        loss[j, i] = L(w + a_i D_1 + b_j D_2)

    The model is copied, in evaluation mode, and only the copy is moved about: parameters, buffers, modes and random
    numbers stay bit for bit what they were, also after an error or an interrupt.

    Args:
        model: Any module.
        loss_fn: Module or function of (outputs, y) that returns the mean over the samples.
        data: A pair (x, y) of tensors on the model's device, or a DataLoader of such pairs: its batches are loaded
            once, evaluated at all points, and weighted by their sizes.
        directions: Two directions of this model.
        extent: A number e for −e … e, a pair (low, high) for both axes, or a pair for each.
        points: Points of both axes, or (nx, ny), at least 2 each; odd numbers have (0, 0) on the grid.
        accuracy: Also the fraction of right answers, for outputs (n, C) and labels (n,).
        origin: The point w, as a tree; the model's present parameters if None.
        batch_norm: "eval" takes the running statistics as they are; "recompute" computes them anew from the data at
            every point, at the cost of one more pass.
        method: "auto", or the name of one way to compute, see `methods`. All give the same numbers up to rounding.
        memory_bytes: About what the outputs of all layers may take for the samples that are worked on at once.
        progress: Show a bar; None shows it except while a lesson's report is written.

    Returns:
        A `Slice`. Where the loss is infinite or no number it is nan, and one warning tells how many points these are.

    Raises:
        TypeError: An argument is of another type.
        ValueError: Directions of another model, zero or non-finite; data, loss or grid that cannot be evaluated.
        MemoryError: Grid and copies take more than is free.

    Example:
        >>> import torch
        >>> from sofim_lab.landscape import random_directions
        >>> model = nn.Linear(4, 3)
        >>> data = torch.randn(8, 4), torch.arange(8) % 3
        >>> plane = slice_2d(model, nn.CrossEntropyLoss(), data, random_directions(model, seed=0), points=(5, 3))
        >>> plane.loss.shape, float(plane.a[2])
        ((3, 5), 0.0)

    References:
        H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, 2018, arXiv 1712.09913, §2 and §4.
    """
    checks = {"accuracy": accuracy, "origin": origin, "batch_norm": batch_norm, "memory_bytes": memory_bytes}
    sizes = [_pair(points)]
    (grid,) = _grids(model, loss_fn, data, directions, 2, extent, sizes, method, progress, checks)
    picture = grid.picture()
    warn_of_gaps(picture)
    return picture


def refine(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    directions: Directions,
    *,
    extent: Extent = 1.0,
    points: int | tuple[int, int] = 51,
    coarsest: int = COARSE,
    method: str = "auto",
    progress: bool | None = False,
    **options: Any,
) -> Iterator[Slice]:
    """The slice of `slice_2d` from coarse to fine: a small picture at once, then finer ones, no point twice.

    With 51 points the pictures have 11, 26 and 51 points a side, each a regular grid over the whole extent. Points
    minus one should have a divisor near ten: a number that has none, such as 48, costs the first picture on top.

    Args:
        model: See `slice_2d`.
        loss_fn: See `slice_2d`.
        data: See `slice_2d`.
        directions: See `slice_2d`.
        extent: See `slice_2d`.
        points: Of the last picture, see `slice_2d`.
        coarsest: Points a side of the first picture, about.
        method: See `slice_2d`.
        progress: See `slice_2d`; no bar is the default.
        options: accuracy, origin, batch_norm, memory_bytes of `slice_2d`.

    Yields:
        One `Slice` after the other; the last one is that of `slice_2d`.

    Raises:
        TypeError: See `slice_2d`; raised at the call, not at the first picture.
        ValueError: See `slice_2d`.
        MemoryError: See `slice_2d`.

    Example:
        >>> import torch
        >>> from sofim_lab.landscape import random_directions
        >>> model = nn.Linear(4, 3)
        >>> data = torch.randn(8, 4), torch.arange(8) % 3
        >>> [plane.loss.shape for plane in refine(model, nn.CrossEntropyLoss(), data, random_directions(model, seed=0))]
        [(11, 11), (26, 26), (51, 51)]
    """
    nx, ny = _pair(points)
    check_size(model, (nx, ny))
    steps = [coarse_to_fine(n, coarsest) for n in (nx, ny)]
    longest = max(map(len, steps))
    columns, rows = ([x[0]] * (longest - len(x)) + x for x in steps)
    levels = list(zip(columns, rows, strict=True))
    checks = {"accuracy": False, "origin": None, "batch_norm": "eval", "memory_bytes": CHUNK_BYTES}
    if unknown := options.keys() - checks.keys():
        raise TypeError(f"refine has no argument {min(unknown)!r}: it takes those of slice_2d and coarsest")
    fine, *extra = _grids(
        model,
        loss_fn,
        data,
        directions,
        2,
        extent,
        [(nx, ny)] + [level for level in levels if not _within(level, (nx, ny))],
        method,
        progress,
        checks | options,
    )
    return _pictures(fine, extra, levels)


def _pictures(fine: Grid, extra: list[Grid], levels: list[tuple[int, int]]) -> Iterator[Slice]:
    """The pictures of all levels; those that are no part of the fine grid come from grids of their own."""
    size = tuple(len(x) for x in fine.axes)
    others = iter(extra)
    for level in levels:
        if _within(level, size):
            sx, sy = ((n - 1) // (m - 1) for m, n in zip(level, size, strict=True))
            picture = fine.picture((sx, sy))
        else:
            picture = next(others).picture()
        if level == size:
            warn_of_gaps(picture)
        yield picture


def _grids(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    directions: Directions,
    count: int,
    extent: Extent,
    sizes: Sequence[tuple[int, ...]],
    method: str,
    progress: bool | None,
    checks: dict[str, Any],
) -> list[Grid]:
    """Grids of these sizes over one scene, everything checked."""
    if not isinstance(directions, Directions):
        raise TypeError(f"directions must be `Directions`, got {type(directions).__name__}: see random_directions")
    if len(directions) != count:
        remedy = "take directions[:2]" if len(directions) > count else "add another with +"
        remedy = "take directions[0]" if count == 1 else remedy
        raise ValueError(f"directions holds {len(directions)} directions, {count} needed: {remedy}")
    ends = ranges(extent, count)
    for size in sizes:
        check_size(model, size)
    axes = [[axis(*end, n) for end, n in zip(ends, size, strict=True)] for size in sizes]
    scene = build_scene(model, loss_fn, data, directions, **checks)
    name = choose(scene, method)
    settings = settings_of(scene, directions, name)
    return [Grid(scene, METHODS[name], directions.labels, pair, settings, progress) for pair in axes]


def _pair(points: int | tuple[int, int]) -> tuple[int, int]:
    """Points of both axes."""
    pair = tuple(points) if isinstance(points, tuple | list) else (points, points)
    if len(pair) != 2:
        raise ValueError(f"points={points!r} must be one number or a pair (nx, ny)")
    return pair


def _within(level: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Whether a grid of these numbers of points is a regular part of a finer one."""
    return all((n - 1) % (m - 1) == 0 for m, n in zip(level, size, strict=True))
