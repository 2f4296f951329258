"""Reading notebooks as plain JSON: nbformat costs a second and a half to import, and reading needs none of it."""

import json
from pathlib import Path
from typing import Any

from sofim_lab.lessons.errors import LessonError

KEPT = {"tags", "jupyter"}  # of a cell's metadata; what else is there, a program has left behind
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
    except (ValueError, RecursionError) as error:
        raise LessonError(f"{path} is not a notebook: not valid JSON ({error})") from None
    if problem := _malformed(notebook):
        raise LessonError(f"{path} is not a notebook: {problem}")
    return notebook


def _malformed(notebook: Any) -> str:
    """What makes it no notebook of format 4, as far as anything here relies on it; empty if nothing does."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return "it has no list of cells"
    if notebook.get("nbformat") != 4:
        return f"its nbformat is {notebook.get('nbformat')!r}, only 4 is read: save it with a current Jupyter"
    if not isinstance(notebook.get("metadata"), dict):
        return "it has no metadata"
    for number, cell in enumerate(notebook["cells"], 1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            return f"cell {number} is neither code nor text"
        if not isinstance(cell.get("metadata"), dict) or not isinstance(tags(cell), list):
            return f"cell {number} has no proper metadata"
        source = cell.get("source")
        if not isinstance(source, str | list) or not all(isinstance(line, str) for line in source):
            return f"cell {number} has no source"
    return ""


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
    empty: dict[str, Any] = {"outputs": [], "execution_count": None}
    cells = [cell | empty if cell["cell_type"] == "code" else cell for cell in notebook["cells"]]
    return {**notebook, "cells": cells}


def stripped(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook as it is committed: nothing that a run, a program or one machine has left in it."""
    cells = [
        cell | {"metadata": {key: value for key, value in cell["metadata"].items() if key in KEPT}}
        for cell in without_outputs(notebook)["cells"]
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {**notebook, "cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}}


def notebook_text(notebook: dict[str, Any]) -> str:
    """The file's contents, laid out as Jupyter does."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
