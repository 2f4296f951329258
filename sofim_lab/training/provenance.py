"""Which code made a run, so that the numbers of two codes do not end in one table unnoticed."""

import functools
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sofim_lab import __version__
from sofim_lab.optim.entry import Entry
from sofim_lab.training.store import Run

SOFTWARE = {"sofim_lab": __version__, "torch": torch.__version__.partition("+")[0]}

_PACKAGES = ("problems", "curvature", "optim", "training")  # what a run is made of
_KNOWN_BY_VERSION = ("torch", "sofim_lab", "builtins")  # here by CODE


def source_digests(root: Path) -> dict[str, str]:
    """Of each package that a run is made of, twelve hexadecimal digits that change with any byte of its modules.

    Args:
        root: The folder of the packages.

    Returns:
        Package to digest. The ends of lines do not count: they are those of the system that checked the files out.
    """
    found = {}
    for package in _PACKAGES:
        whole = hashlib.sha256()
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_bytes().replace(b"\r\n", b"\n")
            whole.update(f"{path.relative_to(root).as_posix()} {len(text)}\n".encode() + text)
        found[package] = whole.hexdigest()[:12]
    return found


# Read when the modules are: a file that is edited afterwards is not what this process runs.
CODE = source_digests(Path(__file__).parents[1])


def own_source(entry: Entry) -> str | None:
    """A digest of the source of an optimizer that comes from elsewhere than PyTorch and this package.

    Args:
        entry: The optimizer; a function, or a class with those it inherits from.

    Returns:
        Twelve hexadecimal digits; None where `SOFTWARE` and `CODE` say it all, where the optimizer is not installed,
        and where the source cannot be read, as of what was typed into a plain interpreter.
    """
    try:
        target: Any = entry.constructor
        while isinstance(target, functools.partial):
            target = target.func
        kinds = target.__mro__ if isinstance(target, type) else (target,)
        foreign = [one for one in kinds if one.__module__.partition(".")[0] not in _KNOWN_BY_VERSION]
        # Of a class its functions: the source of a class in a notebook's cell cannot be found as a whole.
        parts = [f for one in foreign for f in (vars(one).values() if isinstance(one, type) else (one,))]
        text = "\n".join(inspect.getsource(f) for f in parts if inspect.isfunction(f))
    except (ImportError, AttributeError, OSError, TypeError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else None


def difference(run: Run, own: Mapping[str, str | None]) -> str:
    """What is different about the code that made a run, in words; nothing if it is the code of this process.

    Args:
        run: Its line of a store.
        own: Of the optimizers of this sweep their `own_source`, by name.

    Returns:
        A clause that follows "runs", or an empty text.
    """
    if "code" not in run:
        return "that do not say which source code made them"
    changed = [f"sofim_lab.{name}" for name, digest in CODE.items() if run["code"].get(name) != digest]
    theirs, ours = run.get("optimizer_code"), own.get(run["optimizer"])
    if theirs and ours and theirs != ours:
        changed.append(f"the optimizer {run['optimizer']!r}")
    return f"made by other source code (of {', '.join(changed)})" if changed else ""
