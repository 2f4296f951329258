"""`sofim-lab lab`: JupyterLab on the lessons."""

import argparse
import subprocess
import sys

from sofim_lab.cli.extras import require
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import find_notebooks

START = "00_start_here.ipynb"


def command(arguments: argparse.Namespace) -> int:
    """Start JupyterLab in this interpreter's environment and wait for its end; its exit status is ours."""
    require("jupyterlab")
    folder = (arguments.notebooks or find_notebooks()).resolve()
    if not folder.is_dir():
        raise LessonError(f"there is no folder {folder}: name the lessons' folder with --notebooks")
    start = [f"--LabApp.default_url=/lab/tree/{START}"] if (folder / START).is_file() else []
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", *start, *arguments.rest]
    )
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # the terminal sends it to JupyterLab as well, which asks before it ends
            continue
