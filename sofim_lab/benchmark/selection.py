"""Which of an optimizer's settings is run in the end: the one that is best on the validation images."""

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
