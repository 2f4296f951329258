"""`sofim-lab lab`: JupyterLab on the lessons."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sofim_lab.cli.extras import require
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import find_notebooks

# Where Jupyter, IPython and matplotlib keep what they write at home.
KEPT = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
START = "00_start_here.ipynb"


def command(arguments: argparse.Namespace) -> int:
    """Start JupyterLab in this interpreter's environment and wait for its end; its exit status is ours."""
    require("jupyterlab")
    folder = (arguments.notebooks or find_notebooks()).resolve()
    if not folder.is_dir():
        raise LessonError(f"there is no folder {folder}: name the lessons' folder with --notebooks")
    start = [f"--LabApp.default_url=/lab/tree/{START}"] if (folder / START).is_file() else []
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", *start, *arguments.rest]
    with tempfile.TemporaryDirectory(prefix="sofim-lab-") as spare:
        server = subprocess.Popen(command, env=_environment(Path(spare)))
        before = signal.signal(signal.SIGTERM, lambda *_: server.terminate())  # it would go on without us
        try:
            return _wait(server)
        finally:
            signal.signal(signal.SIGTERM, before)


def _wait(server: subprocess.Popen[bytes]) -> int:
    """Its exit status, when it has ended."""
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # the terminal sends it to JupyterLab as well, which asks before it ends
            continue


def _environment(spare: Path) -> dict[str, str]:
    """The user's own; where Jupyter cannot write into the home folder, with a spare folder for what it keeps there."""
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        Path(jupyter_runtime_dir()).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=jupyter_runtime_dir()):
            return dict(os.environ)
    except OSError as error:
        place = f"cannot write to {jupyter_runtime_dir()} ({error.strerror})"
        print(f"sofim-lab: {place}; what you set in JupyterLab lasts until it ends", file=sys.stderr)
    return os.environ | {name: str(spare / name.lower()) for name in KEPT}
