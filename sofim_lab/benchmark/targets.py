"""How long a run takes to a target, and what it is when it never gets there."""

import numpy as np
import pandas as pd

from sofim_lab.benchmark.protocol import MEASURES, TUNED_ON

UNITS = {"epoch": "epochs", "gradient_evaluations": "passes"}


def reached(values: pd.Series, measure: str, target: float) -> pd.Series:
    """Where a measure is at its target: a loss at or below it, an accuracy at or above. nan is not.

    Example:
        >>> reached(pd.Series([0.5, 0.2, float("nan")]), "train_loss", 0.2).tolist()
        [False, True, False]
    """
    return values >= target if measure.endswith("accuracy") else values <= target


def time_to_target(frame: pd.DataFrame, measure: str, target: float, unit: str = "epoch") -> pd.Series:
    """The first epoch end at which each run has reached the target; infinite where it never does (censored).

    What holds before the first step is no merit of an optimizer: epoch 0 does not count, and the smallest time is 1.

    Args:
        frame: Rows of a sweep, one an epoch, epoch 0 (before the first step) included.
        measure: A column, e.g. `train_loss`.
        target: The value.
        unit: The column that is read there: `epoch`, or `gradient_evaluations`.

    Returns:
        One time a run, indexed by (configuration, seed), in the order of the frame. What a run that diverged had
        reached before stays reached.

    Raises:
        ValueError: Another measure or unit.

    Example:
        >>> frame = pd.DataFrame({"configuration": "a", "seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2],
        ...                       "train_loss": [0.3, 0.1, 0.4, 0.2]})
        >>> time_to_target(frame, "train_loss", 0.15).tolist()
        [2.0, inf]
    """
    if measure not in (*MEASURES, TUNED_ON):
        raise ValueError(f"measure={measure!r} is unknown: choose one of {', '.join((*MEASURES, TUNED_ON))}")
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r} is unknown: choose one of {', '.join(UNITS)}")
    there = reached(frame[measure], measure, target) & (frame["epoch"] > 0)
    times = frame[unit].where(there, np.inf).astype(float)
    # Both units grow with the epochs, so that the first epoch has the smallest.
    return times.groupby([frame["configuration"], frame["seed"]], sort=False).min()
