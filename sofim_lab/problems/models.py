"""Small networks for the lessons."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from sofim_lab.problems.device import resolve_device

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
        ValueError: Fewer than two sizes, a size below one, an unknown activation or device.

    Example:
        >>> model = mlp((64, 32, 10), device="cpu")
        >>> sum(p.numel() for p in model.parameters())
        2410
    """
    widths = [int(size) for size in sizes]
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"sizes={tuple(sizes)!r} must hold at least two widths of one or more, e.g. (64, 64, 10)")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
    place = resolve_device(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1]).to(device=place, dtype=dtype)
