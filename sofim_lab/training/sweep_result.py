"""What a sweep leaves behind, as tables."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sofim_lab.training.result import EpochRecord
from sofim_lab.training.store import Run, read_runs
from sofim_lab.training.task import QUANTILES

_HEAD = ("configuration", "optimizer", "settings", "model", "data", "stream", "batch_size", "seed")
_MEASURES = tuple(field for field in EpochRecord.__dataclass_fields__ if field != "epoch")


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep: configuration by configuration, seed by seed, in whatever order they were computed.

    Attributes:
        runs: Of each run what its line in the store holds.
    """

    runs: tuple[Run, ...]

    @classmethod
    def read(cls, store: str | Path) -> "Sweep":
        """All runs of a store, also while a sweep is writing to it; in the order in which they ended.

        Args:
            store: The file.

        Returns:
            The runs, of whatever sweeps and versions.

        Raises:
            ValueError: The file is not a store.
            FileNotFoundError: There is none.
        """
        if not Path(store).exists():
            raise FileNotFoundError(f"store={str(store)!r} does not exist: pass it to a sweep first")
        return cls(tuple(read_runs(Path(store)).values()))

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def frame(self) -> pd.DataFrame:
        """One row an epoch.

        `configuration` (its key), `optimizer`, `settings` (as JSON), `model`, `data`, `stream`, `batch_size`, `seed`,
        `epoch`, the other fields of `EpochRecord`, `status` (`ok`, `diverged` or `failed`) and `error`. A number that
        was not finite is nan; a run that failed has one row, of epoch 0, without numbers.
        """
        rows = []
        for run in self.runs:
            history = run.get("history") or {"epoch": [0]}  # null where another program wrote the file anew
            measured = zip(*(history.get(field, [None] * len(history["epoch"])) for field in _MEASURES), strict=True)
            for epoch, values in zip(history["epoch"], measured, strict=True):
                rows.append((*_head(run), epoch, *values, run["status"], run["error"]))
        frame = pd.DataFrame(rows, columns=[*_HEAD, "epoch", *_MEASURES, "status", "error"])
        return frame.astype(dict.fromkeys(_MEASURES, "float64"))

    @property
    def steps(self) -> pd.DataFrame:
        """One row a run: how many `steps` it took, quantiles of their lengths ‖Δw‖, and how it ended.

        The quantiles stand in columns `0.0` (the shortest), …, `0.5`, …, `1.0` (the longest), nan where there is none.
        """
        none = [None] * len(QUANTILES)
        rows = [
            (
                *_head(run),
                int(run.get("steps") or 0),
                *(run.get("step_length_quantiles") or none),
                run["status"],
                run["error"],
            )
            for run in self.runs
        ]
        frame = pd.DataFrame(rows, columns=[*_HEAD, "steps", *QUANTILES, "status", "error"])
        return frame.astype(dict.fromkeys(QUANTILES, "float64"))


def _head(run: Run) -> tuple[object, ...]:
    """What says which run it is."""
    return tuple(json.dumps(run[name], sort_keys=True) if name == "settings" else run[name] for name in _HEAD)
