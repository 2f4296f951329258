"""The two kinds of sliders of the lessons: over equal steps and over powers of ten, each able to stand in between."""

import math
from typing import Any

import ipywidgets as W


class _StandsInBetween(W.Widget):
    """A slider whose value may lie between two of its steps.

    The slider in the browser can only stand at a step. Told of a value in between, typed in or set by code, it goes to
    the nearest step and reports that as if a person had moved it: the value would be lost, and drawn twice. Such a
    report is dropped. One from further than half a step away is a person's.
    """

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the browser reports, but for its own rounding of the value that it was given."""
        if "value" in sync_data:
            reported, known = (
                (self._place(value) - self.min) / self.step for value in (sync_data["value"], self.value)
            )
            if abs(reported - round(reported)) < 1e-6 and abs(reported - known) <= 0.5 + 1e-6:
                sync_data = {name: value for name, value in sync_data.items() if name != "value"}
        super().set_state(sync_data)

    def _place(self, value: float) -> float:
        """Where a value lies on the scale of `min`, `max` and `step`."""
        return value


class LinearSlider(_StandsInBetween, W.FloatSlider):
    """A slider over equal steps."""


class LogSlider(_StandsInBetween, W.FloatLogSlider):
    """A slider over powers of its base."""

    def _place(self, value: float) -> float:
        return math.log(value, self.base)


def log_slider(
    name: str, value: float, low: float, high: float, step: float = 0.1, *, base: float = 10, late: bool = False
) -> LogSlider:
    """A slider over powers of ten, or of another base.

    Args:
        name: What stands before it.
        value: Where it begins.
        low: Exponent of the left end.
        high: Exponent of the right end.
        step: Step of the exponent.
        base: What is raised to it.
        late: Whether it reports when it is let go rather than for each value that it passes, as pictures that take
            longer than about 150 ms want it.

    Returns:
        The slider.
    """
    return LogSlider(
        value=value,
        base=base,
        min=low,
        max=high,
        step=step,
        description=name,
        readout_format=".2g",
        continuous_update=not late,
    )


def slider(name: str, value: float, low: float, high: float, step: float, *, late: bool = False) -> LinearSlider:
    """A slider over equal steps; see `log_slider`."""
    return LinearSlider(value=value, min=low, max=high, step=step, description=name, continuous_update=not late)
