"""The values of command-line options, checked; argparse turns these errors into usage messages."""

import argparse
import ast
import math
from pathlib import Path
from typing import Any

OUTPUT = Path("build", "report")
SITE = Path("build", "site")
BENCH = Path("build", "bench")


def count(text: str) -> int:
    """A whole number from 1.

    Example:
        >>> count("3")
        3
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def seconds(text: str) -> float:
    """A positive time.

    Example:
        >>> seconds("2.5")
        2.5
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def parameter(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value a Python literal where it is one, else a text.

    Example:
        >>> parameter("SEED=3"), parameter("SIZES=[64, 10]"), parameter("MODE=slow")
        (('SEED', 3), ('SIZES', [64, 10]), ('MODE', 'slow'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value
