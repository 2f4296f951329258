"""The values that a control can take: as a list, as text, and from what someone typed."""

from typing import Any

import ipywidgets as W

Selection = W.SelectionSlider | W.Dropdown


def is_slider(control: W.Widget) -> bool:
    """Whether a control is a slider, of numbers or of choices."""
    return isinstance(control, W.IntSlider | W.FloatSlider | W.FloatLogSlider | W.SelectionSlider)


def positions(control: W.ValueWidget) -> tuple[Any, ...]:
    """Every value that a control stops at, in order.

    Args:
        control: A slider, a menu, or a box with `min`, `max` and `step`.

    Returns:
        The choices of a menu; otherwise the numbers from `min` in steps up to `max`.

    Raises:
        TypeError: The control has no such list.

    Example:
        >>> positions(W.FloatLogSlider(value=1.0, min=-1, max=1, step=1))
        (0.1, 1.0, 10.0)
    """
    if isinstance(control, W.Checkbox | W.ToggleButton):
        return False, True
    if isinstance(control, Selection):
        return tuple(value for _, value in _choices(control))
    if not all(hasattr(control, name) for name in ("min", "max", "step")):
        raise TypeError(f"a {type(control).__name__} has no list of values: use a slider or a menu")
    last = int((control.max - control.min) / control.step + 1e-9)
    numbers = [min(control.min + step * control.step, control.max) for step in range(last + 1)]  # no rounding beyond
    if isinstance(control, W.FloatLogSlider):
        return tuple(float(control.base**number) for number in numbers)
    return tuple(number if isinstance(number, int) else round(number, 12) for number in numbers)


def nearest(control: W.ValueWidget) -> int:
    """The place among `positions` that is closest to where a control stands."""
    places = positions(control)
    if control.value in places:
        return places.index(control.value)
    return min(range(len(places)), key=lambda place: abs(places[place] - control.value))


def limits(control: W.ValueWidget) -> tuple[float, float] | None:
    """The smallest and the largest number that a control takes; None where it takes no numbers, or all."""
    if isinstance(control, W.FloatLogSlider):
        return control.base**control.min, control.base**control.max
    if hasattr(control, "min") and hasattr(control, "max"):
        return control.min, control.max
    return None


def refuse_out_of_range(name: str, control: W.ValueWidget, value: Any) -> None:
    """ValueError for a number that a control would silently move into its range."""
    ends = limits(control)
    if ends is not None and not ends[0] <= value <= ends[1]:
        raise ValueError(f"{name}={value!r} must lie in [{ends[0]:g}, {ends[1]:g}]")


def text_of(control: W.ValueWidget) -> str:
    """How the value of a slider is written beside it: so that it could be typed in like this."""
    if isinstance(control, W.SelectionSlider):
        return next(label for label, value in _choices(control) if value == control.value)
    return _written(control.value)


def hint(control: W.ValueWidget) -> str:
    """What can be typed in, e.g. `a number from 0.001 to 100`."""
    if isinstance(control, W.SelectionSlider):
        return "one of " + ", ".join(label for label, _ in _choices(control))
    low, high = limits(control) or (-float("inf"), float("inf"))
    kind = "whole number" if isinstance(control, W.IntSlider) else "number"
    return f"a {kind} from {_written(low)} to {_written(high)}"


def value_of(control: W.ValueWidget, text: str) -> Any:
    """The value that someone means who types a text.

    Args:
        control: A slider.
        text: What was typed.

    Returns:
        A value that the control takes.

    Raises:
        ValueError: The text is no such value; the message says what would be.

    Example:
        >>> value_of(W.IntSlider(min=1, max=60), "12")
        12
        >>> value_of(W.IntSlider(min=1, max=60), "61")
        Traceback (most recent call last):
            ...
        ValueError: 61 is out of range: type a whole number from 1 to 60
    """
    text = text.strip()
    plain = text.replace("−", "-")
    if isinstance(control, W.SelectionSlider):
        for label, value in _choices(control):
            if text.replace(" ", "") == label.replace(" ", "") or _number(plain) == value:
                return value
        raise ValueError(f"{text!r} is not among the choices: type {hint(control)}")
    number = _number(plain)
    if number is None:
        raise ValueError(f"{text!r} is not a number: type {hint(control)}")
    low, high = limits(control) or (-float("inf"), float("inf"))
    within = low * (1 - 1e-9) <= number <= high * (1 + 1e-9) if low > 0 else low <= number <= high
    if not within:
        raise ValueError(f"{text} is out of range: type {hint(control)}")
    number = min(max(number, low), high)
    if not isinstance(control, W.IntSlider):
        return number
    if number != int(number):
        raise ValueError(f"{text} is not whole: type {hint(control)}")
    return int(number)


def _written(number: float) -> str:
    """Four digits at most, without the zeros of 1e-08."""
    mantissa, e, power = f"{float(f'{number:.4g}'):g}".partition("e")
    return f"{mantissa}e{int(power)}" if e else mantissa


def _number(text: str) -> float | None:
    """A text as a finite number, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _choices(control: Any) -> list[tuple[str, Any]]:
    """Label and value of every choice."""
    return list(zip(control._options_labels, control._options_values, strict=True))
