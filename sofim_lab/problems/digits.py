"""The embedded data set: real handwritten digits, 8 by 8 pixels, shipped with scikit-learn."""

import torch

from sofim_lab.problems.arguments import floating_type
from sofim_lab.problems.dataset import Dataset, Split
from sofim_lab.problems.device import resolve_device

CLASSES = 10
SHAPE = (1, 8, 8)
PIXELS = 64
SIZES = {"train": 1197, "val": 300, "test": 300}
_SPLIT_SEED = 0


def load_digits(device: str | torch.device = "auto", dtype: torch.dtype = torch.float32) -> Dataset:
    """The real 8×8 digits of the UCI collection, pixels in [0, 1], in a fixed stratified split.

    The split is the same on every machine and for every seed, so that a tuned learning rate never sees the test
    images: tune on `val`, report on `test`. No download: scikit-learn ships the images.

    Args:
        device: `auto`, `cpu`, `cuda`, `mps` or a `torch.device`; see `resolve_device`.
        dtype: Floating type of the pixels.

    Returns:
        `Dataset` of 1,197, 300 and 300 images, each split with `x` of shape (n, 64) and `y` of shape (n,).

    Raises:
        ValueError: The device does not exist here, or dtype is no floating type.

    Example:
        >>> digits = load_digits("cpu")
        >>> digits.train.x.shape, digits.test.y.shape
        (torch.Size([1197, 64]), torch.Size([300]))

    References:
        E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
    """
    floating_type(dtype)
    place = resolve_device(device)
    # Imported here: scikit-learn costs a second, and `import sofim_lab` should not pay it.
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    images, labels = sklearn_digits(return_X_y=True)
    rest_x, test_x, rest_y, test_y = train_test_split(
        images, labels, test_size=SIZES["test"], stratify=labels, random_state=_SPLIT_SEED
    )
    train_x, val_x, train_y, val_y = train_test_split(
        rest_x, rest_y, test_size=SIZES["val"], stratify=rest_y, random_state=_SPLIT_SEED
    )

    def split(x: object, y: object) -> Split:
        pixels = torch.as_tensor(x, dtype=torch.float64) / 16  # sixteenths: exact in every floating type
        return Split(pixels.to(device=place, dtype=dtype), torch.as_tensor(y, dtype=torch.int64).to(place))

    parts = split(train_x, train_y), split(val_x, val_y), split(test_x, test_y)
    return Dataset("digits", *parts, classes=CLASSES, shape=SHAPE)
