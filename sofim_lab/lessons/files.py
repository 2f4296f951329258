"""Writing files so that nobody ever reads half of one, and folders so that only one program does."""

import os
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sofim_lab.lessons.errors import LessonError

LOCK = ".lock"


def write_atomically(path: Path, text: str) -> None:
    r"""Put `text` into `path`, whole or not at all.

    The text goes to a temporary name in the same folder first, and `os.replace` gives it its own name in one
    step: a reader sees the old file or the new one, and a failure on the way leaves the old one as it was.

    Args:
        path: where the text belongs; folders above it are made.
        text: the contents, written as UTF-8 with `\n` line ends.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full; nothing is left behind.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomically(folder / "report" / "a.txt", "whole")
        >>> [p.name for p in (folder / "report").iterdir()]
        ['a.txt']
    """
    with _put_in_place(path) as temporary, open(temporary, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file's contents to `path`, whole or not at all, as `write_atomically` does.

    Args:
        source: the file to copy.
        path: where the copy belongs; folders above it are made.

    Raises:
        OSError: the source cannot be read or the copy not be written; nothing is left behind.
    """
    with _put_in_place(path) as temporary:
        shutil.copyfile(source, temporary)


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
    except NotImplementedError:
        warnings.warn(
            f"{folder} lies on a drive without locks: do not write two runs into it at the same time", stacklevel=3
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder for what takes the name `path` at the end; after an error nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (
            error.filename is None or str(temporary) in (str(error.filename), str(error.filename2))
        ):
            error.filename, error.filename2 = str(path), None  # a full disk does not say which, or names the other
        raise
