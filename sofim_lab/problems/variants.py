"""Digits made harder in one respect each, so that optimizers differ without a download."""

import math
from dataclasses import replace
from typing import Any

import torch

from sofim_lab.problems.dataset import Dataset, Split
from sofim_lab.problems.digits import PIXELS, load_digits
from sofim_lab.problems.reduced_digits import noisy_labels, principal_components

FEATURES = 40
CONDITION = 1e4
SHARE = 0.2


def ill_conditioned_digits(
    device: str | torch.device = "auto",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    *,
    features: int = FEATURES,
    condition: float = CONDITION,
) -> Dataset:
    r"""The digits in principal components, stretched so that their covariance has a condition number of one's choice.

        x = diag(s) diag(σ)⁻¹ Vᵀ(image − mean)        s a permutation of condition^(−j/(2(k − 1))), j = 0 … k − 1

    with the k leading principal directions V of the training images and the deviations σ along them: on these the
    covariance is diag(s²), with eigenvalues log-spaced from 1 down to 1/condition. In the order of the components the
    digits stay easy, their classes differ most where the images do; the permutation puts what tells them apart
    everywhere in the spectrum. A linear map that can be inverted changes neither what a network can represent nor the
    least loss, only the way there. Computed in float64; the smallest deviation, 1/100, is far above float32's rounding.

    Args:
        device: See `resolve_device`.
        dtype: Floating type of the result.
        seed: Of the permutation.
        features: k, 2 to 60; the default holds 98.9 % of the images' variance.
        condition: Largest over smallest eigenvalue of the covariance, 1 to 1e10.

    Returns:
        The splits of `load_digits` in these coordinates, rows of length k that are no images any more.

    Raises:
        ValueError: features or condition out of range, or what `load_digits` refuses.

    Example:
        >>> x = ill_conditioned_digits("cpu", torch.float64).train.x
        >>> e = torch.linalg.eigvalsh(torch.cov(x.T))
        >>> f"{e[-1] / e[0]:.0f}"
        '10000'
    """
    if not 2 <= features <= PIXELS - 4:
        raise ValueError(f"features={features!r} must lie in 2 … {PIXELS - 4}: four pixels hardly vary")
    if not 1 <= condition <= 1e10:
        raise ValueError(f"condition={condition!r} must lie in [1, 1e10]: beyond, float32 loses the small components")
    images, digits = load_digits("cpu", torch.float64), load_digits(device, dtype)
    mean, rows, std = principal_components(images.train.x, features)
    scales = torch.logspace(0, -0.5 * math.log10(condition), features, dtype=torch.float64)
    scales = scales[torch.randperm(features, generator=torch.Generator().manual_seed(int(seed)))]

    def stretched(part: str) -> Split:
        x = (getattr(images, part).x - mean) @ rows.mT * (scales / std)
        return replace(getattr(digits, part), x=x.to(device=digits.device, dtype=dtype))

    parts: dict[str, Any] = {part: stretched(part) for part in ("train", "val", "test")}
    return replace(digits, name="digits-ill-conditioned", shape=(features,), **parts)


def noisy_digits(
    device: str | torch.device = "auto",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    *,
    share: float = SHARE,
) -> Dataset:
    """The digits with wrong labels on a share of the training images; `val` and `test` keep the right ones.

    A network that fits the training labels perfectly has learnt the wrong ones by heart: training loss and test
    accuracy part, and gradients of the samples disagree to the end.

    Args:
        device: See `resolve_device`.
        dtype: Floating type of the pixels.
        seed: Which labels are changed, and to what.
        share: Of the training labels, in [0, 1].

    Returns:
        The splits of `load_digits`, other labels in `train`.

    Raises:
        ValueError: share out of range, or what `load_digits` refuses.

    Example:
        >>> noisy, clean = noisy_digits("cpu"), load_digits("cpu")
        >>> int((noisy.train.y != clean.train.y).sum()), int((noisy.test.y != clean.test.y).sum())
        (239, 0)
    """
    digits = load_digits(device, dtype)
    labels = noisy_labels(digits.train.y, share, seed, digits.classes)
    return replace(digits, name="digits-noisy", train=replace(digits.train, y=labels))
