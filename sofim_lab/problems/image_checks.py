"""What downloaded images and labels must look like, and the one layout that models expect."""

import math

import numpy as np


def check_images(x: np.ndarray, y: np.ndarray, *, count: int, shape: tuple[int, ...], classes: int, where: str) -> None:
    """Raise unless these are so many images of so many bytes, with labels of all classes.

    Args:
        x: Pixels, to be whole numbers 0 to 255, shape (count, product of shape).
        y: Labels, to be 0 to classes − 1, shape (count,).
        count: Number of samples.
        shape: Of one image.
        classes: Number of classes.
        where: The source, and what to do about it, for the message.

    Raises:
        ValueError: Something else was found; the message says what, what was expected, and where.
    """

    def refuse(found: str, expected: str) -> None:
        raise ValueError(f"found {found} where {expected} must be: {where}")

    length = math.prod(shape)
    if x.ndim != 2 or x.shape[1] != length:
        refuse(f"pixels of shape {x.shape}", f"({count}, {length})")
    if len(x) != count or y.shape != (count,):
        refuse(f"{len(x):,} images and labels of shape {y.shape}", f"{count:,} of each")
    if x.dtype.kind not in "uif":
        refuse(f"pixels of type {x.dtype}", "numbers")
    low, high = float(x.min()), float(x.max())
    if not (0 <= low <= high <= 255):  # false for nan, too
        refuse(f"pixels from {low:g} to {high:g}", "values from 0 to 255")
    if high <= 1:
        refuse(f"no pixel above {high:g}", "values up to 255")
    if x.dtype.kind == "f" and not all(np.array_equal(part, np.floor(part)) for part in np.array_split(x, 64)):
        refuse("pixels that are fractions", "whole numbers from 0 to 255")
    present = np.unique(y)
    if not np.array_equal(present, np.arange(classes)):
        refuse(f"labels {', '.join(map(str, present[:20]))}", f"0 to {classes - 1}, each at least once,")


def check_classes(y: np.ndarray, counts: np.ndarray, where: str) -> None:
    """Raise unless each class has as many samples as published.

    Args:
        y: Labels, 0 to classes − 1.
        counts: Samples of each class, shape (classes,).
        where: As for `check_images`.

    Raises:
        ValueError: A class has another number of samples.

    Example:
        >>> check_classes(np.array([0, 1, 1, 0, 1]), np.array([2, 3]), where="an example")
    """
    for c, (found, expected) in enumerate(zip(np.bincount(y), counts, strict=True)):
        if found != expected:
            raise ValueError(
                f"class {c} has {found:,} samples where {expected:,} were published, so labels are wrong: {where}"
            )


def class_numbers(y: np.ndarray, *, ten_is_zero: bool, where: str) -> np.ndarray:
    """Labels as whole numbers.

    Args:
        y: Labels as a parser left them, numbers, shape (n,).
        ten_is_zero: Whether 10 stands for 0, as in SVHN, where it is the digit zero; not where a label is 0 already.
        where: As for `check_images`.

    Returns:
        int64, shape (n,).

    Raises:
        ValueError: A label is no whole number.

    Example:
        >>> class_numbers(np.array([3.0, 10.0, 1.0]), ten_is_zero=True, where="an example").tolist()
        [3, 0, 1]
    """
    broken = y[y != np.floor(y)]
    if len(broken):
        raise ValueError(f"found labels that are no whole numbers, such as {broken[0]:g}: {where}")
    whole = y.astype(np.int64)
    return np.where(whole == 10, 0, whole) if ten_is_zero and not (whole == 0).any() else whole


def channels_first(x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Rows that run channel by channel, whether they came so or pixel by pixel, three colours each.

    Which of the two it was shows in the images: one row of pixels further down an image changes little, three rows, or
    another colour a third of the way across, change more.

    Args:
        x: Pixels, shape (n, d).
        shape: Channels, height and width.

    Returns:
        Shape (n, d), channel by channel.

    Example:
        >>> planes = np.concatenate([np.full((1, 64), c) + np.arange(64) // 8 for c in (0, 50, 99)], axis=1)
        >>> pixels = planes.reshape(1, 3, 64).swapaxes(1, 2).reshape(1, 192)
        >>> all((channels_first(rows, (3, 8, 8)) == planes).all() for rows in (planes, pixels))
        True
    """
    channels, height, width = shape
    if channels == 1:
        return x
    some = x[:2000].astype(np.float32)

    def change(step: int) -> float:
        return float(np.abs(some[:, step:] - some[:, :-step]).mean())

    if change(width) <= change(channels * width):
        return x
    return np.ascontiguousarray(x.reshape(-1, height * width, channels).swapaxes(1, 2)).reshape(x.shape)
