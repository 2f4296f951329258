"""The training loop: mini-batches, one optimizer, one result."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from sofim_lab.curvature.passes import BackwardPasses
from sofim_lab.optim import NotFiniteError
from sofim_lab.problems import Dataset, Split, Stream, streams
from sofim_lab.problems.seeding import seeded
from sofim_lab.training.closures import LossFunction, make_closure
from sofim_lab.training.evaluate import evaluate, mode
from sofim_lab.training.point import point_of
from sofim_lab.training.progress import show_progress
from sofim_lab.training.refusals import PARTS, parts_of, refuse_bad_input, refuse_uncalled, seeds_of
from sofim_lab.training.result import EpochRecord, StepRecord, TrainingResult

Callback = Callable[[StepRecord], object]


def train(
    model: nn.Module,
    data: Dataset,
    optimizer: Optimizer,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    seed: int = 0,
    loss_fn: LossFunction = nn.functional.cross_entropy,
    name: str | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
    stream: str | Stream = "shuffled",
    evaluate_on: Sequence[str] = ("train", "val"),
) -> TrainingResult:
    """Train a classifier in place and keep what happened.

    Each epoch visits every training sample once, in an order that depends on stream and `seed` alone; the last batch
    may be smaller. Steps are taken in training mode and evaluated in evaluation mode: a model in evaluation mode is put
    into the other for the run; parts of a model in training mode that someone has frozen stay in evaluation mode.

    A loss that is no longer finite ends the run: the result is marked `diverged` at that step. Where an optimizer
    refuses the derivatives of a finite loss (FloatingPointError), the step's loss is given as NaN.

    Args:
        model: Maps rows (n, d) to logits (n, classes); its parameters are changed.
        data: `train` is trained on.
        optimizer: A `torch.optim.Optimizer` over the model's parameters. It is given the closure that it needs: one
            that calls backward or, for `Newton` and others, one that returns the loss alone, or the losses of the
            samples (see `sofim_lab.optim.registry.closure_kind`).
        epochs: Passes over the training samples, 0 or more.
        batch_size: Samples a step, 1 or more.
        seed: Seed of the order of the samples, and of random numbers that model and optimizer draw.
        loss_fn: Mean loss of logits and labels, a scalar.
        name: Name of the run; by default the optimizer's class name.
        callback: Is shown each step after it was taken, e.g. `PathRecorder(model).record`. What it returns is ignored,
            what it raises ends the run, and its time does not count.
        progress: Show a bar; None shows it except while a lesson's report is written.
        stream: How the batches of an epoch are drawn: a name or one of `sofim_lab.problems.streams`.
        evaluate_on: The parts of the data, of `train`, `val` and `test`, that are evaluated before the first step and
            after each epoch.

    Returns:
        `TrainingResult` with every step and every epoch.

    Raises:
        ValueError: epochs, batch_size or evaluate_on out of range; an unknown stream; model and data of another device,
            dtype or shape; an optimizer over other parameters than the model's; an empty part of the data, samples with
            nan or inf, labels out of range; an optimizer whose step does not call its closure.

    Example:
        >>> from sofim_lab import SOFIM
        >>> from sofim_lab.problems import load_digits, mlp
        >>> model = mlp((64, 10), device="cpu")
        >>> result = train(model, load_digits("cpu"), SOFIM(model.parameters()), epochs=2, progress=False)
        >>> result.final.val_accuracy > 0.5
        True
    """
    parts, order_of = parts_of(evaluate_on), streams.get(stream)
    refuse_bad_input(model, data, optimizer, epochs, batch_size, parts)
    (seed,) = seeds_of([seed])  # also one of NumPy, which PyTorch does not take
    order = torch.Generator().manual_seed(seed)
    label = name or type(optimizer).__name__
    passes, seconds = BackwardPasses(), 0.0
    steps: list[StepRecord] = []
    history = [record(model, data, loss_fn, parts, epoch=0, seconds=0.0)]
    diverged_at = None if finite(history[0], parts) else 0
    bars = tqdm(total=epochs, desc=label, unit="epoch", disable=not show_progress(progress), leave=False)
    with bars as bar, seeded(seed, data.device), training(model):
        for epoch in range(1, epochs + 1):
            if diverged_at is not None:
                break
            started, watched = time.perf_counter(), 0.0
            for chosen in order_of(data.train.y, batch_size, order):
                batch = Split(data.train.x[chosen], data.train.y[chosen])
                loss, length = _step(model, optimizer, loss_fn, batch, passes)
                steps.append(StepRecord(len(steps) + 1, epoch, loss, length))
                if not math.isfinite(loss):
                    diverged_at = len(steps)
                    break
                if callback is not None:
                    paused = time.perf_counter()
                    callback(steps[-1])
                    watched += time.perf_counter() - paused
            seconds += time.perf_counter() - started - watched
            if diverged_at is None:
                spent = {"seconds": seconds, "gradient_evaluations": passes.samples / len(data.train)}
                history.append(record(model, data, loss_fn, parts, epoch=epoch, **spent))
                diverged_at = None if finite(history[-1], parts) else len(steps)
            bar.set_postfix(loss=f"{getattr(history[-1], f'{parts[0]}_loss'):.3g}", refresh=False)
            bar.update()
    return TrainingResult(
        name=label,
        optimizer=type(optimizer).__name__,
        settings=settings_of(optimizer) | {"epochs": epochs, "batch_size": batch_size, "stream": order_of.name},
        seed=seed,
        device=data.device.type,
        steps=tuple(steps),
        epochs=tuple(history),
        diverged_at=diverged_at,
    )


def training(model: nn.Module) -> AbstractContextManager[None]:
    """Training mode during the steps; a model that is in it keeps the parts that someone has frozen."""
    return nullcontext() if model.training else mode(model, training=True)


def _step(
    model: nn.Module, optimizer: Optimizer, loss_fn: LossFunction, batch: Split, passes: BackwardPasses
) -> tuple[float, float]:
    """One optimizer step: the loss before it and its length ‖Δw‖; no step is taken from a loss that is not finite."""
    losses: list[float] = []

    def seen(loss: torch.Tensor) -> None:
        losses.append(float(loss))
        # Only the first loss can end the run: a line search may try a point that is too far and come back.
        if len(losses) == 1 and not math.isfinite(losses[0]):
            raise NotFiniteError(f"the loss is {losses[0]}")

    before = point_of(model.parameters())
    try:
        optimizer.step(make_closure(model, optimizer, loss_fn, batch.x, batch.y, seen, passes))
    except FloatingPointError:  # the loss or, behind a finite one, its derivatives; no parameter has been changed
        if not losses:
            raise
        return (math.nan if math.isfinite(losses[0]) else losses[0]), 0.0
    refuse_uncalled(optimizer, losses)
    if any(p.grad is not None and p.grad.requires_grad for p in model.parameters()):
        optimizer.zero_grad()  # a gradient that can be differentiated again holds its whole graph
    after = point_of(model.parameters())
    return losses[0], float(torch.linalg.vector_norm(after - before))


def record(model: nn.Module, data: Dataset, loss_fn: LossFunction, parts: Sequence[str], **known: float) -> EpochRecord:
    """The state of a run: evaluated on some parts of the data, nan on the others."""
    found = dict.fromkeys(PARTS, (math.nan, math.nan))
    found |= {part: evaluate(model, getattr(data, part), loss_fn) for part in parts}
    values: dict[str, Any] = dict(known)
    for part, (loss, share) in found.items():
        values |= {f"{part}_loss": loss, f"{part}_accuracy": share}
    return EpochRecord(**values)


def finite(state: EpochRecord, parts: Sequence[str]) -> bool:
    """Whether the losses that were evaluated are numbers."""
    return all(math.isfinite(getattr(state, f"{part}_loss")) for part in parts)


def settings_of(optimizer: Optimizer) -> dict[str, object]:
    """The hyperparameters in use, those of the first group."""
    return {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
