"""Which code made a run, so that the numbers of two codes do not end in one table unnoticed."""

import functools
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sofim_lab import __version__
from sofim_lab.optim import registry
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


def own_sources(entries: Iterable[Entry]) -> dict[str, str | None]:
    """Of each optimizer its `own_source`, by name; those that are not installed are left out."""
    found = {}
    for entry in entries:
        with suppress(ImportError):
            found[entry.name] = own_source(entry)
    return found


def own_source(entry: Entry) -> str | None:
    """A digest of what an optimizer is that `SOFTWARE` and `CODE` do not tell.

    Of an optimizer from elsewhere than PyTorch and this package it is that of its source. Of one that was registered
    by the user also that of its constructor's name, its options and defaults, of arguments that are bound to it, by
    `functools.partial` or, lists apart, in a closure, and of plain attributes of its class; not of what it finds in its
    module.

    Args:
        entry: The optimizer; a function, or a class with those it inherits from.

    Returns:
        Twelve hexadecimal digits; None where there is nothing to add, and where the source cannot be read, as of what
        was typed into a plain interpreter.

    Raises:
        ImportError: It is not installed.
    """
    target: Any = entry.constructor
    bound = []
    while isinstance(target, functools.partial):
        bound.append([target.args, target.keywords])
        target = target.func
    kinds = target.__mro__ if isinstance(target, type) else (target,)
    try:
        text = "\n".join(_source(one) for one in kinds if _is_foreign(one))
        if not _is_ours(entry):
            text += _plain([_name(target), bound, entry.closure, entry.options, entry.defaults])
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else None


def _is_foreign(one: Any) -> bool:
    """Whether a class or function comes from elsewhere than PyTorch and this package."""
    return one.__module__.partition(".")[0] not in _KNOWN_BY_VERSION


def _is_ours(entry: Entry) -> bool:
    """Whether this package registers it so."""
    ours = registry.OWN.get(entry.name)
    return ours is not None and all(
        getattr(ours, name) == getattr(entry, name) for name in ("target", "closure", "options", "defaults")
    )


def _source(one: Any) -> str:
    """The text of a function and what is bound to it, or of a class's own functions and its plain attributes."""
    if not isinstance(one, type):
        cells = [cell.cell_contents for cell in one.__closure__ or ()]
        cells = [value for value in cells if not isinstance(value, list)]  # a list is what it notes down
        return inspect.getsource(one) + _plain([one.__defaults__, one.__kwdefaults__, cells])
    # The source of a class in a notebook's cell cannot be found as a whole. What PyTorch puts there is not its own.
    parts = []
    for name, value in vars(one).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if inspect.isfunction(function):
            parts += [_source(function)] if _is_foreign(function) else []
        elif not name.startswith("__") and isinstance(value, (int, float, str, tuple, list, dict)):
            parts.append(_plain([name, value]))
    return "\n".join(parts)


def _plain(value: Any) -> str:
    """Plain values as a text that is the same in every process; of anything else the name of its type."""
    return json.dumps(value, default=lambda thing: dict(thing) if isinstance(thing, Mapping) else _name(thing))


def _name(thing: Any) -> str:
    """Of a class or function its own name, of a thing that of its type."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def difference(run: Run, own: Mapping[str, str | None]) -> str:
    """What is different about the code that made a run, in words; nothing if it is the code of this process.

    Args:
        run: Its line of a store.
        own: `own_sources` of the optimizers of this sweep.

    Returns:
        A clause that follows "runs", or an empty text.
    """
    if "code" not in run:
        return "that do not say which source code made them"
    changed = [f"sofim_lab.{name}" for name, digest in CODE.items() if run["code"].get(name) != digest]
    if run["optimizer"] in own and run.get("optimizer_code") != own[run["optimizer"]]:
        changed.append(f"the optimizer {run['optimizer']!r}")
    return f"made by other source code (of {', '.join(changed)})" if changed else ""
