"""The training loop: mini-batches, one optimizer, one result."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector
from torch.optim import Optimizer
from tqdm.auto import tqdm

from sofim_lab.optim._errors import NotFiniteError
from sofim_lab.problems import CLASSES, Digits, Split
from sofim_lab.training.closures import LossFunction, make_closure
from sofim_lab.training.progress import show_progress
from sofim_lab.training.result import EpochRecord, StepRecord, TrainingResult

Callback = Callable[[StepRecord], object]


def train(
    model: nn.Module,
    data: Digits,
    optimizer: Optimizer,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    seed: int = 0,
    loss_fn: LossFunction = nn.functional.cross_entropy,
    name: str | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> TrainingResult:
    """Train a classifier in place and keep what happened.

    Each epoch visits every training image once, in an order that depends on `seed` alone; the last batch may be
    smaller. A loss that is no longer finite ends the run: the result is marked `diverged` at that step. Where an
    optimizer refuses the derivatives of a finite loss (FloatingPointError), the step's loss is given as NaN.

    Args:
        model: Maps images (n, 64) to logits (n, 10); its parameters are changed.
        data: `train` is trained on; `train` and `val` are evaluated after each epoch.
        optimizer: A `torch.optim.Optimizer` over the model's parameters. It is given the closure that it needs: one
            that calls backward or, for `Newton` and others, one that returns the loss alone, or the losses of the
            samples (see `sofim_lab.optim.registry.closure_kind`).
        epochs: Passes over the training images, 0 or more.
        batch_size: Images a step, 1 or more.
        seed: Seed of the order of the images, and of random numbers that model and optimizer draw.
        loss_fn: Mean loss of logits and labels, a scalar.
        name: Name of the run; by default the optimizer's class name.
        callback: Is shown each step after it was taken, e.g. `PathRecorder(model).record`. What it returns is ignored,
            what it raises ends the run, and its time does not count.
        progress: Show a bar; None shows it except while a lesson's report is written.

    Returns:
        `TrainingResult` with every step and every epoch.

    Raises:
        ValueError: epochs or batch_size out of range; model and data of another device, dtype or shape; an optimizer
            over other parameters than the model's.

    Example:
        >>> from sofim_lab import SOFIM
        >>> from sofim_lab.problems import load_digits, mlp
        >>> model = mlp((64, 10), device="cpu")
        >>> result = train(model, load_digits("cpu"), SOFIM(model.parameters()), epochs=2, progress=False)
        >>> result.final.val_accuracy > 0.5
        True
    """
    _refuse_bad_input(model, data, optimizer, epochs, batch_size)
    order = torch.Generator().manual_seed(seed)
    label = name or type(optimizer).__name__
    steps: list[StepRecord] = []
    history = [_evaluate(model, data, loss_fn, epoch=0, seconds=0.0)]
    diverged_at = None if _finite(history[0]) else 0
    seconds = 0.0
    bars = tqdm(total=epochs, desc=label, unit="epoch", disable=not show_progress(progress), leave=False)
    with bars as bar, _random_numbers(seed, data.device):
        for epoch in range(1, epochs + 1):
            if diverged_at is not None:
                break
            started, watched = time.perf_counter(), 0.0
            for images, labels in _batches(data.train, batch_size, order):
                loss, length = _step(model, optimizer, loss_fn, images, labels)
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
                history.append(_evaluate(model, data, loss_fn, epoch, seconds))
                diverged_at = None if _finite(history[-1]) else len(steps)
            bar.set_postfix(loss=f"{history[-1].train_loss:.3g}", refresh=False)
            bar.update()
    return TrainingResult(
        name=label,
        optimizer=type(optimizer).__name__,
        settings=_settings(optimizer) | {"epochs": epochs, "batch_size": batch_size},
        seed=seed,
        device=data.device.type,
        steps=tuple(steps),
        epochs=tuple(history),
        diverged_at=diverged_at,
    )


@contextmanager
def _random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout and optimizers that draw (AdaHessian) depend on the seed alone, and whoever draws next on neither."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _step(
    model: nn.Module, optimizer: Optimizer, loss_fn: LossFunction, images: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """One optimizer step: the loss before it and its length ‖Δw‖; no step is taken from a loss that is not finite."""
    losses: list[float] = []

    def seen(loss: torch.Tensor) -> None:
        losses.append(float(loss))
        # Only the first loss can end the run: a line search may try a point that is too far and come back.
        if len(losses) == 1 and not math.isfinite(losses[0]):
            raise NotFiniteError(f"the loss is {losses[0]}")

    before = parameters_to_vector(model.parameters()).detach()
    try:
        optimizer.step(make_closure(model, optimizer, loss_fn, images, labels, seen))
    except FloatingPointError:  # the loss or, behind a finite one, its derivatives; no parameter has been changed
        if not losses:
            raise
        return (math.nan if math.isfinite(losses[0]) else losses[0]), 0.0
    if any(p.grad is not None and p.grad.requires_grad for p in model.parameters()):
        optimizer.zero_grad()  # a gradient that can be differentiated again holds its whole graph
    after = parameters_to_vector(model.parameters()).detach()
    return losses[0], float(torch.linalg.vector_norm(after - before))


def _batches(split: Split, size: int, order: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The images once, shuffled on the CPU, so that every device sees the same order."""
    for chosen in torch.randperm(len(split), generator=order).to(split.y.device).split(size):
        yield split.x[chosen], split.y[chosen]


@torch.no_grad()
def _evaluate(model: nn.Module, data: Digits, loss_fn: LossFunction, epoch: int, seconds: float) -> EpochRecord:
    """Losses and accuracies on the training and validation images, in evaluation mode."""
    was_training = model.training
    model.eval()
    scores = []
    for split in (data.train, data.val):
        logits = model(split.x)
        scores.append((float(loss_fn(logits, split.y)), float((logits.argmax(1) == split.y).double().mean())))
    model.train(was_training)
    (train_loss, train_accuracy), (val_loss, val_accuracy) = scores
    return EpochRecord(epoch, train_loss, val_loss, train_accuracy, val_accuracy, seconds)


def _finite(record: EpochRecord) -> bool:
    """Whether both losses are numbers."""
    return math.isfinite(record.train_loss) and math.isfinite(record.val_loss)


def _settings(optimizer: Optimizer) -> dict[str, object]:
    """The hyperparameters in use, those of the first group."""
    return {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}


def _refuse_bad_input(model: nn.Module, data: Digits, optimizer: Optimizer, epochs: int, batch_size: int) -> None:
    """Say what is wrong before anything is changed."""
    if epochs < 0:
        raise ValueError(f"epochs={epochs} must be 0 or more")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be 1 or more; {len(data.train)} is one step an epoch")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    places = {str(parameter.device) for parameter in parameters}
    if places != {str(data.device)}:
        found = ", ".join(sorted(places)) or "no parameters at all"
        raise ValueError(f"model on {found}, data on {data.device}: build both with the same device=...")
    dtypes = {parameter.dtype for parameter in parameters}
    if dtypes != {data.train.x.dtype}:
        found = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise ValueError(f"model of {found}, data of {data.train.x.dtype}: build both with the same dtype=...")
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(parameter) in held for parameter in parameters):
        name = type(optimizer).__name__
        raise ValueError(
            f"the optimizer holds no parameter of this model: build it with {name}(model.parameters(), ...)"
        )
    _refuse_misfit(model, data)


def _refuse_misfit(model: nn.Module, data: Digits) -> None:
    """Try the model on one image: its inputs and outputs have to fit the data."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(data.train.x[:1])
    except RuntimeError as error:
        pixels = data.train.x.shape[1]
        raise ValueError(
            f"the model does not take images of {pixels} pixels ({str(error).splitlines()[0]}): "
            f"its first layer must have {pixels} inputs, e.g. mlp(({pixels}, 32, {CLASSES}))"
        ) from error
    finally:
        model.train(was_training)
    if logits.ndim != 2 or logits.shape[1] < CLASSES:
        raise ValueError(
            f"the model returns {tuple(logits.shape)} for one image; {CLASSES} logits are needed, "
            f"one for each label, e.g. mlp((64, 32, {CLASSES}))"
        )
