"""A small notebook that keeps every convention, for tests that break one at a time."""

from textwrap import dedent

from form_rules import SET_UP
from nbformat import NotebookNode, from_dict

NAME = "05_sample"


def cell(kind: str, cell_id: str, source: str, *tags: str, folded: bool = False) -> dict:
    """One cell as it stands in a file."""
    metadata: dict = {"tags": list(tags)} if tags else {}
    if folded:
        metadata["jupyter"] = {"source_hidden": True}
    made = {"cell_type": kind, "id": cell_id, "metadata": metadata, "source": dedent(source).strip()}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


CELLS = [
    cell(
        "markdown",
        "title",
        f"""
        # 05 · A sample

        [![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/somebody/sofim_lab/HEAD?urlpath=lab/tree/notebooks/{NAME}.ipynb)
        [![Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/somebody/sofim_lab/blob/main/notebooks/{NAME}.ipynb)
        """,
    ),
    cell("markdown", "question", "## Question\n\nIs one and one two?"),
    cell("markdown", "objectives", "## Objectives\n\n1. add\n2. add again\n3. stop adding"),
    cell("markdown", "before", "## Before you start\n\n**Prerequisites.** One.\n\n**Time.** About 5 minutes."),
    cell("code", "parameters", 'DEVICE = "auto"\nPROFILE = "quick"\nSEED = 0\nSOLUTIONS = False', "parameters"),
    cell("code", "install", SET_UP, "setup"),
    cell("code", "setup", "from sofim_lab.lessons import check, metric, verify", "setup"),
    cell("markdown", "sum", "## 1. The sum\n\n$$1 + 1 = 2 \\tag{1}$$", "formula"),
    cell("code", "sum-holds", 'verify("05.sum", 1 + 1, 2)', "verify"),
    cell("markdown", "double", "$$2 \\cdot 1 = 2 \\tag{2}$$"),
    cell("code", "double-holds", 'verify("05.double", 2 * 1, 2)\nmetric("two", 2.0)', "verify", "metric"),
    cell("code", "answer", 'def one():\n    ...\n\n\ncheck("05.one", one)', "exercise"),
    cell("markdown", "hint", "<details><summary>Hint</summary>Less than two.</details>", "hint"),
    cell("code", "solution", 'if SOLUTIONS:\n    check("05.one", lambda: 1)', "solution", folded=True),
    cell("markdown", "quiz", "## Quiz\n" + "\nWhy?\n<details>Because.</details>\n" * 3, "quiz"),
    cell("markdown", "found", "## What we found\n\nTwo."),
    cell("markdown", "references", "## References\n\nEuclid."),
]


def sample() -> NotebookNode:
    """A fresh copy of the notebook."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": CELLS})
