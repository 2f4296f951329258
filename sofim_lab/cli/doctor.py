"""`sofim-lab doctor`: what is installed, which devices there are, and what would not work."""

import argparse
import dataclasses
import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sofim_lab.cli.extras import INSTALL
from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.reporting.environment import installed_version
from sofim_lab.lessons.running.execution import KERNEL_REMEDY

NEEDED_MB = 100  # for a report of all lessons, with room to spare
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line: `fail` where something needed is missing, `warn` where only a part would not work."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str

    def __str__(self) -> str:
        """`ok    subject  text`."""
        return f"{self.level:<4}  {self.subject:<20}  {self.text}"


def command(arguments: argparse.Namespace) -> int:
    """Print all findings; 1 if something needed fails."""
    failed = False
    for finding in findings(arguments.notebooks, arguments.output):
        print(finding, flush=True)
        failed |= finding.level == "fail"
    print("Something needed is missing: see the lines marked fail." if failed else "The lessons can run here.")
    return int(failed)


def findings(notebooks: Path | None, output: Path) -> Iterator[Finding]:
    """Everything the lessons need, one after the other.

    Args:
        notebooks: the lessons' folder, None for the nearest upward.
        output: the folder a report would go to.
    """
    yield _python()
    yield from _packages()
    yield from _devices()
    yield _kernel()
    yield _lessons(notebooks)
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    missing = "none found: the browser tests are skipped; on Debian: apt-get install chromium"
    yield Finding("ok" if browser else "warn", "Chromium", browser or missing)
    yield _output(output)


def _python() -> Finding:
    """The interpreter against `requires-python`."""
    needed = importlib.metadata.metadata("sofim-lab")["Requires-Python"] or ""
    version = platform.python_version()
    text = f"{version} at {sys.executable}"
    return Finding("ok", "Python", text) if _satisfies(version, needed) else _too_old("Python", version, needed)


def _packages() -> Iterator[Finding]:
    """Every requirement of the package and of its extra `notebooks`; of `test` as a warning, for its developers."""
    for requirement in importlib.metadata.requires("sofim-lab") or []:
        specification, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"](\w+)", marker)
        if extra and extra[1] not in ("notebooks", "test"):
            continue
        ((name, needed),) = re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?\s*(.*)$", specification.strip())
        version = installed_version(name)
        if version and _satisfies(version, needed):
            yield Finding("ok", name, version)
        elif extra and extra[1] == "test":
            what = f"needs {needed}, is {version}" if version else "is missing"
            yield Finding("warn", name, f'{what}: only tests need it; pip install "sofim-lab[test]"')
        elif version:
            yield _too_old(name, version, needed)
        else:
            yield Finding("fail", name, f"is missing: no lesson runs; {INSTALL}")


def _too_old(name: str, version: str, needed: str) -> Finding:
    """A version that does not do."""
    return Finding("fail", name, f"{version} does not fit {needed}: {INSTALL} --upgrade")


def _satisfies(version: str, needed: str) -> bool:
    """Whether a version fits a range such as `>=3.11,<4`; only the numbers before letters and `+` count."""

    def numbers(text: str) -> list[int]:
        digits = [int(part) for part in re.findall(r"^[\d.]*", text)[0].split(".") if part]
        return digits + [0] * (6 - len(digits))

    for sign, bound in re.findall(r"(>=|<=|==|!=|<|>)\s*([\w.+]+)", needed.strip("()")):
        have, want = numbers(version), numbers(bound)
        fits = {
            ">=": have >= want,
            "<=": have <= want,
            "==": have == want,
            "!=": have != want,
            "<": have < want,
            ">": have > want,
        }
        if not fits[sign]:
            return False
    return True


def _devices() -> Iterator[Finding]:
    """What torch can compute on."""
    try:
        import torch
    except Exception as error:  # a broken build raises whatever its loader raises
        yield Finding("fail", "device cpu", f"torch cannot be imported ({error}): reinstall torch")
        return
    yield Finding("ok", "device cpu", f"threads: {torch.get_num_threads()}")
    if torch.cuda.is_available():
        yield Finding("ok", "device cuda", torch.cuda.get_device_name())
    else:
        why = "no GPU was found" if torch.version.cuda else "this torch is a CPU-only build"
        yield Finding("ok", "device cuda", f"not here, {why}; --device cuda would be refused")
    mps = torch.backends.mps.is_available()
    yield Finding("ok", "device mps", "available" if mps else "not here; --device mps would be refused")


def _kernel() -> Finding:
    """The kernel `python3`, and the interpreter it starts."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ModuleNotFoundError:
        return Finding("fail", "kernel python3", f"jupyter_client is missing: {INSTALL}")
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("fail", "kernel python3", f"not found; {KERNEL_REMEDY}")
    except (OSError, ValueError, TypeError, IndexError) as error:  # a kernel.json that somebody has edited
        place = KernelSpecManager().find_kernel_specs().get("python3")
        why = f"{type(error).__name__}: {error}"
        return Finding("fail", "kernel python3", f"{place} does not describe a kernel ({why}); remove it")
    found = shutil.which(command)
    # Jupyter replaces a bare `python` by the interpreter it runs in itself.
    starts = sys.executable if re.fullmatch(r"python[\d.]*", command) else found
    if starts is None:
        return Finding("fail", "kernel python3", f"starts {command}, which is not there; reinstall ipykernel")
    if Path(starts).absolute() != Path(sys.executable).absolute():
        return Finding("warn", "kernel python3", f"starts {starts}, another interpreter than this one; {KERNEL_REMEDY}")
    return Finding("ok", "kernel python3", f"starts {starts}")


def _lessons(notebooks: Path | None) -> Finding:
    """The manifest and what it lists."""
    try:
        from sofim_lab.lessons.manifest import find_notebooks, load_manifest

        manifest = load_manifest(notebooks or find_notebooks())
    except ModuleNotFoundError as error:
        return Finding("fail", "lessons", f"{error.name} is missing: {INSTALL}")
    except LessonError as error:
        return Finding("fail", "lessons", str(error))
    return Finding("ok", "lessons", f"{len(manifest)} in {manifest.folder}")


def _output(folder: Path) -> Finding:
    """Whether a report could be written; a folder made for the trial is removed again."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        write_atomically(folder / ".doctor", "")
        (folder / ".doctor").unlink()
        free = shutil.disk_usage(folder).free / 1e6
        for place in made:
            place.rmdir()
    except OSError as error:
        return Finding("fail", "output", f"cannot write to {folder} ({error.strerror}); use run --output")
    if free < NEEDED_MB:
        return Finding("fail", "output", f"{free:.0f} MB are left at {folder}, a report wants {NEEDED_MB}: free some")
    return Finding("ok", "output", f"{folder} can be written")
