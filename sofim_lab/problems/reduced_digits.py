"""Digits in a few numbers each, for networks so small that their curvature matrices can be looked at."""

import torch

from sofim_lab.problems.arguments import floating_type
from sofim_lab.problems.dataset import Split
from sofim_lab.problems.device import resolve_device
from sofim_lab.problems.digits import CLASSES, PIXELS, load_digits


def reduced_digits(
    n: int = 120, features: int = 8, device: str | torch.device = "auto", dtype: torch.dtype = torch.float64
) -> Split:
    """The first n training digits in their first principal components, each scaled to variance one.

        x = diag(s)⁻¹ Vᵀ (image − mean)

    with the leading right singular vectors V of all centred training images and the standard deviations s along them.

    Args:
        n: How many images, 1 to 1,197.
        features: How many components, 1 to 60.
        device: `auto`, `cpu`, `cuda`, `mps` or a `torch.device`.
        dtype: Floating type of the result; the components are computed in float64.

    Returns:
        `Split` with `x` of shape (n, features) and `y` of shape (n,).

    Raises:
        ValueError: n or features out of range; the device does not exist here, or dtype is no floating type.

    Example:
        >>> reduced_digits(n=50, features=3, device="cpu").x.shape
        torch.Size([50, 3])
    """
    floating_type(dtype)
    digits = load_digits("cpu", torch.float64).train
    for name, value, most in (("n", n, len(digits)), ("features", features, PIXELS - 4)):
        if not 1 <= value <= most:
            raise ValueError(f"{name}={value} must lie in 1 … {most}")
    mean, rows, std = principal_components(digits.x, features)
    x = ((digits.x - mean) @ rows.mT / std)[:n]
    place = resolve_device(device)
    return Split(x.to(device=place, dtype=dtype), digits.y[:n].to(place))


def principal_components(x: torch.Tensor, features: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The mean of samples, their leading principal directions, and the standard deviation along each.

    Args:
        x: Samples, shape (n, d).
        features: How many directions.

    Returns:
        Mean (d,), orthonormal rows (features, d) by falling variance, and deviations (features,).

    Example:
        >>> mean, rows, std = principal_components(torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 5.0]]), 1)
        >>> mean.tolist(), rows.tolist(), std.tolist()
        ([0.0, 3.0], [[0.0, 1.0]], [2.0])
    """
    mean = x.mean(0)
    _, _, rows = torch.linalg.svd(x - mean, full_matrices=False)
    rows = rows[:features]
    rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()  # the sign of a component is arbitrary
    return mean, rows, ((x - mean) @ rows.mT).std(0)


def noisy_labels(y: torch.Tensor, share: float, seed: int = 0, classes: int = CLASSES) -> torch.Tensor:
    """Labels of which a share is replaced by another class, drawn evenly from the other ones.

    With the same seed the labels changed at a smaller share are among those changed at a larger one.

    Args:
        y: Labels, shape (n,), 0 to classes − 1.
        share: Between 0 and 1; round(share·n) labels are changed.
        seed: Seed of the choice.
        classes: How many classes there are.

    Returns:
        New labels, shape (n,); y is left as it is.

    Raises:
        ValueError: share out of range.

    Example:
        >>> y = torch.zeros(8, dtype=torch.int64)
        >>> int((noisy_labels(y, 0.25) != y).sum())
        2
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} must lie in [0, 1]: it is the part of the labels that is changed")
    random = torch.Generator().manual_seed(int(seed))
    chosen = torch.randperm(len(y), generator=random)[: round(share * len(y))]
    shift = torch.randint(1, classes, (len(y),), generator=random)[: len(chosen)]
    changed = y.clone()
    chosen = chosen.to(y.device)
    changed[chosen] = (y[chosen] + shift.to(y.device)) % classes
    return changed
