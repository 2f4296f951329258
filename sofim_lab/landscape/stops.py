"""Where optimizers stop: the points themselves, and what the ground is like there."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import pandas as pd
import torch
from torch import nn

from sofim_lab.curvature.operators import hessian_operator
from sofim_lab.curvature.spectrum import top_eigenpairs, trace
from sofim_lab.landscape.tree import Tree, norm, parameters, to
from sofim_lab.landscape.working_copy import working_copy
from sofim_lab.problems import Dataset, Split
from sofim_lab.training.race import Watch
from sofim_lab.training.result import StepRecord
from sofim_lab.training.train import Callback


@dataclass(frozen=True, eq=False)
class Stop:
    """A point at which a training run was stopped.

    Attributes:
        name: The optimizer.
        seed: The run's seed.
        step: After how many steps.
        tree: The point, on the CPU.
    """

    name: str
    seed: int
    step: int
    tree: Tree = field(repr=False)


class StopWatch:
    """Keeps the points of a race at which the runs are compared: hand it over as `watch`.

    Args:
        data: Its training images give the loss.
        loss_fn: Mean loss of logits and labels.
        level: A training loss: each run's first point at or below it is kept; None keeps last points alone.
        every: The loss is looked at after every so many steps.

    Raises:
        ValueError: level is not positive, or every < 1.

    Example:
        >>> from sofim_lab.problems import load_digits, mlp
        >>> from sofim_lab.training import race
        >>> digits = load_digits("cpu")
        >>> watch = StopWatch(digits, nn.CrossEntropyLoss(), level=1.0)
        >>> _ = race(lambda seed: mlp((64, 10), seed=seed, device="cpu"), digits, ["SOFIM"], epochs=1, watch=watch)
        >>> watch.last, watch.at_level
        ((Stop(name='SOFIM', seed=0, step=19),), (Stop(name='SOFIM', seed=0, step=10),))
    """

    def __init__(self, data: Dataset, loss_fn: nn.Module, *, level: float | None = None, every: int = 5) -> None:
        if level is not None and not level > 0:
            raise ValueError(f"level={level!r} must be a positive loss, or None")
        if every < 1:
            raise ValueError(f"every={every} must be 1 or more steps")
        self.level, self.every = level, every
        self._train, self._loss_fn = data.train, loss_fn
        self._runs: dict[tuple[str, int], tuple[list[int], nn.Module]] = {}
        self._first: dict[tuple[str, int], Stop] = {}

    def __call__(self, name: str, seed: int, model: nn.Module) -> Callback:
        """Start to watch a run; `race` calls it."""
        count = [0]
        self._runs[name, seed] = count, model
        self._first.pop((name, seed), None)

        def look(_: object) -> None:
            count[0] += 1
            if self.level is None or (name, seed) in self._first or count[0] % self.every:
                return
            if _loss(model, self._loss_fn, self._train) <= self.level:
                self._first[name, seed] = Stop(name, seed, count[0], to(parameters(model), "cpu"))

        return look

    @property
    def last(self) -> tuple[Stop, ...]:
        """Where each run ended."""
        ends = ((run, count[0], model) for run, (count, model) in self._runs.items())
        return tuple(Stop(*run, step, to(parameters(model), "cpu")) for run, step, model in ends)

    @property
    def at_level(self) -> tuple[Stop, ...]:
        """The first point of each run at or below the level; a run that never got there is left out."""
        return tuple(self._first[run] for run in self._runs if run in self._first)


def watch_all(*watches: Watch) -> Watch:
    """Several watchers of a race as one, e.g. `watch_all(RacePaths(), StopWatch(...))`.

    Args:
        watches: Each as `race` takes it.

    Example:
        >>> seen = []
        >>> watch = watch_all(lambda *run: seen.append, lambda *run: None)
        >>> watch("SOFIM", 0, nn.Linear(1, 1))("a step")
        >>> seen
        ['a step']
    """

    def watch(name: str, seed: int, model: nn.Module) -> Callback:
        callbacks = [callback for one in watches if (callback := one(name, seed, model)) is not None]

        def step(record: StepRecord) -> None:
            for callback in callbacks:
                callback(record)

        return step

    return watch


@dataclass(frozen=True)
class Ground:
    """What the ground is like at a stop.

    Attributes:
        name: The optimizer.
        seed: The run's seed.
        step: After how many steps.
        train_loss: On all training images.
        val_loss: On the validation images.
        val_accuracy: Likewise, a fraction.
        sharpness: λ_max of the Hessian of the training loss.
        trace: Its trace, estimated.
        trace_error: The standard error of that.
        norm: ‖w‖.
    """

    name: str
    seed: int
    step: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    sharpness: float
    trace: float
    trace_error: float
    norm: float


def survey(
    stops: Iterable[Stop], model: nn.Module, loss_fn: nn.Module, data: Dataset, *, probes: int = 30, tol: float = 1e-3
) -> pd.DataFrame:
    """Losses, sharpness and trace at each stop.

    Args:
        stops: Points of one architecture.
        model: The architecture; it is left as it is, and taken in evaluation mode.
        loss_fn: `nn.CrossEntropyLoss` or `nn.MSELoss`.
        data: Curvature is that of the loss on `train`; `val` is looked at for loss and accuracy alone.
        probes: See `trace`.
        tol: See `top_eigenpairs`; the error of λ_max is of the order of tol².

    Returns:
        One row a stop, in their order, with the fields of `Ground` as columns.

    Raises:
        ValueError: See `hessian_operator`.
        RuntimeError: See `top_eigenpairs`.
    """
    twin = working_copy(model).eval()
    rows = [vars(ground(stop, twin, loss_fn, data, probes=probes, tol=tol)) for stop in stops]
    return pd.DataFrame(rows, columns=[column.name for column in fields(Ground)])


def ground(stop: Stop, twin: nn.Module, loss_fn: nn.Module, data: Dataset, *, probes: int, tol: float) -> Ground:
    """What `survey` finds at one stop; twin is moved there."""
    stand_at(twin, stop.tree)
    H = hessian_operator(twin, loss_fn, data.train.x, data.train.y)
    total = trace(H, probes=probes)
    with torch.no_grad():
        right = (twin(data.val.x).argmax(1) == data.val.y).double().mean()
    return Ground(
        stop.name,
        stop.seed,
        stop.step,
        train_loss=_loss(twin, loss_fn, data.train),
        val_loss=_loss(twin, loss_fn, data.val),
        val_accuracy=float(right),
        sharpness=float(top_eigenpairs(H, tol=tol).values[0]),
        trace=total.value,
        trace_error=total.standard_error,
        norm=norm(stop.tree),
    )


def stand_at(model: nn.Module, tree: Tree) -> nn.Module:
    """Put a model's parameters at a point; the model itself is returned."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in tree:
                parameter.copy_(tree[name])
    return model


def _loss(model: nn.Module, loss_fn: nn.Module, split: Split) -> float:
    """Mean loss on a split; nan or inf as they are."""
    with torch.no_grad():
        return float(loss_fn(model(split.x), split.y))
