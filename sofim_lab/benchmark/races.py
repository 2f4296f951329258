"""Runs of sweeps in the form of a race, for the figures that know races."""

import math
from collections.abc import Sequence
from typing import Any

from sofim_lab.training import EpochRecord, RaceResult, TrainingResult
from sofim_lab.training.store import Run

_FIELDS = tuple(EpochRecord.__dataclass_fields__)


def as_race(runs: Sequence[tuple[str, Run]]) -> RaceResult:
    """Runs of sweeps, each with a name, as those of a race; without single steps.

    Args:
        runs: Name and line of the store; a run that failed is left out, as there is nothing to draw of it.

    Returns:
        The race.
    """
    return RaceResult(tuple(_result(name, run) for name, run in runs if run["status"] != "failed"))


def _result(name: str, run: Run) -> TrainingResult:
    """One run; what was not finite is nan."""
    columns = {field: run["history"][field] for field in _FIELDS if field in run["history"]}
    rows = zip(*columns.values(), strict=True)
    numbers: list[list[Any]] = [[math.nan if value is None else value for value in row] for row in rows]
    epochs = [EpochRecord(**dict(zip(columns, row, strict=True))) for row in numbers]
    end = run["steps"] if run["status"] == "diverged" else None
    head = name, run["optimizer"], run["settings"], run["seed"], run["device"]
    return TrainingResult(*head, steps=(), epochs=tuple(epochs), diverged_at=end)
