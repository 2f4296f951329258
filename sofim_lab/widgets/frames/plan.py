"""Which pictures are drawn beforehand, when there is room for so many."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as W

from sofim_lab.widgets.frames.positions import Positions, positions

Place = tuple[int, ...]  # one position of each control

_FINE = (13, 11, 10, 9, 8, 7, 6, 5)  # positions of a slider, while several controls move together
_COARSE = (9, 7, 5, 4, 3)  # and where each moves alone


@dataclass(frozen=True)
class Plan:
    """The places that get a picture.

    The first `together` controls are combined freely while the others stand at their start; each of the others moves
    alone. Between the start and the example, a state that reaches the explorer's goal, all combinations are there.

    Attributes:
        controls: The positions of the controls that have more than one, in the explorer's order.
        together: How many of the controls are combined freely.
        example: The example's place; the start without one.
    """

    controls: tuple[Positions, ...]
    together: int
    example: Place

    @property
    def start(self) -> Place:
        """The place of the first picture."""
        return tuple(control.start for control in self.controls)

    @property
    def places(self) -> tuple[Place, ...]:
        """All places, the start first."""
        start, sizes = self.start, [len(control.values) for control in self.controls]
        free = [range(size) if i < self.together else (start[i],) for i, size in enumerate(sizes)]
        alone = [
            (*start[:i], index, *start[i + 1 :]) for i in range(self.together, len(sizes)) for index in range(sizes[i])
        ]
        corners = itertools.product(*(dict.fromkeys(pair) for pair in zip(start, self.example, strict=True)))
        return tuple(dict.fromkeys([start, *itertools.product(*free), *alone, *corners]))

    def values(self, place: Place) -> dict[str, Any]:
        """The values of the controls at a place, by name."""
        return {control.name: control.values[i] for control, i in zip(self.controls, place, strict=True)}


def choose_plan(
    controls: Mapping[str, W.ValueWidget], start: Mapping[str, Any], example: Mapping[str, Any], most: float
) -> Plan:
    """The richest plan with at most so many pictures.

    As many controls as possible move together, with at least five positions for each slider; then the sliders are made
    finer as far as there is room. Menus keep all their choices.

    Args:
        controls: Name to widget.
        start: Name to the value of each control at the start.
        example: Values of some controls that reach the goal.
        most: How many pictures there may be.

    Returns:
        The plan; the smallest there is, each control alone with three positions, where even that has more pictures.
    """
    for together in range(len(controls), 1, -1):
        for fineness in _FINE:
            plan = _plan(controls, start, example, fineness, together)
            free = math.prod(len(control.values) for control in plan.controls[: plan.together])
            if free <= most and len(plan.places) <= most:  # millions of places are counted, not made
                return plan
    for fineness in _COARSE:
        plan = _plan(controls, start, example, fineness, 0)
        if len(plan.places) <= most:
            break
    return plan


def _plan(
    controls: Mapping[str, W.ValueWidget],
    start: Mapping[str, Any],
    example: Mapping[str, Any],
    fineness: int,
    together: int,
) -> Plan:
    """The plan with so many positions a slider; those that move alone beside others cost little and get more."""
    alone = max(fineness, 7) if together else fineness
    found = []
    for i, (name, widget) in enumerate(controls.items()):
        also = (example[name],) if name in example else ()
        found.append(positions(name, widget, start[name], fineness if i < together else alone, also))
    moving = [own for own in found if len(own.values) > 1]
    ahead = sum(len(own.values) > 1 for own in found[:together])
    goal = tuple(own.index(example[own.name]) if own.name in example else own.start for own in moving)
    return Plan(tuple(moving), ahead, goal)
