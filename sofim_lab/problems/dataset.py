"""What a data set for classification is here: samples as rows, cut once and for all into three parts."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Split:
    """Samples and their labels.

    Attributes:
        x: One row a sample, shape (n, d); an image's pixels in [0, 1], channel by channel and row by row.
        y: Labels from 0 on, shape (n,), int64.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """A data set: train on `train`, tune on `val`, report on `test`.

    Samples are rows whatever they show, so that every model and every curvature matrix takes every data set; a
    convolution folds the row back into an image of `shape`.

    Attributes:
        name: What tables and messages call it.
        train: Samples to train on.
        val: Samples to choose settings by.
        test: Samples that nothing is chosen by.
        classes: How many there are; the labels are 0 to classes − 1.
        shape: Of one sample, channels × height × width for an image; its product is the length d of a row.
        sha256: Digest of the pixels and labels that were downloaded; None where nothing was.

    Raises:
        ValueError: classes is below 2, samples and labels differ in number, or rows do not have the length that the
            shape says.

    Example:
        >>> part = Split(torch.zeros(6, 64), torch.arange(6))
        >>> data = Dataset("blank", part, part, part, classes=6, shape=(1, 8, 8))
        >>> data.device, len(data.train)
        (device(type='cpu'), 6)
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int
    shape: tuple[int, ...]
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(f"classes={self.classes!r} must be 2 or more: a single class leaves nothing to learn")
        for part in ("train", "val", "test"):
            samples, labels = len(getattr(self, part).x), len(getattr(self, part).y)
            if samples != labels:
                raise ValueError(f"{part} has {samples} samples x and {labels} labels y: each sample needs one label")
            found = tuple(getattr(self, part).x.shape[1:])
            if found != (math.prod(self.shape),):
                raise ValueError(
                    f"shape={self.shape} means rows of {math.prod(self.shape)} numbers, but {part}.x has samples of "
                    f"shape {found}: flatten them, x.flatten(1), or name another shape"
                )

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.train.x.device
