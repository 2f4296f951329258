"""One run of a sweep: what is needed to do it anywhere, and what is kept of it."""

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry
from sofim_lab.problems import DEVICES, Dataset, build_model, load_dataset, streams
from sofim_lab.problems.seeding import seeded
from sofim_lab.training.configurations import Configuration, digest
from sofim_lab.training.provenance import CODE, SOFTWARE
from sofim_lab.training.refusals import refuse_bad_input
from sofim_lab.training.result import EpochRecord, TrainingResult
from sofim_lab.training.store import Run
from sofim_lab.training.train import train

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
DTYPES = ("float32", "float64")

_one_run = threading.Lock()


@dataclass(frozen=True)
class Setting:
    """What all runs of a sweep share, in names and plain values, which travel to any machine; see `sweep`."""

    model: str
    data: str
    stream: str
    batch_size: int
    epochs: int
    device: str
    dtype: str
    evaluate_on: Sequence[str]

    def check(self) -> None:
        """Refuse what no run could be done with, and fetch the data, before any run is started."""
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype} is not supported: choose {' or '.join(DTYPES)}")
        if self.device.partition(":")[0] not in DEVICES:
            raise ValueError(f"device={self.device!r} is unknown: choose one of {', '.join(DEVICES)}")
        streams.get(self.stream)
        data = load(self.data, "cpu", self.dtype)
        model = build_model(self.model, data)
        optimizer = torch.optim.SGD(model.parameters())
        refuse_bad_input(model, data, optimizer, self.epochs, self.batch_size, self.evaluate_on)


@dataclass(frozen=True)
class Task:
    """One run: a configuration from a seed in a setting."""

    configuration: Configuration
    seed: int
    setting: Setting
    together: bool = False

    @property
    def stacks(self) -> bool:
        """Whether it may be one of many whose gradients are computed in one pass, see `train_many`."""
        entry = registry.get(self.configuration.optimizer)
        return self.together and entry.closure == "gradient" and not entry.evaluates_again

    @property
    def key(self) -> str:
        """A short name of everything that the run's numbers depend on, the software apart."""
        rounding = ["together"] if self.together else []  # its last bits depend on its company
        return digest([self.configuration.key, self.seed, asdict(self.setting), *rounding])

    @property
    def text(self) -> str:
        """What messages call it."""
        return f"{self.configuration.optimizer} {self.configuration.text}, seed {self.seed}"

    def describe(self) -> Run:
        """The head of the run's line: its key and what it stands for."""
        return {
            "run": self.key,
            "configuration": self.configuration.key,
            "optimizer": self.configuration.optimizer,
            "settings": dict(self.configuration.settings),
            "seed": self.seed,
            **asdict(self.setting),
            "software": SOFTWARE,
            "code": dict(CODE),
        }


def run_task(task: Task, entry: Entry) -> Run:
    """Do one run on one thread, and keep of it what a file can hold.

    Its numbers are the same in whatever process and beside whatever other runs it is done: the number of threads
    changes the order of sums, and random numbers come from the state of the process, so in a process whose workers
    are threads the runs wait for each other.

    Args:
        task: What to run.
        entry: The optimizer as the registry knows it where the sweep was started; it travels with the task.

    Returns:
        The run's line. An exception of this optimizer is a `failed` run with its message, a loss that is not finite a
        `diverged` one; what would fail in every run, say a device that is not there, is raised.
    """
    setting, configuration = task.setting, task.configuration
    with alone_on_one_thread():
        registry.register(entry, replacing=True)
        data = load(setting.data, setting.device, setting.dtype)
        model = build_model(setting.model, data, seed=task.seed)
        try:
            with seeded(task.seed, data.device):  # a constructor may draw, too
                optimizer = registry.make(configuration.optimizer, model.parameters(), **configuration.settings)
            result = train(
                model,
                data,
                optimizer,
                epochs=setting.epochs,
                batch_size=setting.batch_size,
                seed=task.seed,
                progress=False,
                stream=streams.get(setting.stream),
                evaluate_on=setting.evaluate_on,
            )
        except Exception as error:
            return task.describe() | {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    return task.describe() | outcome(result)


def outcome(result: TrainingResult) -> Run:
    """What is kept of a run: its epochs column by column, and quantiles of the lengths of its steps."""
    lengths = torch.tensor([step.step_length for step in result.steps], dtype=torch.float64)
    lengths = lengths[lengths.isfinite()]
    quantiles = torch.quantile(lengths, torch.tensor(QUANTILES, dtype=torch.float64)).tolist() if len(lengths) else []
    end = f"not finite at step {result.diverged_at}" if result.diverged else ""
    return {
        "status": "diverged" if result.diverged else "ok",
        "error": end,
        "steps": len(result.steps),
        "max_step_length": quantiles[-1] if quantiles else None,
        "step_length_quantiles": quantiles,
        "history": {
            field: [_plain(getattr(record, field)) for record in result.epochs]
            for field in EpochRecord.__dataclass_fields__
        },
    }


def _plain(value: float) -> float | None:
    """A number that JSON has; it has none that is not finite."""
    return value if math.isfinite(value) else None


@lru_cache(maxsize=1)
def load(name: str, device: str, dtype: str) -> Dataset:
    """The data, kept for the next run in this process."""
    return load_dataset(name, device, getattr(torch, dtype))


def key_of(run: Run) -> str:
    """The key of the task that a line describes; another than the line's own where someone has changed the line.

    Raises:
        KeyError: It lacks something that a task has.
    """
    setting = {name: run[name] for name in Setting.__dataclass_fields__}
    rounding = ["together"] if run.get("together") else []
    return digest([digest([run["optimizer"], run["settings"]]), run["seed"], setting, *rounding])


def refuse_changed(path: str | Path, run: Run) -> None:
    """Raise unless the keys of a line are those of what the line says it is of."""
    try:
        settings = digest([run["optimizer"], run["settings"]])
        if run["software"] and (key_of(run), settings) == (run["run"], run["configuration"]):
            return
    except (KeyError, TypeError):
        pass
    raise ValueError(
        f"{path}: the line of run {run['run']} has been changed, its settings are not those that it was run with: "
        "delete that line, or use another store"
    )


@contextmanager
def alone_on_one_thread() -> Iterator[None]:
    """No other run in this process meanwhile, and one thread for PyTorch; afterwards as many as before."""
    with _one_run:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
