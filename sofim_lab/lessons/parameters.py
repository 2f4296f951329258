"""The parameters of a lesson: the literals of its `parameters` cell, and what a run may put in their place."""

import ast
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sofim_lab.lessons.errors import ParameterError, unknown
from sofim_lab.lessons.notebook import read_notebook, tags, text

#: Set by options of their own, never by name.
RESERVED = {"DEVICE": "device", "PROFILE": "profile", "SOLUTIONS": "solutions"}


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What a run gives to papermill, what the notebook then works with, and whether that is the committed default."""

    given: dict[str, Any]
    effective: dict[str, Any]
    default: bool


def declared_parameters(path: Path) -> dict[str, Any]:
    """Names and default values in the notebook's `parameters` cell, read without executing it.

    Args:
        path: The notebook.

    Returns:
        Value by name, in the order of the cell; empty where there is no such cell.

    Raises:
        ParameterError: There are several such cells, or one holds more than assignments of literals.
    """
    cells = [(n, c) for n, c in enumerate(read_notebook(path)["cells"], 1) if "parameters" in tags(c)]
    if len(cells) > 1:
        raise ParameterError(f"{path.name} has {len(cells)} cells tagged 'parameters': keep one")
    if not cells:
        return {}
    number, cell = cells[0]
    values: dict[str, Any] = {}
    where = f"{path.name}, cell {number} ('parameters')"
    try:
        statements = ast.parse(text(cell["source"])).body
    except SyntaxError as error:
        raise ParameterError(f"{where}, line {error.lineno}: {error.msg}") from None
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value: Any = getattr(statement, "value", None)
        try:
            if len(targets) != 1 or not isinstance(targets[0], ast.Name) or isinstance(statement, ast.AugAssign):
                raise ValueError
            values[targets[0].id] = ast.literal_eval(value)
        except (ValueError, TypeError):
            raise ParameterError(
                f"{where}, line {statement.lineno}: only NAME = literal may stand here; "
                "derive other values in the next cell"
            ) from None
    return values


def resolve_parameters(
    path: Path, wanted: Mapping[str, Any], *, device: str, profile: str, solutions: bool
) -> Parameters:
    """Check the wanted values against the notebook's own, and add device, profile and solutions where declared.

    Args:
        path: The notebook.
        wanted: Values by name; each must be declared there and have its default's type (an int may stand for a float).
        device: Value for `DEVICE`.
        profile: Value for `PROFILE`.
        solutions: Value for `SOLUTIONS`.

    Raises:
        ParameterError: A name is not declared or has an option of its own, or a value has another type.
    """
    defaults = declared_parameters(path)
    for name in wanted:
        if name in RESERVED:
            raise ParameterError(f"parameter {name!r} is set by its own option, --{RESERVED[name]}")
        if name not in defaults:
            free = [known for known in defaults if known not in RESERVED]
            raise ParameterError(f"{path.stem}: {unknown('parameter', str(name), free)}")
    changed = {name: _like(path.stem, name, value, defaults[name]) for name, value in wanted.items()}
    options = {"DEVICE": device, "PROFILE": profile, "SOLUTIONS": solutions}
    given = changed | {name: value for name, value in options.items() if name in defaults}
    default = all(value == defaults[name] for name, value in changed.items())
    return Parameters(given, defaults | given, default)


def _like(lesson: str, name: str, value: Any, default: Any) -> Any:
    """`value` in the type of `default`, or an error."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if default is None or type(value) is type(default):
        try:
            if value is None or ast.literal_eval(repr(value)) == value:
                return value
        except (ValueError, SyntaxError):
            pass
        raise ParameterError(f"{lesson}: parameter {name}={value!r} must be a literal")
    raise ParameterError(
        f"{lesson}: parameter {name}={value!r} is of type {type(value).__name__}, "
        f"but its default {default!r} is of type {type(default).__name__}"
    )
