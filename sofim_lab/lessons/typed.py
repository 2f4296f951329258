"""From plain data to our dataclasses: what was edited into nonsense is refused, and where it stands is said."""

import dataclasses
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NOT_FINITE = ("nan", "inf", "-inf")  # JSON has no such numbers, their names stand for them


def typed(kind: Any, data: Any, place: str = "it") -> Any:
    """Data as a value of a type.

    Args:
        kind: A dataclass, or what stands in one: a tuple, dictionary, choice, number, text, path, or None beside one.
        data: JSON's types: dictionaries, lists, texts, numbers, booleans, None.
        place: What the data is called in an error.

    Returns:
        The value; whole numbers have become floats where those belong.

    Raises:
        TypeError: Something is missing, unknown, or of another type.
        OverflowError: A whole number is too large for a float.

    Example:
        >>> typed(tuple[float, ...], [1, "inf"])
        (1.0, inf)
        >>> typed(dict[str, int], {"a": "1"})
        Traceback (most recent call last):
        TypeError: it.a should be int, it is '1'
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or (data is None and type(None) in inner) or (origin is Literal and data in inner):
        return data
    if origin in (Union, types.UnionType):
        return typed(next(choice for choice in inner if choice is not type(None)), data, place)
    if origin is tuple and isinstance(data, list):
        return tuple(typed(inner[0], item, f"{place}[{number}]") for number, item in enumerate(data))
    if origin is dict and isinstance(data, dict):
        return {key: typed(inner[1], item, f"{place}.{key}") for key, item in data.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(data, dict):
        fields = get_type_hints(kind)
        if strange := sorted(data.keys() - fields.keys()):
            raise TypeError(f"{place} has {strange[0]!r}, known are {', '.join(fields)}")
        return kind(**{name: typed(fields[name], item, f"{place}.{name}") for name, item in data.items()})
    if kind is Path and isinstance(data, str):
        return Path(data)
    if kind is float and not isinstance(data, bool) and (isinstance(data, int | float) or data in _NOT_FINITE):
        return float(data)
    if isinstance(kind, type) and isinstance(data, kind) and (kind is bool or not isinstance(data, bool)):
        return data
    raise TypeError(f"{place} should be {getattr(kind, '__name__', kind)}, it is {data!r:.40}")
