"""Finished runs in one file that survives whatever ends the program."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

Run = dict[str, Any]
_BEGIN = b'{"run": '  # of every line
_HEAD = ("configuration", "optimizer", "settings", "model", "data", "stream", "batch_size", "seed", "status", "error")


def read_runs(path: Path) -> dict[str, Run]:
    """The finished runs of a store, by their key; a last line that was not written to its end is left out.

    Other orders of the columns, ends of lines of Windows, a byte order mark and a missing last end of line, as editors
    leave them, change nothing.

    Args:
        path: A file of JSON lines; none there is an empty store.

    Returns:
        Key to run, in the order in which they were finished.

    Raises:
        ValueError: Another line is no run: the file is not a store, or it was damaged.
    """
    return {run["run"]: run for run, _ in _lines(path)}


@contextmanager
def writing(path: Path) -> Iterator[Callable[[Run], None]]:
    """Hold the store for this process alone, and get the function that adds a run to it.

    A run is on the disk when the function returns. The lock is the operating system's and ends with the process that
    holds it, however that ends; the empty file `<store>.lock` may stay.

    Args:
        path: The store; it is made where there is none, with its folder.

    Yields:
        A function that appends one run.

    Raises:
        RuntimeError: Another process is writing to it, or its drive has no locks.
        ValueError: The file is not a store.
        OSError: It cannot be written, say because the disk is full; the runs that were added before are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(f"{path}.lock").acquire(blocking=False)
    except Timeout:
        raise RuntimeError(
            f"another sweep is writing to {path}: wait until it has ended, or use another store"
        ) from None
    except NotImplementedError:  # filelock says so where a drive has no locks
        raise RuntimeError(f"{path} lies on a drive without locks: keep the store on another one") from None
    with lock:
        whole = max((end for _, end in _lines(path)), default=0)
        with path.open("ab", buffering=0) as file:
            file.truncate(whole)  # a line that was torn when the last writer died
            if whole and path.read_bytes()[-1:] != b"\n":  # an editor has taken the last one away
                _write(file, b"\n", path)

            def add(run: Run) -> None:
                _write(file, json.dumps(run, allow_nan=False).encode() + b"\n", path)

            yield add


def _write(file: RawIOBase, line: bytes, path: Path) -> None:
    """Add a line and wait until it is on the disk."""
    try:
        while line:
            line = line[file.write(line) :]
        os.fsync(file.fileno())
    except OSError as error:
        say = f"{error.strerror}: what was finished before is kept, make room and call again"
        raise OSError(error.errno, say, str(path)) from error


def _lines(path: Path) -> Iterator[tuple[Run, int]]:
    """Each run and the place in the file where its line ends."""
    if path.is_dir():
        raise ValueError(f"store={str(path)!r} is a folder: name a file in it, e.g. {str(path / 'runs.jsonl')!r}")
    if path.exists() and not path.is_file():
        raise ValueError(f"store={str(path)!r} is a device or a pipe: name a file, e.g. 'runs.jsonl'")
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    end = 0
    for number, line in enumerate(lines, 1):
        try:
            run = json.loads(line)
            _ = [run[name] for name in _HEAD], run["run"].encode()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            cut = isinstance(error, json.JSONDecodeError) and number == len(lines) and not line.endswith(b"\n")
            if cut and line.startswith(_BEGIN[: len(line)]):
                return  # torn: its writer died
            raise ValueError(
                f"{path}, line {number}: no finished run of a sweep; repair or delete the line, or use another store"
            ) from None
        end += len(line)
        yield run, end
