"""Medians with runs that never arrived, and the paired bootstrap over seeds, exact where that is possible."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT = 9  # seeds: 24,310 multisets; ten would have 92,378
DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate between two ends, any of which may be 0 or infinite; nan is an estimate that nobody knows."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_number(self.estimate)} [{_number(self.low)}, {_number(self.high)}]"


def _number(value: float) -> str:
    """Two or three digits, or a sign for what has none."""
    return "?" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.3g}"


@lru_cache(maxsize=4)
def resamples(n: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """All samples of n out of n with replacement, each order of one counted in its probability.

    A multiset in which member i occurs kᵢ times has the probability n! / (∏ kᵢ! nⁿ).

    Args:
        n: Number of seeds, 1 or more.

    Returns:
        Places, shape (resamples, n), and their probabilities. For n ≤ 9 all multisets; for more 10,000 draws from a
        fixed seed, equally probable.

    Raises:
        ValueError: n is less than 1.

    Example:
        >>> places, probabilities = resamples(2)
        >>> places.tolist(), probabilities.tolist()
        ([[0, 0], [0, 1], [1, 1]], [0.25, 0.5, 0.25])
    """
    if n < 1:
        raise ValueError(f"n={n} must be 1 or more: there is nothing to resample")
    if n > EXACT:
        return np.random.default_rng(0).integers(n, size=(DRAWS, n)), np.full(DRAWS, 1 / DRAWS)
    places = np.array(list(combinations_with_replacement(range(n), n)))
    counts = (places[:, :, None] == np.arange(n)).sum(axis=1)
    factorials = np.array([math.factorial(k) for k in range(n + 1)])
    return places, math.factorial(n) / factorials[counts].prod(axis=1) / float(n) ** n


def quantile(values: NDArray[np.float64], probabilities: NDArray[np.float64], level: float) -> float:
    """The smallest value x with P(X ≤ x) ≥ level, up to rounding of the sum."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(probabilities[order]) >= level - 1e-12
    return float(values[order][np.argmax(reached)])


def median_interval(times: ArrayLike, level: float = 0.95) -> Interval:
    """The median of times of which some may be infinite (never reached), with its percentile interval.

    One seed says nothing of others: its interval is [0, ∞].

    Args:
        times: One a seed, positive, infinite where censored, shape (n,).
        level: Probability of the interval, a fraction.

    Returns:
        `Interval`; an end is infinite where the median of the resample is.

    Raises:
        ValueError: There is no time, one is not positive, or level does not lie between 0 and 1.

    Example:
        >>> print(median_interval([3, 4, 4, 5, np.inf]))
        4 [3, ∞]
    """
    tail = _tail(level)
    times = _checked("times", times)
    middle = float(np.median(times))
    if times.shape[-1] == 1:
        return Interval(middle, 0.0, math.inf)
    places, probabilities = resamples(times.shape[-1])
    medians = np.median(times[places], axis=-1)
    high = -quantile(-medians, probabilities, tail)
    return Interval(middle, quantile(medians, probabilities, tail), high)


def paired_ratio(ours: ArrayLike, theirs: ArrayLike, level: float = 0.95) -> Interval:
    """The typical ratio of two optimizers' medians, with its interval, from the same resamples of seeds.

    In a cell (a task and a measure) the ratio is median(ours) / median(theirs). Over several cells it is their median
    in the logarithm. Where both medians are infinite the ratio is unknown: it counts as 0 for the lower end and as ∞
    for the upper end of the interval, and the estimate is made without it. One seed says nothing of others: its
    interval is [0, ∞].

    Args:
        ours: Times of one optimizer, positive, infinite where censored, shape (n,) or (cells, n).
        theirs: Those of the other, from the same seeds, same shape.
        level: Probability of the interval, a fraction.

    Returns:
        `Interval`. Exchanging the two gives the reciprocals.

    Raises:
        ValueError: The shapes differ, there is no time, one is not positive, or level does not lie between 0 and 1.

    Example:
        >>> print(paired_ratio([2, 3, 3, 4, 5], [4, 6, 6, 8, 10]))
        0.5 [0.5, 0.5]
    """
    tail = _tail(level)
    first, second = np.atleast_2d(_checked("ours", ours)), np.atleast_2d(_checked("theirs", theirs))
    if first.shape != second.shape:
        raise ValueError(f"ours has the shape {first.shape}, theirs {second.shape}: one time a cell and seed in both")
    known = _log_ratios(np.median(first, axis=-1), np.median(second, axis=-1))
    known = known[~np.isnan(known)]
    middle = _middle(known[:, None], np.nan)[0] if len(known) else np.nan
    if first.shape[1] == 1:
        return Interval(float(np.exp(middle)), 0.0, math.inf)
    places, probabilities = resamples(first.shape[1])
    logs = _log_ratios(np.median(first[:, places], axis=-1), np.median(second[:, places], axis=-1))
    low, high = (_middle(np.where(np.isnan(logs), end, logs), end) for end in (-np.inf, np.inf))
    ends = quantile(low, probabilities, tail), -quantile(-high, probabilities, tail)
    return Interval(*(float(np.exp(end)) for end in (middle, *ends)))


def exact_ratio(ours: ArrayLike, theirs: ArrayLike) -> Interval:
    """The ratio, as `paired_ratio` makes it, of counts that no seed changes, bytes say: it is both ends as well.

    Args:
        ours: Counts, 0 or more, shape (n,) or (cells, n).
        theirs: Those of the other, same shape. Where they are 0 the ratio is ∞, but 1 where ours are 0 as well.

    Returns:
        `Interval`; between 0 and ∞ where as many cells have the one as the other.

    Example:
        >>> print(exact_ratio([400], [800]), exact_ratio([400], [0]), exact_ratio([0], [0]))
        0.5 [0.5, 0.5] ∞ [∞, ∞] 1 [1, 1]
    """
    first, second = (np.median(np.atleast_2d(np.asarray(one, np.float64)), axis=-1) for one in (ours, theirs))
    with np.errstate(divide="ignore"):
        logs = np.where(first == second, 0.0, _log_ratios(first, second))
    if np.isnan(middle := float(np.exp(_middle(logs[:, None], np.nan)[0]))):
        return Interval(math.nan, 0.0, math.inf)
    return Interval(middle, middle, middle)


def _log_ratios(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(ours / theirs): −∞ or ∞ where one is infinite, nan where both are."""
    with np.errstate(invalid="ignore"):
        return np.log(ours) - np.log(theirs)


def _middle(logs: NDArray[np.float64], undecided: float) -> NDArray[np.float64]:
    """Medians over the cells; `undecided` where the two in the middle are −∞ and ∞."""
    with np.errstate(invalid="ignore"):
        middle = np.median(logs, axis=0)
    return np.where(np.isnan(middle), undecided, middle)


def _checked(name: str, times: ArrayLike) -> NDArray[np.float64]:
    """Times as an array, at least one, none of them zero, negative or nan."""
    array = np.asarray(times, dtype=np.float64)
    if array.size == 0 or not (array > 0).all():
        raise ValueError(f"{name}={array.tolist()!r} must be positive; infinite stands for never reached")
    return array


def _tail(level: float) -> float:
    """The probability beyond each end."""
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1: 0.95 for 95 %")
    return (1 - level) / 2
