"""Explorer of lesson 07: the straight line between two stops, with the hidden units as they are or matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import ipywidgets as W
import numpy as np
import torch
from torch import nn

from sofim_lab.landscape import Barrier, Slice, Stop, Tree, barrier, matched, permuted, stand_at
from sofim_lab.landscape.working_copy import working_copy
from sofim_lab.plots import Picture, describe_barrier, new_axes, picture, plot_barrier, plot_profile, set_title
from sofim_lab.plots.scale import number
from sofim_lab.plots.style import label_of
from sofim_lab.problems import Dataset, Split
from sofim_lab.widgets.explorer import Explorer, Goal

_POINTS = 51
AS_THEY_ARE, MATCHED = "as they are", "matched to A"


@dataclass(frozen=True)
class LineState:
    """The line from one stop to another.

    Attributes:
        a: Where it begins.
        b: Where it ends; the same as `a` for a copy of it with its hidden units in another order.
        units: `AS_THEY_ARE` or `MATCHED`.
        line: The barrier on the training images.
        validation: The barrier on the validation images.
        unmatched: The height of the training barrier with the units as they are.
    """

    a: Stop
    b: Stop
    units: str
    line: Barrier
    validation: Barrier
    unmatched: float

    @property
    def lowered(self) -> bool:
        """Whether matching has halved a barrier between stops from different starts."""
        far = self.a.seed != self.b.seed and self.unmatched >= 0.3
        return far and self.units == MATCHED and self.line.height <= self.unmatched / 2


def render_line(state: LineState) -> Picture:
    """Left the barrier on the training images, right the loss on both sets of images."""
    left, right = new_axes(2, width=9.6, height=3.8)
    plot_barrier(state.line, left, log=False)
    plot_profile({"training": state.line.slice, "validation": state.validation.slice}, right, log=False)
    right.set_xlabel("share of the way from A to B")
    other = "a copy of A, units shuffled" if state.a is state.b else title(state.b)
    set_title(left, f"{title(state.a)} → {other}", fontsize=9.5)
    set_title(right, "training and validation", fontsize=9.5)
    return picture(
        left,
        f"A is {title(state.a)}, B is {other}, hidden units {state.units}. {describe_barrier(state.line)} With the "
        f"units as they are the barrier is {number(state.unmatched)}. On the validation images it is "
        f"{number(state.validation.height)}.",
    )


def title(stop: Stop) -> str:
    """A stop by the names of its optimizer and start."""
    return f"{label_of(stop.name)}, start {stop.seed}"


def barrier_explorer(
    stops: Mapping[str, Stop], model: nn.Module, loss_fn: nn.Module, data: Dataset, *, seed: int = 0
) -> Explorer[LineState]:
    """Choose two stops and walk the straight line between them, with the hidden units as they are or matched.

    Args:
        stops: Label to stop, at least two, of one network with one hidden layer.
        model: The architecture; it is left as it is.
        loss_fn: Mean loss.
        data: Training and validation images.
        seed: Seed of the order in which a copy's units are shuffled.

    Returns:
        The explorer; its result is a `LineState`.

    Raises:
        ValueError: Fewer than two stops.
    """
    if len(stops) < 2:
        raise ValueError(f"stops holds {len(stops)}: give at least two, or there is no line between them")
    labels = list(stops)

    twin = working_copy(model).eval()

    def line(split: Split, start: Tree, end: Tree) -> Barrier:
        if any(not torch.equal(start[name], end[name]) for name in start):
            return barrier(twin, loss_fn, (split.x, split.y), start, end, points=_POINTS, progress=False)
        with torch.no_grad():  # matching has found the way back: the line has no length
            height = float(loss_fn(stand_at(twin, start)(split.x), split.y))
        t = np.linspace(0, 1, _POINTS)
        flat = Slice(t, None, np.full(_POINTS, height), labels=("A to B",))
        return Barrier(t, flat.loss, 0.0, 0.0, flat)

    def compute(a: str, b: str, units: str) -> LineState:
        start, end = stops[a].tree, stops[b].tree
        if a == b:
            hidden = len(list(end.values())[1])
            end = permuted(end, torch.randperm(hidden, generator=torch.Generator().manual_seed(seed)))
        moved = matched(end, start) if units == MATCHED else end
        seen, unseen = (line(split, start, moved) for split in (data.train, data.val))
        return LineState(stops[a], stops[b], units, seen, unseen, line(data.train, start, end).height)

    pairs = permutations(labels, 2)
    example = next(({"a": a, "b": b, "units": MATCHED} for a, b in pairs if compute(a, b, MATCHED).lowered), None)
    return Explorer(
        {
            "a": W.Dropdown(options=labels, value=labels[0], description="A"),
            "b": W.Dropdown(options=labels, value=labels[1], description="B"),
            "units": W.Dropdown(options=[AS_THEY_ARE, MATCHED], description="units"),
        },
        compute,
        render_line,
        goal=Goal(
            "find two stops from different starts with a barrier of at least 0.3 nats between them, and bring it down "
            "to half of that or less by matching the hidden units.",
            lambda state: state.lowered,
            example=example,
        ),
    )
