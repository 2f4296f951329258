"""Do two quantities rise together? A rank correlation, with an interval that respects how the runs belong together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation with a 95 % interval.

    Attributes:
        value: From −1 to 1.
        low: Lower end of the interval.
        high: Upper end.
        groups: How many independent groups the interval rests on.
    """

    value: float
    low: float
    high: float
    groups: int

    @property
    def sign(self) -> int:
        """1 or −1 where the interval excludes 0, else 0: the data leave it open."""
        return int(self.low > 0) - int(self.high < 0)


def rank_correlation(
    x: Sequence[float],
    y: Sequence[float],
    groups: Sequence[object],
    *,
    within: Sequence[object] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's rank correlation of x and y, and its percentile bootstrap interval over whole groups.

    Runs of one seed share start and batches, so they are no independent samples: the bootstrap draws seeds, with
    replacement, and takes all runs of each. With few groups (fewer than ten, say) the interval is too narrow.

    Args:
        x: Values, shape (n,).
        y: Values, shape (n,).
        groups: To which group each belongs, e.g. its seed, shape (n,).
        within: Categories, e.g. optimizers, shape (n,). If given, the mean rank of each category is taken off first:
            what is left is the correlation within the categories.
        draws: How many bootstrap samples.
        seed: Seed of the draws.

    Returns:
        `RankCorrelation`. A sample in which x or y does not vary counts as 0.

    Raises:
        ValueError: Sequences of different lengths, fewer than 3 values, values that are not finite, one group alone.

    Example:
        >>> rank_correlation([1, 2, 3, 4], [10, 20, 30, 40], groups=[0, 0, 1, 1])
        RankCorrelation(value=1.0, low=1.0, high=1.0, groups=2)

    References:
        B. Efron and R. J. Tibshirani, 1993, "An Introduction to the Bootstrap", chapters 8 and 13.
    """
    within = [0] * len(x) if within is None else within
    lengths = {"x": len(x), "y": len(y), "groups": len(groups), "within": len(within)}
    if len(set(lengths.values())) > 1 or len(x) < 3:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"x, y, groups and within must be equally long, 3 values or more, got {told}")
    pair = np.array([x, y], dtype=float)
    if not np.isfinite(pair).all():
        raise ValueError("x and y must be finite: leave out runs that diverged")
    owner, category = (np.unique(np.asarray(column), return_inverse=True)[1] for column in (groups, within))
    members = [np.flatnonzero(owner == group) for group in range(owner.max() + 1)]
    if len(members) < 2:
        raise ValueError("groups holds 1 group: the interval needs at least two, e.g. two seeds")
    random = np.random.default_rng(seed)
    drawn = (
        np.concatenate([members[k] for k in row]) for row in random.integers(len(members), size=(draws, len(members)))
    )
    low, high = np.quantile([_spearman(pair[:, some], category[some]) for some in drawn], [0.025, 0.975])
    return RankCorrelation(_spearman(pair, category), float(low), float(high), len(members))


def _spearman(pair: np.ndarray, category: np.ndarray) -> float:
    """Correlation of the ranks of two rows, the mean of each category taken off."""
    from scipy.stats import rankdata  # half a second that `import sofim_lab` need not pay

    ranks, size = rankdata(pair, axis=1), np.bincount(category).clip(min=1)
    a, b = (row - (np.bincount(category, row) / size)[category] for row in ranks)
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.round(a @ b / scale, 12)) if scale > 0 else 0.0
