"""Many runs of one small model at once: their gradients in one pass, each with its own optimizer."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from sofim_lab.optim import registry
from sofim_lab.problems import Dataset, Stream, streams
from sofim_lab.problems.seeding import random_state, seeded
from sofim_lab.training.closures import LossFunction
from sofim_lab.training.progress import show_progress
from sofim_lab.training.race import OptimizerFactory
from sofim_lab.training.refusals import parts_of, refuse_bad_input, refuse_known, refuse_uncalled, seeds_of
from sofim_lab.training.result import EpochRecord, StepRecord, TrainingResult
from sofim_lab.training.stack import Stack
from sofim_lab.training.train import finite, record, settings_of, training


@dataclass
class _Run:
    """What a run has of its own."""

    model: nn.Module
    optimizer: Optimizer
    seed: int
    order: torch.Generator
    history: list[EpochRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    diverged_at: int | None = None


def train_many(
    model: Callable[[int], nn.Module],
    data: Dataset,
    runs: Sequence[tuple[OptimizerFactory, int]],
    *,
    epochs: int = 10,
    batch_size: int = 64,
    loss_fn: LossFunction = nn.functional.cross_entropy,
    stream: str | Stream = "shuffled",
    evaluate_on: Sequence[str] = ("train", "val"),
    progress: bool | None = None,
) -> tuple[TrainingResult, ...]:
    """Train one small model many times at once: other optimizers, other settings, other seeds.

    Each run is that of `train` with the same model, optimizer and seed, up to rounding: it has its own weights, order
    of batches and optimizer. Only the losses and gradients of all runs are computed in one pass (`torch.vmap`), which
    saves the overhead of small tensors. A run that diverges leaves the others as they are.

    Args:
        model: Makes the model of a seed, as for `race`: always of one architecture, without buffers or dropout.
        data: See `train`.
        runs: Constructor of the optimizer and seed of each, e.g. `[(SOFIM, 0), (SOFIM, 1)]`. The optimizers step on
            gradients, evaluate them once a step, and draw no random numbers.
        epochs: Passes over the training samples, 0 or more.
        batch_size: Samples a step, 1 or more.
        loss_fn: Mean loss of logits and labels, a scalar.
        stream: How the batches of an epoch are drawn, see `train`.
        evaluate_on: The parts of the data that are evaluated after each epoch.
        progress: Show a bar; None shows it except while a lesson's report is written.

    Returns:
        A result for each run, in their order. `seconds` is a run's share of the time of all.

    Raises:
        ValueError: An optimizer or the model is none of those above, or `train` would refuse it.

    Example:
        >>> from sofim_lab import SOFIM
        >>> from sofim_lab.problems import load_digits, mlp
        >>> make = lambda seed: mlp((64, 10), seed=seed, device="cpu")
        >>> field = [(SOFIM, seed) for seed in range(8)]
        >>> results = train_many(make, load_digits("cpu"), field, epochs=1, progress=False)
        >>> len(results), min(one.final.val_accuracy for one in results) > 0.5
        (8, True)
    """
    if isinstance(model, nn.Module):
        raise ValueError("model must make a model from a seed, not be one: e.g. lambda seed: mlp(seed=seed)")
    if not runs:
        raise ValueError(f"runs={runs!r} must hold at least one constructor with its seed, e.g. [(SOFIM, 0)]")
    parts, order_of = parts_of(evaluate_on), streams.get(stream)
    crowd: list[_Run] = []
    for pair in runs:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ValueError(f"runs hold {pair!r}: each must be a constructor with its seed, e.g. (SOFIM, 0)")
        make, (seed,) = pair[0], seeds_of([pair[1]])
        one = model(seed)
        refuse_known(one, [run.model for run in crowd])
        with seeded(seed, data.device):
            optimizer = make(one.parameters())
        _refuse_optimizer(optimizer)
        refuse_bad_input(one, data, optimizer, epochs, batch_size, parts)
        crowd.append(_Run(one, optimizer, seed, torch.Generator().manual_seed(seed)))
    stack, alive, seconds = Stack([run.model for run in crowd]), list(crowd), 0.0
    _refuse_model(stack, len(crowd), data, loss_fn)
    for run in crowd:
        run.history.append(record(run.model, data, loss_fn, parts, epoch=0, seconds=0.0))
        run.diverged_at = None if finite(run.history[0], parts) else 0
    bars = tqdm(total=epochs, desc=f"{len(crowd)} runs", unit="epoch", disable=not show_progress(progress), leave=False)
    with bars as bar, seeded(0, data.device):  # nobody should draw; who does is found out
        for epoch in range(1, epochs + 1):
            left = [run for run in alive if run.diverged_at is None]
            if not left:
                break
            if len(left) < len(alive):
                stack, alive = Stack([run.model for run in left]), left
            started = time.perf_counter()
            with training(stack.model):
                _epoch(stack, alive, data, loss_fn, epoch, [order_of(data.train.y, batch_size, r.order) for r in alive])
            seconds += (time.perf_counter() - started) / len(alive)
            for run in alive:
                if run.diverged_at is None:
                    known = {"epoch": epoch, "seconds": seconds, "gradient_evaluations": float(epoch)}
                    run.history.append(record(run.model, data, loss_fn, parts, **known))
                    run.diverged_at = None if finite(run.history[-1], parts) else len(run.steps)
            bar.update()
    common = {"epochs": epochs, "batch_size": batch_size, "stream": order_of.name}
    return tuple(
        TrainingResult(
            name=type(run.optimizer).__name__,
            optimizer=type(run.optimizer).__name__,
            settings=settings_of(run.optimizer) | common,
            seed=run.seed,
            device=data.device.type,
            steps=tuple(run.steps),
            epochs=tuple(run.history),
            diverged_at=run.diverged_at,
        )
        for run in crowd
    )


def _epoch(
    stack: Stack, runs: list[_Run], data: Dataset, loss_fn: LossFunction, epoch: int, batches: list[Iterator[Tensor]]
) -> None:
    """One epoch of all runs; those that diverge in it wait for its end."""
    random = random_state(data.device)
    for chosen in zip(*batches, strict=True):
        rows = torch.stack(chosen)
        losses = stack.differentiate(data.train.x[rows], data.train.y[rows], loss_fn)
        before = stack.numbers.clone()
        values = [
            _step(stack, place, run, loss, value) if run.diverged_at is None else math.nan
            for place, (run, loss, value) in enumerate(zip(runs, losses, losses.tolist(), strict=True))
        ]
        lengths = torch.linalg.vector_norm(stack.numbers - before, dim=1).tolist()
        for run, value, length in zip(runs, values, lengths, strict=True):
            if run.diverged_at is None:
                good = math.isfinite(value)
                run.steps.append(StepRecord(len(run.steps) + 1, epoch, value, length if good else 0.0))
                run.diverged_at = None if good else len(run.steps)
    if not all(map(torch.equal, random_state(data.device), random)):
        raise ValueError("an optimizer draws random numbers, which runs would take from each other: use train")
    for place, run in enumerate(runs):
        if not stack.holds(place):
            raise ValueError(f"{type(run.optimizer).__name__} replaces the parameters' memory: use train")


def _step(stack: Stack, place: int, run: _Run, loss: Tensor, value: float) -> float:
    """One step of one run; the loss before it, nan where its derivatives are not finite. See `train`."""
    calls: list[None] = []

    def closure() -> Any:  # a loss, which torch's stubs take for a number
        if calls:
            raise ValueError(f"{type(run.optimizer).__name__} evaluates again within a step: use train")
        calls.append(None)
        stack.hand_over(place)
        return loss

    if not math.isfinite(value):
        return value
    try:
        run.optimizer.step(closure)
    except FloatingPointError:
        return math.nan
    refuse_uncalled(run.optimizer, calls)
    return value


def _refuse_optimizer(optimizer: Optimizer) -> None:
    """Only what steps on a gradient can be given one that was computed beforehand."""
    kind, name = registry.closure_kind(optimizer), type(optimizer).__name__
    if kind != "gradient":
        raise ValueError(
            f"{name} wants a closure of the kind {kind!r}; many runs at once have gradients only: use train"
        )


def _refuse_model(stack: Stack, runs: int, data: Dataset, loss_fn: LossFunction) -> None:
    """Try one sample: some models cannot be evaluated many at once."""
    x, y = data.train.x[:1].expand(runs, 1, -1), data.train.y[:1].expand(runs, 1)
    try:
        with training(stack.model):
            stack.differentiate(x, y, loss_fn)
    except RuntimeError as error:
        raise ValueError(
            f"this model's runs cannot be computed in one pass ({str(error).splitlines()[0]}): use train"
        ) from error
