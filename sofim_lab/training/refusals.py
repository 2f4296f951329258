"""What `train`, `train_many`, races and sweeps refuse before anything is changed."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sofim_lab.problems import Dataset
from sofim_lab.problems.arguments import whole_number as whole_number  # the rooms above take it from here
from sofim_lab.training.evaluate import mode

PARTS = ("train", "val", "test")


def refuse_bad_input(
    model: nn.Module, data: Dataset, optimizer: Optimizer, epochs: int, batch_size: int, evaluate_on: Sequence[str]
) -> None:
    """Say what is wrong before anything is changed."""
    if whole_number("epochs", epochs) < 0:
        raise ValueError(f"epochs={epochs} must be 0 or more")
    if whole_number("batch_size", batch_size) < 1:
        raise ValueError(f"batch_size={batch_size} must be 1 or more; {len(data.train)} is one step an epoch")
    if isinstance(evaluate_on, str) or not evaluate_on or not set(evaluate_on) <= set(PARTS):
        raise ValueError(f"evaluate_on={evaluate_on!r} must name at least one of {', '.join(PARTS)}: ('train', 'val')")
    for part in {"train", *evaluate_on}:
        if not len(getattr(data, part)):
            raise ValueError(f"data.{part} is empty: it must hold samples to train on, or be left out of evaluate_on")
        _refuse_bad_samples(data, part)
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


def refuse_known(model: nn.Module, others: Sequence[nn.Module]) -> None:
    """A run that began where another one has ended, or beside it in the same memory, would pass for a good one."""
    if any(model is other for other in others):
        raise ValueError("model gave the same module twice: it must make a new one, e.g. lambda seed: mlp(seed=seed)")


def refuse_uncalled(optimizer: Optimizer, calls: Sequence[object]) -> None:
    """Without its closure a step knows neither loss nor gradient."""
    if not calls:
        raise ValueError(f"{type(optimizer).__name__}.step(closure) must call closure(), which computes the gradients")


def parts_of(evaluate_on: Any) -> Any:
    """The parts of the data, once and for all; what is none of that is left to `refuse_bad_input`."""
    return tuple(evaluate_on) if isinstance(evaluate_on, Iterable) and not isinstance(evaluate_on, str) else evaluate_on


def seeds_of(seeds: Iterable[Any]) -> tuple[int, ...]:
    """All seeds, once and for all: a generator would be empty the second time."""
    listed = tuple(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else ()
    if not listed:
        raise ValueError(f"seeds={seeds!r} must hold at least one seed, e.g. seeds=(0, 1, 2)")
    found = tuple(whole_number("seed", seed) for seed in listed)
    for seed in found:
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed={seed} must lie between -2**63 and 2**64 - 1, PyTorch's range: e.g. seeds=(0, 1)")
    return found


def _refuse_bad_samples(data: Dataset, part: str) -> None:
    """Numbers that are none would pass for a divergence, and labels out of range for a crash of the device."""
    x, y = getattr(data, part).x, getattr(data, part).y
    broken = ~torch.isfinite(x).all(1)
    if broken.any():
        raise ValueError(
            f"data.{part}.x holds nan or inf in {int(broken.sum())} samples, first in {int(broken.nonzero()[0])}: "
            f"leave them out or fill them in"
        )
    strange = (y < 0) | (y >= data.classes)
    if strange.any():
        first = int(strange.nonzero()[0])
        raise ValueError(
            f"data.{part}.y holds the label {int(y[first])} at {first}: with {data.classes} classes they are "
            f"0 to {data.classes - 1}"
        )


def _refuse_misfit(model: nn.Module, data: Dataset) -> None:
    """Try the model on one sample: its inputs and outputs have to fit the data."""
    length, classes = data.train.x.shape[1], data.classes
    fitting = f"e.g. mlp(({length}, 32, {classes}))"
    with torch.no_grad(), mode(model, training=False):
        try:
            logits = model(data.train.x[:1])
        except RuntimeError as error:
            raise ValueError(
                f"the model does not take samples of {length} numbers ({str(error).splitlines()[0]}): "
                f"its first layer must have {length} inputs, {fitting}"
            ) from error
    if logits.ndim != 2 or logits.shape[1] < classes:
        raise ValueError(
            f"the model returns {tuple(logits.shape)} for one sample; {classes} logits are needed, "
            f"one for each class, {fitting}"
        )
