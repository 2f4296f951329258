"""Networks by name, and the fully connected one of the lessons."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from sofim_lab.problems.arguments import floating_type, whole_number
from sofim_lab.problems.conv_models import cnn, resnet9
from sofim_lab.problems.dataset import Dataset
from sofim_lab.problems.device import resolve_device
from sofim_lab.problems.seeding import seeded

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}


def mlp(
    sizes: Sequence[int] = (64, 64, 10),
    activation: str = "tanh",
    *,
    seed: int = 0,
    device: str | torch.device = "auto",
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """A fully connected network whose starting weights depend on the seed alone.

    Layer l computes a(W_l x + b_l), the last one without the activation a, so that the outputs are logits.

    Args:
        sizes: Widths from the inputs to the outputs, at least two; (64, 10) is softmax regression on the digits.
        activation: `tanh`, `relu`, `gelu` or `sigmoid`.
        seed: Seed of the initial weights, drawn on the CPU: every device starts from the same point. The global
            random state is left as it was.
        device: `auto`, `cpu`, `cuda`, `mps` or a `torch.device`.
        dtype: Floating type of the parameters.

    Returns:
        `nn.Sequential` that maps (n, sizes[0]) to (n, sizes[-1]).

    Raises:
        ValueError: Fewer than two sizes, a size that is no whole number or below one, an unknown activation or device,
            a dtype that is no floating type.

    Example:
        >>> model = mlp((64, 32, 10), device="cpu")
        >>> sum(p.numel() for p in model.parameters())
        2410
    """
    widths = [whole_number("a width in sizes", size) for size in sizes]
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"sizes={tuple(sizes)!r} must hold at least two widths of one or more, e.g. (64, 64, 10)")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
    place, dtype = resolve_device(device), floating_type(dtype)
    with seeded(seed):
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1]).to(device=place, dtype=dtype)


@dataclass(frozen=True)
class ModelEntry:
    """A model as sweeps, benchmarks and tables need to know it.

    Attributes:
        title: What figures call it.
        build: From shape of a sample and number of classes, and `seed`, `device` and `dtype` by name, to the model.
    """

    title: str
    build: Callable[..., nn.Module]


def _logreg(shape: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    return mlp((math.prod(shape), classes), **options)


def _mlp(shape: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    return mlp((math.prod(shape), 64, 64, classes), **options)


MODELS: dict[str, ModelEntry] = {
    "logreg": ModelEntry("softmax regression", _logreg),
    "mlp": ModelEntry("MLP, two hidden layers of 64", _mlp),
    "cnn": ModelEntry("small CNN", cnn),
    "resnet9": ModelEntry("ResNet-9", resnet9),
}


def build_model(
    name: str,
    data: Dataset,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    **options: object,
) -> nn.Module:
    """A model that fits a data set, by its name.

    Args:
        name: `logreg` (softmax regression, convex), `mlp` (two hidden tanh layers of 64), `cnn` or `resnet9`.
        data: What it shall classify; rows (n, d) become logits (n, classes).
        seed: Seed of the initial weights, drawn on the CPU.
        device: Where it goes; by default where the data are.
        dtype: Floating type of the parameters; by default that of the data.
        **options: What the builder takes besides, e.g. `width=16` for `resnet9`.

    Returns:
        The model in training mode.

    Raises:
        ValueError: There is none of that name, or it needs images and the samples are none.

    Example:
        >>> from sofim_lab.problems import load_digits
        >>> model = build_model("mlp", load_digits("cpu"))
        >>> [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
        [(64, 64), (64, 64), (10, 64)]
    """
    if name not in MODELS:
        raise ValueError(f"no model is called {name!r}: there are {', '.join(MODELS)}")
    place = data.device if device is None else device
    options = {"seed": seed, "device": place, "dtype": dtype or data.train.x.dtype, **options}
    return MODELS[name].build(data.shape, data.classes, **options)
