"""Where a control may stand when its pictures are drawn beforehand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as W

from sofim_lab.plots.scale import number


@dataclass(frozen=True)
class Positions:
    """The positions of one control.

    Attributes:
        name: The control's name.
        label: What stands beside it.
        values: Its values, in order.
        texts: The same, as a reader sees them.
        start: Index of the value it starts with.
        menu: Whether the values are choices of a menu; otherwise they lie along a slider.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    start: int
    menu: bool

    def index(self, value: Any) -> int:
        """Index of a value.

        Raises:
            ValueError: It is not among the positions.
        """
        for index, own in enumerate(self.values):
            if own == value or (_is_number(own) and _is_number(value) and math.isclose(own, value, rel_tol=1e-9)):
                return index
        raise ValueError(f"{self.name}={value!r} is none of the positions {', '.join(self.texts)}")


def positions(name: str, control: W.ValueWidget, start: Any, most: int, also: tuple[Any, ...] = ()) -> Positions:
    """Positions of a control: all choices of a menu, and of a slider both ends, its start and evenly spaced places.

    Even on the slider's own scale: a `FloatLogSlider` gets powers with even exponents. A control without ends, such as
    a text field, stays at its start.

    Args:
        name: The control's name.
        control: The widget.
        start: Its value at the start.
        most: How many positions a slider gets, at least 2; the start and `also` take the place of the nearest ones
            between the ends, so that there are more only where there would be too few for them.
        also: Other values that must be among the positions.

    Returns:
        The positions in order.

    Example:
        >>> positions("x", W.IntSlider(min=0, max=9, description="x"), start=2, most=4).values
        (0, 2, 6, 9)
    """
    must = (start, *also)
    label = control.description or name
    if hasattr(control, "options"):
        texts, values = zip(*map(_option, control.options), strict=True)
        chosen: Sequence[int] = range(len(values))
        if isinstance(control, W.SelectionSlider):
            places = _spread(0, len(values) - 1, min(most, len(values)), [values.index(value) for value in must])
            chosen = sorted({round(place) for place in places})
        values, texts = tuple(values[i] for i in chosen), tuple(texts[i] for i in chosen)
        menu = not isinstance(control, W.SelectionSlider)
        return Positions(name, label, values, texts, values.index(start), menu)
    if isinstance(start, bool):
        return Positions(name, label, (False, True), ("no", "yes"), int(start), menu=True)
    if not (hasattr(control, "min") and hasattr(control, "max")):
        return Positions(name, label, (start,), (str(start),), 0, menu=True)
    values = _along(control, most, must)
    texts = tuple(_text(control, value) for value in values)
    return Positions(name, label, values, texts, values.index(start), menu=False)


def _option(option: Any) -> tuple[str, Any]:
    """Label and value, as ipywidgets reads an item of `options`."""
    labelled = isinstance(option, tuple | list) and len(option) == 2
    return (str(option[0]), option[1]) if labelled else (str(option), option)


def _along(control: W.ValueWidget, most: int, must: tuple[float, ...]) -> tuple[float, ...]:
    """Values of a slider, even on its own scale and on its own steps."""
    if isinstance(control, W.FloatLogSlider):
        scaled = {math.log(value, control.base): value for value in must}
    else:
        scaled = {float(value): value for value in must}
    step = getattr(control, "step", None) or 0
    places = _spread(control.min, control.max, most, list(scaled))
    values = []
    for place in places:
        if place in scaled:
            values.append(scaled[place])
            continue
        if step and control.min < place < control.max:
            place = min(control.min + round((place - control.min) / step) * step, control.max)
        value = control.base**place if isinstance(control, W.FloatLogSlider) else place
        values.append(round(value) if isinstance(must[0], int) else float(f"{value:.12g}"))
    return tuple(dict.fromkeys(values))


def _spread(low: float, high: float, most: int, must: list[float]) -> list[float]:
    """Even places from `low` to `high`, of which those between the ends give way to the places that must be there."""
    places = [low + (high - low) * i / (most - 1) for i in range(most)]
    for needed in must:
        there = [place for place in places if math.isclose(place, needed, abs_tol=1e-9)]
        between = [place for place in places if low < place < high and place not in must]
        for place in there or sorted(between, key=lambda place: abs(place - needed))[:1]:
            places.remove(place)
        places.append(needed)
    return sorted(places)


def _is_number(value: Any) -> bool:
    """Whether rounding can make two of them differ that are meant to be equal."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(control: W.ValueWidget, value: float) -> str:
    """A value as the slider's own display shows it, powers of ten as a reader writes them."""
    if isinstance(value, int):
        return str(value)
    form = getattr(control, "readout_format", ".3g")
    return f"{value:{form}}".replace("-", "−") if form.endswith("f") else number(value, int(form.strip(".g") or 3))
