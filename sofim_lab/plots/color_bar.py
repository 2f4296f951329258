"""A bar of colours beside axes."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch, Rectangle

from sofim_lab.plots.style import Style

HATCH: Style = {
    "facecolor": "0.94",
    "edgecolor": "0.65",
    "hatch": "////",
    "linewidth": 0,
}  # where a value is not finite


def room(labels: Sequence[str]) -> float:
    """Pixels that a bar with such labels needs at the right of its axes."""
    return 76 + 7.5 * max(map(len, labels), default=0)


def color_bar(
    ax: Axes, edges: np.ndarray, colors: np.ndarray, ticks: tuple[Sequence[float], Sequence[str]], label: str
) -> None:
    """Draw bands of colour at the right of the axes; axes of their own would cost a widget 30 ms.

    Args:
        ax: Axes that are white at their right.
        edges: Bounds of the bands, from 0 (bottom) to 1 (top), shape (n + 1,).
        colors: Of the bands, shape (n, 4).
        ticks: Places from 0 to 1, and their labels.
        label: What the colours mean, with its unit.
    """
    pixel = 1 / ax.bbox.width
    left, right = 1 + 12 * pixel, 1 + 31 * pixel
    boxes = [[(left, low), (right, low), (right, high), (left, high)] for low, high in pairwise(edges)]
    beside: Style = {"transform": ax.transAxes, "clip_on": False}
    ax.add_collection(PolyCollection(boxes, facecolors=colors, edgecolors="face", **beside), autolim=False)
    small: Style = {"transform": ax.transAxes, "fontsize": ax.xaxis.label.get_fontsize(), "va": "center"}
    for place, text in zip(*ticks, strict=True):
        ax.text(right + 6 * pixel, place, text, **small)
    ax.text(1 + (room(ticks[1]) - 14) * pixel, 0.5, label, rotation=90, ha="center", **small)


def hatch_gaps(ax: Axes, values: np.ndarray) -> list[Patch]:
    """Hatching under the whole picture, seen where there is a gap, with its legend; nothing without gaps."""
    if np.isfinite(values).all():
        return []
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, zorder=0, **HATCH))
    return [Patch(label="not finite", **HATCH)]
