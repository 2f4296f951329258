"""Every convention of a lesson's notebook. A rule is a function of a notebook and its name that yields complaints."""

from collections.abc import Callable, Iterator

import form_rules
import teaching_rules
from nbformat import NotebookNode

Rule = Callable[[NotebookNode, str], Iterator[str]]
RULES: list[Rule] = form_rules.RULES + teaching_rules.RULES


def complaints(notebook: NotebookNode, name: str) -> list[str]:
    """What all rules together have to say about a notebook; `name` is its file's, without `.ipynb`."""
    return [f"{rule.__name__}: {complaint}" for rule in RULES for complaint in rule(notebook, name)]
