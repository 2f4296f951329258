"""`sofim-lab clean`: notebooks as they are committed."""

import argparse

from sofim_lab.files import write_atomically
from sofim_lab.lessons.notebook import notebook_text, read_notebook, stripped


def command(arguments: argparse.Namespace) -> int:
    """Strip each file in place; all are read before the first is written."""
    notebooks = {path: read_notebook(path) for path in arguments.files}
    for path, notebook in notebooks.items():
        write_atomically(path, notebook_text(stripped(notebook)))
    return 0
