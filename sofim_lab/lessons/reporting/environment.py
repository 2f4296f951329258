"""The circumstances of a run: without them its numbers cannot be compared with anyone else's."""

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

# What can move a number: the arithmetic, and what the report is made with.
PACKAGES = ("sofim-lab", "torch", "numpy", "pandas", "scikit-learn", "matplotlib", "papermill", "nbconvert")


@dataclasses.dataclass(frozen=True)
class Environment:
    """When, where and with what a run was made; `commit` is empty outside a git checkout.

    A commit that ends in `+` was changed since; `threads` is the number that each lesson's numerical libraries use.
    """

    date: str
    python: str
    platform: str
    processor: str
    cores: int
    accelerator: str
    commit: str
    packages: dict[str, str]
    threads: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain types only."""
        return dataclasses.asdict(self)


def describe_environment(source: Path, threads: str = "") -> Environment:
    """Look around; nothing is measured, and what cannot be found out is left empty.

    Args:
        source: a folder of the git checkout whose commit is meant (the notebooks).
        threads: of each lesson's numerical libraries; PyTorch's own choice otherwise.

    Example:
        >>> describe_environment(Path(".")).packages["torch"]
        '2...'
    """
    return Environment(
        date=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        accelerator=_accelerator(),
        commit=_commit(source),
        packages={name: version for name in PACKAGES if (version := installed_version(name))},
        threads=threads or _threads(),
    )


def installed_version(package: str) -> str:
    """Version of an installed package, empty where it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """The CPU's name, as well as the standard library or Linux can tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _accelerator() -> str:
    """Name of the GPU that torch would use, empty without one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU (mps)" if torch.backends.mps.is_available() else ""


def _threads() -> str:
    """How many threads PyTorch uses where nobody says."""
    import torch

    return str(torch.get_num_threads())


def _commit(folder: Path) -> str:
    """Short hash of the checkout's commit, with a `+` where files were changed since."""
    try:
        commit = _git(folder, "rev-parse", "--short", "HEAD")
        return commit + ("+" if commit and _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command in a folder, empty where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
