"""The protocol of the benchmark as data: what is run, how often, and which values count as reached."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sofim_lab.optim import registry
from sofim_lab.problems import DATASETS, MODELS, streams
from sofim_lab.training.refusals import seeds_of, whole_number

MEASURES = {"train_loss": "training loss", "test_loss": "test loss", "test_accuracy": "test accuracy"}
TUNED_ON = "val_loss"


def targets(train_loss: float, test_loss: float, test_accuracy: float, val_loss: float) -> Mapping[str, float]:
    """The values to reach on a task, by measure."""
    values = (train_loss, test_loss, test_accuracy, val_loss)
    return MappingProxyType(dict(zip((*MEASURES, TUNED_ON), values, strict=True)))


@dataclass(frozen=True)
class Task:
    """One problem: data, model and stream of batches, with the values that are to be reached on it.

    Args:
        data: A name of `sofim_lab.problems.DATASETS`.
        model: A name of `sofim_lab.problems.MODELS`.
        stream: A name of `sofim_lab.problems.streams`.
        epochs: Passes over the training images; a target that is not reached in them is censored.
        batch_size: Images a step.
        targets: Value to reach by measure, after the first epoch or a later one: losses at most, accuracies at least.
            `val_loss` is for tuning alone. The pilot needs none.

    Raises:
        ValueError: A name is unknown, epochs or batch_size is no whole number from 1, or the targets lack a measure or
            are not finite.

    Example:
        >>> at = {"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.9, "val_loss": 0.2}
        >>> Task("digits", "mlp", targets=at).title
        'digits, mlp'
    """

    data: str
    model: str
    stream: str = "shuffled"
    epochs: int = 30
    batch_size: int = 64
    targets: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, known in (("data", DATASETS), ("model", MODELS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(known)}")
        streams.get(self.stream)
        _refuse_less_than_one(epochs=self.epochs, batch_size=self.batch_size)
        missing = sorted({*MEASURES, TUNED_ON} - self.targets.keys())
        if self.targets and missing:
            raise ValueError(f"targets of {self.title} lack {', '.join(missing)}: run the pilot for them")
        for name, value in self.targets.items():
            if not math.isfinite(value):
                raise ValueError(f"targets of {self.title} hold {name}={value}, which no run could tell: give a number")

    @property
    def title(self) -> str:
        """Its name in tables."""
        return ", ".join([self.data, self.model] + [self.stream] * self.shifted)

    @property
    def setting(self) -> dict[str, Any]:
        """What `sofim_lab.training.sweep` needs to know of it."""
        return {name: getattr(self, name) for name in ("data", "model", "stream", "epochs", "batch_size")}

    @property
    def shifted(self) -> bool:
        """Whether the distribution of the labels changes from batch to batch."""
        return self.stream != "shuffled"


@dataclass(frozen=True)
class Protocol:
    """What a benchmark runs.

    Args:
        name: Its name in reports.
        tasks: The problems.
        optimizers: Names of `sofim_lab.optim.registry`, each tuned with the same budget.
        configurations: The budget: settings tried for an optimizer on a task.
        tuning_seeds: A run of each setting for each.
        final_seeds: A run of the selected setting for each; other seeds than the tuning's. One alone leaves every
            claim on times undecided.
        studied: The task on which sensitivity and ablations are measured; None leaves them out.
        scanned: Optimizers whose learning rate is varied there.
        factors: By which it is multiplied.
        scan_seeds: Seeds of these runs, and of the ablations.

    Raises:
        ValueError: A name is unknown; a task's title, an optimizer, a factor or a seed comes twice; configurations is
            no whole number from 1; a factor is not above 0; SOFIM is missing; nothing is to be run, or nothing of what
            is to be studied.
    """

    name: str
    tasks: tuple[Task, ...]
    optimizers: tuple[str, ...]
    configurations: int
    tuning_seeds: tuple[int, ...]
    final_seeds: tuple[int, ...]
    studied: Task | None = None
    scanned: tuple[str, ...] = ()
    factors: tuple[float, ...] = ()
    scan_seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.optimizers, *self.scanned):
            registry.get(name)
        if not (self.tasks and self.optimizers and self.tuning_seeds and self.final_seeds):
            raise ValueError(f"protocol {self.name!r} needs tasks, optimizers, tuning_seeds and final_seeds")
        _refuse_less_than_one(configurations=self.configurations)
        _refuse_twice("tasks", [task.title for task in self.tasks])
        for name in ("optimizers", "scanned", "factors"):
            _refuse_twice(name, getattr(self, name))
        for name in ("tuning_seeds", "final_seeds", "scan_seeds"):
            _refuse_twice(name, seeds_of(getattr(self, name) or (0,)))  # scan_seeds may be left out
        twice = sorted(set(self.tuning_seeds) & set(self.final_seeds))
        if twice:
            raise ValueError(f"seeds {twice} tune and judge at once: final_seeds must be others than tuning_seeds")
        if "SOFIM" not in self.optimizers:
            raise ValueError(f"protocol {self.name!r} has no 'SOFIM' among its optimizers, whose claims it judges")
        if self.studied is not None and self.studied not in self.tasks:
            raise ValueError(f"studied={self.studied.title!r} must be one of the tasks")
        if self.studied is not None and not self.scan_seeds:
            raise ValueError(
                f"scan_seeds=() leave nothing to study {self.studied.title!r} on: give some, or studied=None"
            )
        for factor in self.factors:
            if not (math.isfinite(factor) and factor > 0):
                raise ValueError(f"factors hold {factor}: a learning rate can be multiplied by numbers above 0")
        unknown = sorted(set(self.scanned) - set(self.optimizers))
        if unknown:
            raise ValueError(f"scanned={unknown} are not tuned: add them to the optimizers")

    @property
    def runs(self) -> int:
        """How many runs tuning and judging take, without sensitivity and ablations."""
        each = self.configurations * len(self.tuning_seeds) + len(self.final_seeds)
        return len(self.tasks) * (len(self.optimizers) * each + len(self.final_seeds))


def _refuse_less_than_one(**found: int) -> None:
    """Counts of things of which there has to be one at least."""
    for name, value in found.items():
        if whole_number(name, value) < 1:
            raise ValueError(f"{name}={value} must be 1 or more")


def _refuse_twice(name: str, values: Sequence[object]) -> None:
    """What comes twice would count twice, or hide the first."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{name} hold {value!r} twice: each must be another, leave one out")
