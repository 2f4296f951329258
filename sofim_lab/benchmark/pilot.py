"""The pilot: an untuned yardstick that says which values are worth reaching, before anything else is run."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sofim_lab.benchmark.protocol import MEASURES, TUNED_ON, Protocol, Task
from sofim_lab.optim import registry
from sofim_lab.training import Configuration, sweep

YARDSTICK = "SGD momentum"
RATES = (0.1, 0.03, 0.01, 0.003, 0.001)  # the registry's default, and smaller ones for where that learns nothing
SEEDS = (900, 901, 902)


def run_pilot(
    protocol: Protocol,
    store: str | Path | None = None,
    *,
    device: str = "cpu",
    n_jobs: int | None = None,
    keep_other_code: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Run SGD with momentum, untuned, on every task of a protocol, and read the targets from it.

    Args:
        protocol: Its tasks are run; targets that they have already are not used.
        store: See `sofim_lab.training.sweep`.
        device: Where each run computes.
        n_jobs: See there.
        keep_other_code: See there.
        progress: Show bars.

    Returns:
        A row a task: the rate, and the target by measure.

    Raises:
        ValueError: It learns nothing on a task, at any rate; the device does not exist, or the store is refused.
        RuntimeError: Another sweep is writing to the store, or a worker died.
        ConnectionError: A data set has to be downloaded, and that is not possible.
        OSError: The store cannot be written.
    """
    defaults = dict(registry.get(YARDSTICK).defaults)
    rows = {}
    for task in protocol.tasks:
        for rate in RATES:
            frame = sweep(
                [Configuration(YARDSTICK, {**defaults, "lr": rate})],
                **task.setting,
                seeds=SEEDS,
                store=store,
                device=device,
                n_jobs=n_jobs,
                keep_other_code=keep_other_code,
                progress=progress,
                evaluate_on=("train", "val", "test"),
            ).frame
            if has_learnt(frame, task):
                rows[task.title] = {"rate": rate, **pilot_targets(frame, task)}
                break
        else:
            raise ValueError(f"the pilot learns nothing on {task.title} at rates {RATES}: it cannot set a target")
    return pd.DataFrame(rows).T


def has_learnt(frame: pd.DataFrame, task: Task) -> bool:
    """Whether the best training loss up to half of the epochs is below half of that at the start, in the median."""
    early = frame[frame["epoch"] <= task.epochs // 2]
    start = frame.loc[frame["epoch"] == 0, "train_loss"].median()
    return bool(early.groupby("seed")["train_loss"].min().median() < start / 2)


def pilot_targets(frame: pd.DataFrame, task: Task) -> Mapping[str, float]:
    """The targets of a task from its pilot: what the yardstick had reached after half of the epochs.

    The median over the seeds of the best value up to there, rounded to the easier side: losses up to two significant
    digits, accuracies down to a multiple of 0.005.

    Args:
        frame: Rows of the pilot, one an epoch and seed.
        task: Whose targets they are.

    Returns:
        Target by measure, `val_loss` among them.

    Raises:
        ValueError: The pilot is not finite.
    """
    early = frame[frame["epoch"] <= task.epochs // 2]
    targets = {}
    for measure in (*MEASURES, TUNED_ON):
        by_seed = early.groupby("seed")[measure]
        accuracy = measure.endswith("accuracy")
        value = float((by_seed.max() if accuracy else by_seed.min()).median())
        if not math.isfinite(value):
            raise ValueError(f"the pilot of {task.title} has no finite {measure}: it cannot set a target")
        targets[measure] = round_down(value) if accuracy else round_up(value)
    return targets


def round_up(loss: float) -> float:
    """The next number with two significant digits that is not smaller.

    Example:
        >>> round_up(0.0341), round_up(0.034)
        (0.035, 0.034)
    """
    unit = 10.0 ** (math.floor(math.log10(loss)) - 1)
    return float(f"{math.ceil(loss / unit - 1e-9) * unit:.2g}")


def round_down(accuracy: float) -> float:
    """The next multiple of 0.005 that is not larger.

    Example:
        >>> round_down(0.9633)
        0.96
    """
    return round(math.floor(accuracy / 0.005 + 1e-9) * 0.005, 3)
