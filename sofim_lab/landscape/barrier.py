"""Barriers: how much the loss rises on the straight line between two points."""

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from sofim_lab.curvature.memory import CHUNK_BYTES
from sofim_lab.landscape.directions import difference_directions
from sofim_lab.landscape.result import Slice
from sofim_lab.landscape.scene import Data, LossFunction
from sofim_lab.landscape.slices import slice_1d
from sofim_lab.landscape.tree import Tree, parameters


@dataclass(frozen=True, eq=False)
class Barrier:
    """The loss on the straight line from w_A to w_B, and how far it rises above the line between its ends.

    Attributes:
        t: Where, from 0 at A to 1 at B, shape (points,).
        loss: L((1 − t)w_A + t w_B), shape (points,); nan where it is not finite.
        height: max_t L(t) − ((1 − t)L(0) + tL(1)), 0 or more; 0 where the loss is convex along the line. Infinite if
            a loss between the ends is not finite; nan if one at an end is not.
        where: The t of the highest point; nan where the height is.
        slice: The slice that it was read from, with accuracy and settings; its a is t.
    """

    t: np.ndarray
    loss: np.ndarray
    height: float
    where: float
    slice: Slice = field(repr=False)

    @property
    def excess(self) -> np.ndarray:
        """L(t) − ((1 − t)L(0) + tL(1)), shape (points,): 0 at both ends."""
        return self.loss - ((1 - self.t) * self.loss[0] + self.t * self.loss[-1])


def barrier(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    a: nn.Module | Tree,
    b: nn.Module | Tree,
    *,
    points: int = 51,
    accuracy: bool = False,
    batch_norm: str = "eval",
    memory_bytes: int = CHUNK_BYTES,
    progress: bool | None = None,
) -> Barrier:
    r"""The loss barrier between two minima.

        height = max_{0≤t≤1} L((1 − t)w_A + t w_B) − ((1 − t)L(w_A) + t L(w_B))

    Args:
        model: Takes part with its architecture and buffers; it is left as it is.
        loss_fn: Module or function of (outputs, y), mean over the samples.
        data: A pair (x, y) of tensors, or a DataLoader.
        a: A, a model or a tree of its parameters.
        b: B, likewise.
        points: Of the line, both ends included; 3 or more.
        accuracy: See `slice_1d`.
        batch_norm: See `slice_1d`; between two minima "recompute" is the fair choice.
        memory_bytes: See `slice_1d`.
        progress: See `slice_1d`.

    Returns:
        `Barrier`.

    Raises:
        ValueError: points < 3, A and B are the same point or of another model, or see `slice_1d`.

    Example:
        >>> import torch
        >>> model, data = nn.Linear(1, 1, bias=False), (torch.ones(1, 1), torch.ones(1, 1))
        >>> wells = lambda w, y: (w.square() - y).square().mean()
        >>> left, right = ({"weight": torch.tensor([[w]])} for w in (-1.0, 1.0))
        >>> barrier(model, wells, data, left, right, points=5)
        Barrier(t=array([0.  , 0.25, 0.5 , 0.75, 1.  ]), loss=array([0. , 0.5625, 1. , 0.5625, 0. ]),
                height=1.0, where=0.5)

    References:
        J. Frankle, G. K. Dziugaite, D. M. Roy and M. Carbin, 2020, arXiv 1912.05671, §2 (error barrier height).
    """
    if points < 3:
        raise ValueError(f"points={points!r} must be 3 or more: both ends and something between")
    start = parameters(a) if isinstance(a, nn.Module) else a
    line = slice_1d(
        model,
        loss_fn,
        data,
        difference_directions([start, b]),
        extent=(0.0, 1.0),
        points=points,
        accuracy=accuracy,
        origin=start,
        batch_norm=batch_norm,
        memory_bytes=memory_bytes,
        progress=progress,
    )
    height, where = _highest(line.a, line.loss)
    return Barrier(line.a, line.loss, height, where, line)


def _highest(t: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """Height of the highest point above the straight line between the ends, and its t."""
    if not np.isfinite(loss[[0, -1]]).all():
        return float("nan"), float("nan")
    if np.isnan(loss).any():
        return float("inf"), float(t[np.isnan(loss)][0])
    excess = loss - ((1 - t) * loss[0] + t * loss[-1])
    place = int(excess.argmax())
    return float(max(excess[place], 0.0)), float(t[place])
