#!/usr/bin/env python3
"""One door: `python3 dev.py run | test | lab | lint`. Sets up .venv first; standard library only.

run   execute the lessons into build/report/index.html      (options go to `sofim-lab run`, see `run --help`)
test  run the tests; `--all` adds the slow ones, and looks for new examples for properties (other options go to pytest;
      without them, one process more than there are processors, at most four, share the files, the lines that no test
      runs are shown in build/coverage/index.html, and more than 10 % of them are a failure)
lab   open JupyterLab on the lessons
lint  ruff on code and notebooks, mypy on the types, the import contracts, the spelling, the workflows in .github

--cpu     takes PyTorch's small CPU build when .venv is made (ordinary Linux would get the CUDA one)
--oldest  installs the oldest versions that pyproject.toml allows, instead of those of constraints.txt
--newest  installs the newest versions there are
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
EXTRAS = ("notebooks", "test", "bench", "cluster")
# One process more than there are processors: a fifth of the time a test waits for a kernel, a server or a browser.
PROCESSES = min((os.cpu_count() or 1) + 1, 4)
WHOLE_SUITE = [  # a file after the other to each process, in the order of the folders: the long ones do not come last
    *("-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder"),
    *("--cov", "--cov-report=html:build/coverage"),
]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def tool(name: str) -> str:
    """Path of a program inside the virtual environment, on every system."""
    return str(VENV / ("Scripts" if os.name == "nt" else "bin") / (name + (".exe" if os.name == "nt" else "")))


def fingerprint(versions: str) -> list[str]:
    """What .venv was made for, the Python and the folder, and what it was filled from, the pins."""
    pins = b"\0".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return [hashlib.sha256(part).hexdigest() for part in (f"{sys.version}\0{ROOT}".encode(), pins + versions.encode())]


def floors() -> list[str]:
    """The oldest version of each direct dependency that pyproject.toml allows: `name>=1.2` becomes `name==1.2`."""
    import tomllib  # an old Python has none, and has to come as far as our message about it

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [line.replace(">=", "==") for line in project["dependencies"] + extras]


def selection(versions: str) -> list[str]:
    """Pip's options that choose the versions: the pins, the oldest, or the newest."""
    if versions == "--newest":
        return ["--upgrade", "--upgrade-strategy", "eager"]
    pins = ROOT / "constraints.txt"
    if versions == "--oldest":
        pins = VENV / "oldest.txt"
        pins.write_text("\n".join(floors()), encoding="utf-8")
    return ["-c", str(pins)]


def set_up(cpu: bool, versions: str) -> None:
    """Create .venv and install the project into it, unless that was finished for just these pins."""
    wanted = fingerprint(versions)
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
    target = f"{ROOT}[{','.join(EXTRAS)}]"
    if subprocess.call([*install, *index, *selection(versions), "-e", target]) != 0:
        sys.exit("dev.py: installing the packages failed (see pip's message above); the next call starts over.")
    STAMP.write_text("\n".join(wanted), encoding="utf-8")


def commands(name: str, rest: list[str]) -> list[list[str]]:
    """The command lines behind one of our four names."""
    if name in ("run", "lab"):
        return [[tool("sofim-lab"), name, *rest]]
    if name == "test":
        everything = "--all" in rest
        rest = [a for a in rest if a != "--all"] or WHOLE_SUITE
        chosen = ["--hypothesis-profile=search"] if everything else ["-m", "not slow"]
        return [[tool("python"), "-m", "pytest", *chosen, *rest]]
    places = ["dev.py", "sofim_lab", "tests", "benchmarks", "docs", "notebooks"]
    ruff = [tool("python"), "-m", "ruff"]
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    return [
        [*ruff, "check", *places, *rest],
        [*ruff, "format", "--check", *places],
        [tool("mypy")],
        [tool("lint-imports")],
        [tool("codespell")],
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *workflows],
        [tool("zizmor"), "--offline", "--strict-collection", "--no-progress", "--quiet", ".github"],
    ]


def shown(command: list[str]) -> str:
    """The name of a command in a summary: `ruff format`, `mypy`."""
    words = command[2:] if command[1:2] == ["-m"] else [Path(command[0]).stem]
    return " ".join(words[:2])


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
    cpu, chosen = "--cpu" in argv, [argument for argument in argv if argument in ("--oldest", "--newest")]
    argv = [argument for argument in argv if argument not in ("--cpu", *chosen)]
    if not argv or argv[0] not in ("run", "test", "lab", "lint"):
        print(__doc__)
        asked = argv[:1] in (["-h"], ["--help"])
        if argv and not asked:
            print(f"dev.py: {argv[0]!r} is not one of run, test, lab, lint.", file=sys.stderr)
        return 0 if asked else 2
    if len(set(chosen)) > 1:
        sys.exit("dev.py: --oldest and --newest exclude each other; give one of them.")
    try:
        set_up(cpu, "".join(chosen[:1]))
    except KeyboardInterrupt:
        sys.exit("dev.py: the set-up was interrupted; the next call starts it over.")
    steps = commands(argv[0], argv[1:])
    statuses = [call(command) for command in steps]
    if len(statuses) > 1:  # what failed scrolled away, and the last one's own words may be of success
        failed = [shown(command) for command, status in zip(steps, statuses, strict=True) if status]
        print(f"{argv[0]}: " + (f"FAILED: {', '.join(failed)}" if failed else f"all {len(statuses)} passed"))
    return next(filter(None, statuses), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
