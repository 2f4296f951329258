"""Reading notebooks as plain JSON: nbformat costs a second and a half to import, and reading needs none of it."""

import json
from pathlib import Path
from typing import Any

from sofim_lab.lessons.errors import LessonError

ADDED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}  # cells that papermill puts in

Cell = dict[str, Any]


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook at `path`.

    Args:
        path: An `.ipynb` file.

    Returns:
        Its JSON, with at least a list `cells`.

    Raises:
        LessonError: There is no such file, or it is no notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LessonError(f"cannot read the notebook {path}: {error.strerror}") from None
    except ValueError as error:
        raise LessonError(f"{path} is not a notebook: not valid JSON ({error})") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise LessonError(f"{path} is not a notebook: it has no list of cells")
    return notebook


def text(value: str | list[str]) -> str:
    r"""Notebook files hold a text whole or as a list of lines.

    Example:
        >>> text(["x = 1\n", "y = 2"])
        'x = 1\ny = 2'
    """
    return value if isinstance(value, str) else "".join(value)


def tags(cell: Cell) -> list[str]:
    """The tags of a cell."""
    return cell.get("metadata", {}).get("tags", [])


def own_cells(notebook: dict[str, Any]) -> list[Cell]:
    """The cells that the lesson's author wrote, in order: number n of the original is at n - 1 here too."""
    return [cell for cell in notebook["cells"] if not ADDED_TAGS.intersection(tags(cell))]


def without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook as if nothing had been executed."""
    empty = {"outputs": [], "execution_count": None}
    cells = [cell | empty if cell["cell_type"] == "code" else cell for cell in notebook["cells"]]
    return {**notebook, "cells": cells}
