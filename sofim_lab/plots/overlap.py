"""Curves that lie on one another: the lower one is drawn wider, so that both are seen."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

_NEAR = 4.0  # pixels: less than the width of a line and its marker
_WIDER = 1.7  # points for each curve above


def widen_covered(ax: Axes, curves: Sequence[Line2D]) -> None:
    """Make each curve wider that later ones cover at half of its points or more.

    Call it when limits and scales of the axes are set: what counts is the distance on the page.

    Args:
        ax: The axes of the curves.
        curves: In the order in which they are drawn, with common abscissas from the left on.
    """
    ax.get_xlim(), ax.get_ylim()  # matplotlib finds the limits when it is asked for them
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = [ax.transData.transform(np.asarray(curve.get_xydata(), float))[:, 1] for curve in curves]
    for place, (curve, lower) in enumerate(zip(curves, heights, strict=True)):
        above = sum(_covers(upper, lower) for upper in heights[place + 1 :])
        if above:
            curve.set_linewidth(curve.get_linewidth() + _WIDER * above)
            curve.set_markersize(curve.get_markersize() + _WIDER * above)


def _covers(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether they are near each other, in pixels, at half of the common points or more."""
    common = min(len(upper), len(lower))
    with np.errstate(invalid="ignore"):
        near = np.abs(upper[:common] - lower[:common]) < _NEAR
    return bool(common) and 2 * int(near.sum()) >= common
