"""What a training run leaves behind: one type for one run, one for several."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class StepRecord:
    """One optimizer step: its number from 1, the mini-batch loss before it, and the length ‖Δw‖ of the step."""

    step: int
    epoch: int
    loss: float
    step_length: float


@dataclass(frozen=True)
class EpochRecord:
    """The state after an epoch (0: before the first step): mean losses, accuracies and what the training took so far.

    Losses and accuracies are nan where they were not evaluated. `gradient_evaluations` counts backward passes through
    the model in passes over the training set: each sample counts once for every vector pulled back to the parameters,
    a gradient or a product with a curvature matrix (see `sofim_lab.curvature.passes`), and not at all for losses
    without a gradient. SOFIM, SGD and Adam make one an epoch, AdaHessian two, L-BFGS one for every call of its
    closure, `LowRankFisher` k, one for each row, and `NystromSGD` one, and min(rank, d) more in a step with a refresh.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    seconds: float
    test_loss: float = math.nan
    test_accuracy: float = math.nan
    gradient_evaluations: float = 0.0


@dataclass(frozen=True)
class TrainingResult:
    """One training run, complete enough to be compared and repeated.

    Attributes:
        name: What the run is called in tables and plots.
        optimizer: Class name of the optimizer.
        settings: From `train`, `train_many` and `race` all its hyperparameters, `batch_size`, `epochs`, and the name
            of the `stream`; from `sofim_lab.federated` those of the server, with what each client does in a round; of a
            run of a sweep (`sofim_lab.benchmark`) those alone that its `Configuration` names.
        seed: Seed of the batch order (and of the initial weights in a race).
        device: Class of the device, e.g. `cpu`.
        steps: One `StepRecord` a step. Losses are in nats a sample.
        epochs: One `EpochRecord` an epoch, epoch 0 included.
        diverged_at: Step whose loss, or the epoch's end whose evaluation, was not finite; the run ended there.
            None for a run that stayed finite.
    """

    name: str
    optimizer: str
    settings: dict[str, Any]
    seed: int
    device: str
    steps: tuple[StepRecord, ...]
    epochs: tuple[EpochRecord, ...]
    diverged_at: int | None = None

    @property
    def diverged(self) -> bool:
        """Whether the run ended because its loss was no longer finite."""
        return self.diverged_at is not None

    @property
    def final(self) -> EpochRecord:
        """The last epoch that was evaluated."""
        return self.epochs[-1]

    @property
    def seconds(self) -> float:
        """Seconds spent in training steps, evaluation left out."""
        return self.final.seconds

    def to_frame(self, level: str = "epoch") -> pd.DataFrame:
        """The run as a table, one row an epoch or a step, with name, seed, device and divergence on each row.

        Args:
            level: `epoch` or `step`.

        Returns:
            A frame with the record's fields as columns; settings stand in `frame.attrs["settings"]`.

        Raises:
            ValueError: Another level.
        """
        if level not in ("epoch", "step"):
            raise ValueError(f"level={level!r} is unknown: choose 'epoch' or 'step'")
        frame = pd.DataFrame([vars(record) for record in (self.epochs if level == "epoch" else self.steps)])
        run: dict[str, Any] = {"name": self.name, "seed": self.seed, "device": self.device, "diverged": self.diverged}
        for place, (column, value) in enumerate(run.items()):
            frame.insert(place, column, value)
        frame.attrs["settings"] = dict(self.settings)
        return frame


@dataclass(frozen=True)
class RaceResult:
    """Several runs from the same starts on the same batches, in the order in which they ran; at least one.

    Raises:
        ValueError: There is no run, so there is nothing to tabulate or draw.
    """

    runs: tuple[TrainingResult, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"runs={self.runs!r} is empty: a race has at least one run, e.g. RaceResult((result,))")

    def __iter__(self) -> Iterator[TrainingResult]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, name: str) -> tuple[TrainingResult, ...]:
        """The runs of one name, one a seed."""
        found = tuple(run for run in self.runs if run.name == name)
        if not found:
            raise KeyError(f"no run is called {name!r}: there are {', '.join(self.names)}")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the contestants, in the order in which they started."""
        return tuple(dict.fromkeys(run.name for run in self.runs))

    def to_frame(self, level: str = "epoch") -> pd.DataFrame:
        """All runs under one another; see `TrainingResult.to_frame`."""
        return pd.concat([run.to_frame(level) for run in self.runs], ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a contestant: medians over the seeds, and how many runs diverged.

        They are of each run's last evaluation: after the last epoch, or of what a run that diverged had come to before
        it did. Where `diverged` is not 0, a low loss may be that of the runs that are left, or of an early end.
        Parts of the data that no run has evaluated have no columns.
        """
        rows = []
        for name in self.names:
            runs = self[name]
            last = pd.DataFrame([vars(run.final) for run in runs]).median()
            row = {"name": name, **last.drop("epoch").to_dict(), "diverged": sum(run.diverged for run in runs)}
            rows.append({**row, "runs": len(runs)})
        table = pd.DataFrame(rows).set_index("name")
        unseen = [c for c in ("test_loss", "test_accuracy") if all(math.isnan(getattr(r.epochs[0], c)) for r in self)]
        return table.drop(columns=unseen, errors="ignore")
