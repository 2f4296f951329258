#!/usr/bin/env python3
"""One door: `python3 dev.py run | test | lab | lint`. Sets up .venv first; standard library only.

run   execute the lessons into build/report/index.html      (options go to `sofim-lab run`, see `run --help`)
test  run the tests; `--all` adds the slow ones             (other options go to pytest)
lab   open JupyterLab on the lessons
lint  ruff on code and notebooks, the import contracts, and the spelling

--cpu takes PyTorch's small CPU build when .venv is made (ordinary Linux would get the CUDA one).
"""

from __future__ import annotations  # an old Python has to come as far as our message about it

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "set-up-done"  # written last: without it, whatever stands in .venv is not trusted
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def tool(name: str) -> str:
    """Path of a program inside the virtual environment, on every system."""
    return str(VENV / ("Scripts" if os.name == "nt" else "bin") / (name + (".exe" if os.name == "nt" else "")))


def fingerprint() -> list[str]:
    """What .venv was made for, the Python and the folder, and what it was filled from, the pins."""
    pins = b"\0".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return [hashlib.sha256(part).hexdigest() for part in (f"{sys.version}\0{ROOT}".encode(), pins)]


def set_up(cpu: bool) -> None:
    """Create .venv and install the project into it, unless that was finished for just these pins."""
    wanted = fingerprint()
    done = STAMP.read_text(encoding="utf-8").split() if STAMP.is_file() else []
    usable = done[:1] == wanted[:1] and Path(tool("python")).exists()
    if usable and done == wanted:
        return
    print("Setting up .venv (about a minute; later calls skip this) ...", flush=True)
    if not usable:  # new, interrupted, or of another Python or folder: start clean rather than guess what is wrong
        shutil.rmtree(VENV, ignore_errors=True)
    STAMP.unlink(missing_ok=True)
    python = getattr(sys, "_base_executable", sys.executable)  # not .venv's own, which may just have been removed
    if subprocess.call([python, "-m", "venv", str(VENV)]) != 0:
        sys.exit("dev.py: could not create .venv; on Debian and Ubuntu, install the package python3-venv first.")
    install = [tool("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    index = ["--extra-index-url", CPU_INDEX] if cpu else []
    target = f"{ROOT}[notebooks,test,bench,cluster]"
    if subprocess.call([*install, *index, "-c", str(ROOT / "constraints.txt"), "-e", target]) != 0:
        sys.exit("dev.py: installing the packages failed (see pip's message above); the next call starts over.")
    STAMP.write_text("\n".join(wanted), encoding="utf-8")


def commands(name: str, rest: list[str]) -> list[list[str]]:
    """The command lines behind one of our four names."""
    if name in ("run", "lab"):
        return [[tool("sofim-lab"), name, *rest]]
    if name == "test":
        everything = "--all" in rest
        rest = [a for a in rest if a != "--all"]
        return [[tool("python"), "-m", "pytest", *([] if everything else ["-m", "not slow"]), *rest]]
    places = ["dev.py", "sofim_lab", "tests", "benchmarks", "docs", "notebooks"]
    ruff = [tool("python"), "-m", "ruff"]
    return [
        [*ruff, "check", *places, *rest],
        [*ruff, "format", "--check", *places],
        [tool("lint-imports")],
        [tool("codespell")],
    ]


def call(command: list[str]) -> int:
    """Run a command to its end. Ctrl-C reaches the child too, and it is the child that tidies up and reports."""
    child = subprocess.Popen(command, cwd=ROOT)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def main(argv: list[str]) -> int:
    """Set up, then run the named command; its exit status is ours."""
    if sys.version_info < (3, 11):
        sys.exit(f"dev.py: Python 3.11 or newer is needed, this is {sys.version.split()[0]} ({sys.executable}).")
    cpu = "--cpu" in argv
    argv = [argument for argument in argv if argument != "--cpu"]
    if not argv or argv[0] not in ("run", "test", "lab", "lint"):
        print(__doc__)
        asked = argv[:1] in (["-h"], ["--help"])
        if argv and not asked:
            print(f"dev.py: {argv[0]!r} is not one of run, test, lab, lint.", file=sys.stderr)
        return 0 if asked else 2
    try:
        set_up(cpu)
    except KeyboardInterrupt:
        sys.exit("dev.py: the set-up was interrupted; the next call starts it over.")
    status = 0
    for command in commands(argv[0], argv[1:]):
        status = call(command) or status
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
