"""Writing to a folder that only one program writes to at a time."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sofim_lab.lessons.errors import LessonError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone; the system releases it when the process ends, however it ends.

    Some network drives have no locks. There it warns and goes on: a lesson shall run on them, too.

    Args:
        folder: a folder that is there; an empty file `.lock` stays in it.

    Raises:
        LessonError: another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LessonError(
            f"another run is writing to {folder}: wait for its end, or choose another folder with --output"
        ) from None
    except NotImplementedError:  # filelock says so where a drive has no locks
        warnings.warn(
            f"{folder} lies on a drive without locks: do not write two runs into it at the same time", stacklevel=3
        )
    try:
        yield
    finally:
        lock.release()
