"""Common scales for pictures that are exchanged: what moves is then the data, not the axis."""

import math
import statistics
from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

_MOST = 2.5  # how many times its usual length an axis may get

_Key = tuple[int, int, str, str, str]  # number of axes, which of them, x or y, its scale, its label


class Scales:
    """The limits that the axes of several pictures have, and those that all can share.

    An axis is shared if the interval that holds all its limits is at most 2.5 times as long as the usual one, on a
    logarithmic axis in decades. Otherwise one picture would press all others into a corner: then each keeps its own.
    Maps keep their own, too, since theirs is the window of the surface. No picture loses anything: an axis only grows.
    """

    def __init__(self) -> None:
        self._seen: dict[_Key, list[tuple[float, float]]] = defaultdict(list)

    def measure(self, figure: Figure) -> None:
        """Remember the limits of a figure's axes."""
        for key, _, limits in _axes(figure):
            self._seen[key].append(limits)

    def apply(self, figure: Figure) -> None:
        """Stretch the axes that can be shared."""
        for key, ax, (low, high) in _axes(figure):
            seen = self._seen.get(key)
            if not seen:
                continue
            lowest, highest = min(one[0] for one in seen), max(one[1] for one in seen)
            if highest - lowest <= _MOST * statistics.median(one[1] - one[0] for one in seen):
                _set(ax, key, min(low, lowest), max(high, highest))


def _axes(figure: Figure) -> list[tuple[_Key, Axes, tuple[float, float]]]:
    """Every axis that can be shared: its key, its axes, its limits, those of a logarithmic one as exponents."""
    found = []
    for place, ax in enumerate(figure.axes):
        is_map = ax.images or any(isinstance(one, QuadMesh | ContourSet) for one in ax.collections)
        if is_map or not ax.axison or ax.get_aspect() != "auto" or hasattr(ax, "get_zlim"):
            continue
        for name, axis, limits in (("x", ax.xaxis, ax.get_xlim()), ("y", ax.yaxis, ax.get_ylim())):
            scale = axis.get_scale()
            if scale == "log" and min(limits) > 0:
                limits = math.log10(limits[0]), math.log10(limits[1])
            elif scale != "linear":
                continue
            if all(map(math.isfinite, limits)) and limits[0] < limits[1]:
                key = (len(figure.axes), place, name, scale, axis.get_label_text())
                found.append((key, ax, limits))
    return found


def _set(ax: Axes, key: _Key, low: float, high: float) -> None:
    """Set the limits of one axis."""
    _, _, name, scale, _ = key
    limits = (10.0**low, 10.0**high) if scale == "log" else (low, high)
    (ax.set_xlim if name == "x" else ax.set_ylim)(*limits)
