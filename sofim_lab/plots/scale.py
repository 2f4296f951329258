"""How values that may span decades become levels, colours, heights and ticks that stay readable."""

import math
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from sofim_lab.plots.style import power_of_ten

_SPAN = 10.0  # from this ratio of the largest to the smallest value on, a scale is logarithmic by default
_DECADES = 6  # a logarithmic scale reaches this far to both sides of the median by default
_STEPS = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
)  # levels in a decade, coarse to fine


def _pale(white: float) -> Colormap:
    """Seaborn's mako mixed with white: curves stand out on it, and its lightness rises without a break."""
    colors = np.asarray(sns.color_palette("mako", 256))
    return LinearSegmentedColormap.from_list("pale mako", white + (1 - white) * colors)


PALE = _pale(0.22)  # dark is low


Clip = tuple[float | None, float | None] | None  # lowest and highest value to be told apart


@dataclass(frozen=True)
class Scale:
    """Levels of a quantity: where they lie, on which scale, and what was clipped to them.

    Attributes:
        levels: Bounds of the bands of colour, ascending, at least two.
        log: Whether colours and heights are logarithmic.
        below: How many values lie under the first level.
        above: How many values lie over the last level.
    """

    levels: np.ndarray
    log: bool
    below: int = 0
    above: int = 0

    @property
    def norm(self) -> Normalize:
        """From values to the unit interval of a colour map."""
        return (LogNorm if self.log else Normalize)(self.levels[0], self.levels[-1], clip=True)

    def clip(self, values: np.ndarray) -> np.ma.MaskedArray:
        """Values moved into the levels; gaps (what is not finite) are masked."""
        return np.ma.masked_where(~np.isfinite(values), np.clip(values, self.levels[0], self.levels[-1]))

    def outside(self, values: np.ndarray) -> tuple[int, int]:
        """How many of some values lie under the first level, and how many over the last."""
        return int((values < self.levels[0]).sum()), int((values > self.levels[-1]).sum())

    def heights(self, values: np.ndarray) -> np.ndarray:
        """Clipped values as heights: logarithms to base ten on a logarithmic scale; gaps are nan."""
        inside = self.clip(values).filled(np.nan)
        return np.log10(inside) if self.log else inside

    def ticks(self, most: int = 5) -> tuple[list[float], list[str]]:
        """Round values within the levels, and their labels; an end that was clipped is labelled ≤ or ≥."""
        low, high = float(self.levels[0]), float(self.levels[-1])
        if self.log and high >= 99 * low:
            powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
            places = {10.0**power: power_of_ten(power) for power in powers[:: -(-len(powers) // most)]}
        else:
            round_ones = [level for level in self.levels if f"{level:.6e}"[:4] in ("1.00", "2.00", "5.00")]
            shown = round_ones if self.log and len(round_ones) > 2 else list(self.levels)
            shown = shown[:: -(-len(shown) // most)]
            places = {float(level): number(level, 4) for level in shown}
        clipped = {low: "≤ "} if self.below else {}
        clipped |= {high: "≥ "} if self.above else {}
        unit = self.norm
        for end, sign in clipped.items():
            places = {place: label for place, label in places.items() if abs(unit(place) - unit(end)) > 0.08}
            places[end] = sign + number(end)
        places = dict(sorted(places.items()))
        return list(places), list(places.values())


def number(value: float, digits: int = 3) -> str:
    """A few digits in plain text, large and small values by powers of ten: 1500, 0.25, −3.2 × 10⁻⁵."""
    value = float(value) + 0.0  # no −0
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        text = f"{value:.{max(digits, 4) if abs(value) >= 1000 else digits}g}"
    else:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        mantissa = f"{float(mantissa):g}"
        factor = {"1": "", "-1": "-"}.get(mantissa, f"{mantissa} × ")
        text = factor + power_of_ten(int(power))
    return text.replace("-", "−")


def scale_of(
    values: np.ndarray,
    *,
    log: bool | None = None,
    clip: Clip = None,
    count: int = 16,
) -> Scale:
    """The levels at which values are readable, also when they span decades.

    Args:
        values: Any shape; what is not finite is left out.
        log: Logarithmic or not; None: logarithmic if no value is negative and the largest is at least 10 times the
            smallest positive one.
        clip: Lowest and highest value to be told apart, None for an end that is free. By default a logarithmic scale
            ends six decades from the median, and a linear one where the highest values would dwarf the rest.
        count: About how many bands.

    Returns:
        The scale. Its ends are round values, except where `clip` names them.

    Raises:
        ValueError: No value is finite; a logarithm is asked for and no value, or no end, is positive; an empty clip.

    Example:
        >>> scale = scale_of(np.array([1e-4, 1.0, 1e3]))
        >>> scale.log, float(scale.levels[0]), float(scale.levels[-1])
        (True, 0.0001, 1000.0)
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"none of the {values.size} values is finite: there is nothing to draw; take a smaller extent")
    positive = finite[finite > 0]
    if log is None:
        log = bool(positive.size and finite.min() >= 0 and finite.max() >= _SPAN * positive.min())
    elif log and not positive.size:
        raise ValueError(f"log=True needs positive values, and the highest is {finite.max():.3g}: choose log=False")
    shown = positive if log else finite
    low, high = _window(shown, log)
    if clip is not None:
        low = float(shown.min()) if clip[0] is None else clip[0]
        high = float(shown.max()) if clip[1] is None else clip[1]
        if not low < high or (log and low <= 0):
            raise ValueError(
                f"clip={clip!r} must name a low and a higher value{', both positive' if log else ''}: the values go "
                f"from {finite.min():.3g} to {finite.max():.3g}"
            )
    levels = _levels(low, high, log, count)
    if clip is not None:  # an end that was asked for is kept as it is
        inner = levels[(levels > low) & (levels < high)]
        first = levels[0] if clip[0] is None else low
        last = levels[-1] if clip[1] is None else high
        levels = np.array([first, *inner, last])
    return Scale(levels, log, int((finite < levels[0]).sum()), int((finite > levels[-1]).sum()))


def _window(shown: np.ndarray, log: bool) -> tuple[float, float]:
    """What a scale holds by default: everything, save values that would press all others into one band."""
    low, middle, high = float(shown.min()), float(np.median(shown)), float(shown.max())
    if log:
        return max(low, middle / 10.0**_DECADES), min(high, middle * 10.0**_DECADES)
    return low, min(high, middle + 10 * (middle - low)) if middle > low else high


def _levels(low: float, high: float, log: bool, count: int) -> np.ndarray:
    """Round levels that hold [low, high]."""
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # one value: a band around it
        half = 0.05 * abs(low) or 0.5
        return np.array([low - half, low + half])
    levels = _log_levels(low, high, count) if log and high >= 10 * low else _even_levels(low, high, count)
    return np.array([min(levels[0], low), *levels[1:-1], max(levels[-1], high)])  # despite round-off


def _even_levels(low: float, high: float, count: int) -> np.ndarray:
    """Round levels at equal distances."""
    return np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))


def _log_levels(low: float, high: float, count: int) -> np.ndarray:
    """Some of the round numbers of each decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = math.log10(high / low)
    steps = min(_STEPS, key=lambda steps: abs(decades * len(steps) - count))
    every = np.array([step * 10.0**power for power in range(first, last + 1) for step in steps])
    begin = np.searchsorted(every, low * (1 + 1e-9), side="right") - 1
    return every[begin : np.searchsorted(every, high * (1 - 1e-9)) + 1]
