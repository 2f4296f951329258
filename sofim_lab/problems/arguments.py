"""What an argument has to be, in the same words everywhere."""

import operator
from typing import Any

import torch


def whole_number(name: str, value: Any) -> int:
    """The value as Python's int; a fraction, a text or a truth value is refused.

    Args:
        name: What messages call it.
        value: An int, or one of NumPy or PyTorch.

    Returns:
        The number.

    Raises:
        ValueError: It is none.

    Example:
        >>> import numpy as np
        >>> whole_number("epochs", np.int64(3))
        3
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name}={value!r} must be a whole number") from None


def floating_type(dtype: torch.dtype) -> torch.dtype:
    """The type of data or parameters, if it has fractions.

    Raises:
        ValueError: It has none.
    """
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype={dtype} is no floating type, and fractions need one: use torch.float32 or float64")
    return dtype
