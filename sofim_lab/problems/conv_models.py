"""Convolutional networks: a small one, and a ResNet of nine layers. Both fold rows back into images."""

import torch
from torch import Tensor, nn

from sofim_lab.problems.arguments import floating_type, whole_number
from sofim_lab.problems.device import resolve_device
from sofim_lab.problems.seeding import seeded

_LEAST = 8  # three poolings of two halve an image three times


def cnn(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 16,
    seed: int = 0,
    device: str | torch.device = "auto",
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU and 2×2 max pooling, then one linear layer; no batch normalisation.

    Args:
        shape: Channels, height and width of an image, 8 pixels a side or more.
        classes: How many logits.
        width: Channels after the first convolution; the second has twice as many.
        seed: Seed of the initial weights, drawn on the CPU; the global random state is left as it was.
        device: See `resolve_device`.
        dtype: Floating type of the parameters.

    Returns:
        `nn.Sequential` that maps rows (n, channels·height·width) to (n, classes).

    Raises:
        ValueError: The shape is no image's, width is no whole number or below 1, or dtype is no floating type.

    Example:
        >>> model = cnn((1, 8, 8), 10, device="cpu")
        >>> model(torch.zeros(5, 64)).shape, sum(p.numel() for p in model.parameters())
        (torch.Size([5, 10]), 6090)
    """
    channels, height, side = _checked(shape, width, "cnn")
    place, dtype = resolve_device(device), floating_type(dtype)
    with seeded(seed):
        model = nn.Sequential(
            nn.Unflatten(1, shape),
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (side // 4), classes),
        )
    return model.to(device=place, dtype=dtype)


def resnet9(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    seed: int = 0,
    device: str | torch.device = "auto",
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Eight convolutions and a linear layer, for 32×32 colour images: blocks of convolution, BatchNorm and ReLU.

        block(w) → block(2w), pool → residual(2w) → block(4w), pool → block(8w), pool → residual(8w)
        → max over the image → linear

    A residual part is x + block(block(x)). BatchNorm makes the samples of a batch see each other in training mode.

    Args:
        shape: As for `cnn`; so are classes, seed, device and dtype.
        classes: Number of logits.
        width: w; 64 gives 6.6 million parameters.
        seed: Of the weights.
        device: Where they go.
        dtype: Their type.

    Returns:
        Rows to logits, as `cnn`.

    Raises:
        ValueError: As `cnn` does.

    Example:
        >>> model = resnet9((3, 32, 32), 10, width=4, device="cpu")
        >>> model(torch.zeros(2, 3072)).shape
        torch.Size([2, 10])

    References:
        K. He et al., 2015, arXiv 1512.03385 (residual parts). D. Page, 2018, "How to train your ResNet" (this layout).
    """
    channels = _checked(shape, width, "resnet9")[0]
    place, dtype = resolve_device(device), floating_type(dtype)
    with seeded(seed):
        model = nn.Sequential(
            nn.Unflatten(1, shape),
            _block(channels, width),
            _block(width, 2 * width, pool=True),
            Residual(2 * width),
            _block(2 * width, 4 * width, pool=True),
            _block(4 * width, 8 * width, pool=True),
            Residual(8 * width),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(8 * width, classes),
        )
    return model.to(device=place, dtype=dtype)


class Residual(nn.Module):
    """x + block(block(x)), with as many channels throughout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_block(channels, channels), _block(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, channels, height, width) to as many."""
        return x + self.body(x)


def _block(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU, perhaps 2×2 max pooling; BatchNorm's shift makes a bias of its own needless."""
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


def _checked(shape: tuple[int, ...], width: int, owner: str) -> tuple[int, int, int]:
    """The shape, if it is that of an image which is large enough."""
    if whole_number("width", width) < 1:
        raise ValueError(f"width={width!r} must be 1 or more")
    if len(shape) != 3 or min(shape[1:]) < _LEAST:
        raise ValueError(
            f"{owner} needs images, channels × height × width with {_LEAST} pixels a side or more, and samples of "
            f"shape {tuple(shape)} are none: choose logreg or mlp"
        )
    channels, height, side = shape
    return channels, height, side
