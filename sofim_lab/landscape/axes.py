"""The axes of a slice: regular, symmetric about their middle, and small enough for the memory."""

import math
from collections.abc import Sequence

import numpy as np

Extent = float | tuple[float, float] | Sequence[tuple[float, float]]
COARSE = 11


def axis(low: float, high: float, points: int) -> np.ndarray:
    """Evenly spaced coordinates from low to high; where low = −high they are symmetric to the last bit.

    Args:
        low: First coordinate.
        high: Last coordinate, above low.
        points: How many, at least 2; an odd number has the middle on the grid.

    Returns:
        Shape (points,), float64.

    Raises:
        ValueError: Fewer than two points, or a range that is empty or not finite.

    Example:
        >>> axis(-1, 1, 5)
        array([-1. , -0.5,  0. ,  0.5,  1. ])
    """
    if isinstance(points, bool) or int(points) != points or points < 2:
        raise ValueError(f"points={points!r} must be a whole number of at least 2, e.g. 51")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"extent runs from {low!r} to {high!r}: it must be finite, the first end below the second")
    n = int(points)
    from_middle = (2 * np.arange(n) - (n - 1)) / (n - 1)  # −1 … 1, antisymmetric
    return (low + high) / 2 + (high - low) / 2 * from_middle


def ranges(extent: Extent, count: int) -> list[tuple[float, float]]:
    """The range of each axis: a number e stands for (−e, e), one pair for all axes, else one pair an axis.

    Args:
        extent: A number > 0, a pair (low, high), or a pair for each axis.
        count: How many axes.

    Raises:
        ValueError: Another form.

    Example:
        >>> ranges(1, 2), ranges((-1, 2), 1), ranges([(-1, 1), (0, 3)], 2)
        ([(-1.0, 1.0), (-1.0, 1.0)], [(-1.0, 2.0)], [(-1.0, 1.0), (0.0, 3.0)])
    """
    try:
        values = np.asarray(extent, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape == ():
        values = np.array([[-values, values]] * count)
    elif values.shape == (2,):
        values = np.array([values] * count)
    if values.shape != (count, 2):
        raise ValueError(f"extent={extent!r} is not a number, a pair (low, high), or {count} such pairs")
    return [(float(low), float(high)) for low, high in values]


def coarse_to_fine(points: int, first: int = COARSE) -> list[int]:
    """Numbers of points, growing, for pictures that get finer: each a regular part of the last one where it can be.

    Args:
        points: Of the finest axis, at least 2.
        first: Of the coarsest, about.

    Returns:
        The levels, `points` the last. For a number that has no regular part of that size, `first` stands before it.

    Example:
        >>> coarse_to_fine(51), coarse_to_fine(41), coarse_to_fine(48), coarse_to_fine(9)
        ([11, 26, 51], [11, 21, 41], [11, 48], [9])
    """
    parts = [m + 1 for m in range(first // 2, first + 3) if (points - 1) % m == 0]
    coarsest = min(parts, key=lambda m: abs(m - first)) if parts else first
    if coarsest >= points or first >= points:
        return [points]
    levels = [coarsest]
    for m in range(levels[0] + 1, points):
        if (points - 1) % (m - 1) == 0 and m >= 1.8 * levels[-1] and points >= 1.8 * m:
            levels.append(m)
    return [*levels, points]
