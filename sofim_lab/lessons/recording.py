"""What a notebook records about itself: numbers with `metric`, formulas with `verify`.

Each record is one output of the cell, in a MIME type of our own beside a readable box, so it travels inside the
executed notebook and can be read again without running anything.
"""

import html
import math
import numbers
import sys
from typing import Any

import numpy as np

from sofim_lab.lessons.outcome import METRIC_MIME, VERIFY_MIME, Better

_GREEN, _RED, _GREY = "#009E73", "#D55E00", "#777777"  # Okabe-Ito; readable on white and on black


class VerificationError(AssertionError):
    """A formula that a notebook asserts does not hold for the numbers at hand."""


def metric(name: str, value: Any, *, unit: str = "", better: Better | None = None, compare: bool = True) -> None:
    """Record one number of this run, to be compared with the committed baseline.

    A value that is not finite is recorded as it is: the comparison fails on it, the notebook does not.

    Args:
        name: Unique within the lesson; the key in the baseline.
        value: A real number: Python's, NumPy's, or a tensor without dimensions on any device.
        unit: Shown behind the number, for example `s` or `epochs`.
        better: `lower` or `higher` where only a change for the worse is a regression; `None` for both ways.
        compare: `False` for a number that depends on the machine (a time): shown, held by no baseline.

    Raises:
        TypeError: `value` is not a real number, or another argument has the wrong type.
        ValueError: The name is empty, or `better` is neither `lower`, `higher` nor `None`.

    Example:
        >>> metric("final loss", 0.25, better="lower")
        metric final loss = 0.25
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"metric: name={name!r} must be a non-empty text")
    if better not in (None, "lower", "higher"):
        raise ValueError(f"metric {name!r}: better={better!r} is unknown: choose 'lower', 'higher' or None")
    if not isinstance(unit, str) or not isinstance(compare, bool):
        raise TypeError(f"metric {name!r}: unit must be a text and compare a bool, got {unit!r} and {compare!r}")
    number = _real(name, value)
    payload = {"name": name, "value": _json(number), "unit": unit, "better": better, "compare": compare}
    text = f"metric {name} = {number:.6g} {unit}".rstrip()
    body = f"metric <b>{html.escape(name)}</b> = {number:.6g} {html.escape(unit)}"
    show_record(METRIC_MIME, payload, text, _box(_GREY, body))


def verify(id: str, left: Any, right: Any, *, rtol: float = 1e-10, atol: float = 0.0, what: str = "") -> None:
    r"""Verify that two independently computed sides of a formula agree, and show by how much.

    .. math::
        \text{residual} = \max_i |l_i - r_i| \;\le\; \text{tolerance} = \text{atol} + \text{rtol} \max_i |r_i|

    Both sides are compared in float64 (complex128 where one is complex), whatever their dtype and device. A value
    that is not finite, on either side, fails.

    Args:
        id: Unique within the lesson, for example `05.collapse`.
        left: The side under test: tensor, array, nested list or number.
        right: The reference, of the same shape; its largest entry sets the scale.
        rtol: Tolerance relative to that scale, ≥ 0.
        atol: Tolerance added to it, ≥ 0; needed where the reference is zero.
        what: The formula in words or as `$…$`, shown beside the numbers.

    Raises:
        VerificationError: The formula does not hold; raised after the box is shown.
        ValueError: The shapes differ, there is nothing to compare, or a tolerance is negative.
        TypeError: A side is not made of numbers.

    Example:
        >>> verify("pythagoras", 3**2 + 4**2, 5**2)
        ✓ pythagoras: residual 0 ≤ tolerance 2.5e-09
    """
    if not isinstance(id, str) or not id.strip():
        raise ValueError(f"verify: id={id!r} must be a non-empty text")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value >= 0):
            raise ValueError(f"verify {id!r}: {name}={value!r} must be a finite number ≥ 0")
    one, two = _array(id, "left", left), _array(id, "right", right)
    if one.shape != two.shape:
        raise ValueError(f"verify {id!r}: left has shape {one.shape}, right {two.shape}: they must be equal")
    if one.size == 0:
        raise ValueError(f"verify {id!r}: both sides are empty (shape {one.shape}): there is nothing to compare")

    residual, tolerance, remark = _compare(one, two, float(rtol), float(atol))
    passed = residual <= tolerance  # False for NaN
    mark, sign = ("✓", "≤") if passed else ("✗", "≰" if math.isnan(residual) else ">")
    text = f"{mark} {id}: residual {residual:.3g} {sign} tolerance {tolerance:.3g}"
    payload = {"id": id, "passed": passed, "residual": _json(residual), "tolerance": _json(tolerance), "what": what}
    body = (
        f"{mark} <b>{html.escape(id)}</b> {html.escape(what)}<br>"
        f"residual {residual:.3g} {html.escape(sign)} tolerance {tolerance:.3g}"
        + ("" if passed else f" — <b>does not hold</b>{html.escape(remark)}")
    )
    show_record(VERIFY_MIME, payload, f"{text}  {what}".rstrip(), _box(_GREEN if passed else _RED, body))
    if not passed:
        raise VerificationError(
            f"formula {id!r} does not hold: residual {residual:.3g} {sign} tolerance {tolerance:.3g}{remark}"
        )


def _compare(left: np.ndarray, right: np.ndarray, rtol: float, atol: float) -> tuple[float, float, str]:
    """Residual, tolerance, and a remark that helps where the numbers alone do not."""
    finite = np.isfinite(right)
    scale = float(np.abs(right[finite]).max()) if finite.any() else 0.0
    tolerance = atol + rtol * scale
    broken = [f"{np.sum(~np.isfinite(side))} of {name}" for name, side in (("left", left), ("right", right))
              if not np.isfinite(side).all()]  # fmt: skip
    if broken:
        residual = math.nan if np.isnan(left).any() or np.isnan(right).any() else math.inf
        return residual, tolerance, f" (not finite: {', '.join(broken)}, of {left.size} each)"
    residual = float(np.abs(left - right).max())
    zero = " (right is zero everywhere, so rtol has no scale: give atol)" if scale == atol == 0 else ""
    return residual, tolerance, zero


def _array(id: str, side: str, value: Any) -> np.ndarray:
    """Any array-like of numbers as float64 or complex128 on the CPU."""
    if hasattr(value, "detach"):  # a tensor; MPS has no float64, so to the CPU first
        value = value.detach().cpu()
        value = value.to_dense() if value.is_sparse else value
        value = value.resolve_conj().numpy() if value.is_complex() else value.double().numpy()
    try:
        array = np.asarray(value)
        return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"verify {id!r}: {side} is not an array of numbers: {error}") from None


def _real(name: str, value: Any) -> float:
    """A Python float from any real number."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else f" {value!r}"
        raise TypeError(f"metric {name!r}: value must be one real number, got {type(value).__name__}{shape}")
    return float(value)


def _json(number: float) -> float | str:
    """The number, or its name where JSON has none."""
    return number if math.isfinite(number) else repr(number)


def _box(colour: str, body: str) -> str:
    """A line of text with a coloured edge; colours of text and ground are the page's own."""
    style = f"border-left: 4px solid {colour}; padding: 0.2em 0.8em; margin: 0.2em 0; color: inherit"
    return f'<div style="{style}">{body}</div>'


def show_record(mime: str, payload: dict[str, Any], text: str, page: str) -> None:
    """Show one output of a cell that holds a record and its readable forms; outside a notebook print the text.

    Args:
        mime: The record's own MIME type.
        payload: The record, in JSON's types.
        text: What a terminal shows.
        page: What a notebook shows, as HTML.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text)
        return
    ipython.display.display({mime: payload, "text/html": page, "text/plain": text}, raw=True)
