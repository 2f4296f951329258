"""Which of an optimizer's settings is run in the end, and what it is worth to have tried many."""

import math
from collections.abc import Sequence

import pandas as pd

from sofim_lab.benchmark.protocol import TUNED_ON
from sofim_lab.benchmark.targets import time_to_target


def ranking(frame: pd.DataFrame, target: float) -> pd.DataFrame:
    """An optimizer's configurations, best first.

    Best is what misses the validation target on the fewest seeds; among equals, what takes the fewest epochs in sum on
    the seeds that reach it; among equals, what has the lowest mean of the best validation losses; then what comes
    first.

    Args:
        frame: Rows of the tuning runs of one optimizer on one task.
        target: The validation loss to reach.

    Returns:
        A row a configuration, with `missed`, `epochs` and `best`.

    Example:
        >>> frame = pd.DataFrame({"configuration": ["a", "a", "b", "b"], "seed": 0, "epoch": [1, 2, 1, 2],
        ...                       "val_loss": [0.5, 0.2, 0.3, 0.25]})
        >>> ranking(frame, target=0.3).index.tolist()
        ['b', 'a']
    """
    times = time_to_target(frame, TUNED_ON, target)
    by_configuration = times.groupby(level="configuration", sort=False)
    best = frame.groupby(["configuration", "seed"], sort=False)[TUNED_ON].min()
    table = pd.DataFrame(
        {
            "missed": by_configuration.apply(lambda own: int(own.isin([float("inf")]).sum())),
            "epochs": by_configuration.apply(lambda own: own[own < float("inf")].sum()),
            # A run that failed has no loss at all: worse than every other.
            "best": best.fillna(float("inf")).groupby(level="configuration", sort=False).mean(),
        }
    )
    return table.sort_values(["missed", "epochs", "best"], kind="stable")


def expected_best(losses: Sequence[float], k: int) -> float:
    """What a budget of k configurations gives on average: the mean, over all subsets of k, of the smallest loss in it.

    With the losses sorted, the i-th of n is the best of a subset if the other k − 1 are among the n − i larger ones:
    E = Σᵢ v₍ᵢ₎ C(n − i, k − 1) / C(n, k).

    Args:
        losses: One a configuration; infinite for one that failed.
        k: The budget, 1 to the number of losses.

    Returns:
        The expectation, infinite where a subset of k failures can be drawn.

    Raises:
        ValueError: k is out of range.

    Example:
        >>> expected_best([3.0, 1.0, 2.0], k=2)  # of 1, 1 and 2
        1.333...

    References:
        Dodge et al., 2019, arXiv 1909.03004 (there with replacement).
    """
    n = len(losses)
    if not 1 <= k <= n:
        raise ValueError(f"k={k} must lie in 1 … {n}, the number of losses")
    terms = zip(sorted(losses), (math.comb(n - i, k - 1) for i in range(1, n + 1)), strict=True)
    return sum(float(value) * weight for value, weight in terms if weight) / math.comb(n, k)
