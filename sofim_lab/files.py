"""Writing files so that nobody ever reads half of one."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    r"""Put `content` into `path`, whole or not at all.

    Args:
        path: where it belongs; folders above it are made.
        content: bytes, or a text that is written as UTF-8 with `\n` line ends.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full; nothing is left behind.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomically(folder / "report" / "a.txt", "whole")
        >>> [p.name for p in (folder / "report").iterdir()]
        ['a.txt']
    """
    with put_in_place(path) as temporary, open(temporary, "xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file's contents to `path`, whole or not at all.

    Args:
        source: the file to copy.
        path: where the copy belongs; folders above it are made.

    Raises:
        OSError: the source cannot be read or the copy not be written; nothing is left behind.
    """
    with put_in_place(path) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder for what takes the name `path` at the end.

    `os.replace` gives it its own name in one step: a reader sees the old file or the new one, and a failure on the way
    leaves the old one as it was. A link stays a link, and who may read a file stays as it was.

    Args:
        path: where the file belongs; folders above it are made.

    Yields:
        The name to write to; there is no such file yet.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full; nothing is left behind.
    """
    place = Path(os.path.realpath(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        with suppress(FileNotFoundError):
            shutil.copymode(place, temporary)
        os.replace(temporary, place)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            names = {str(name) for name in (error.filename, error.filename2) if name is not None}
            if not names or str(temporary) in names:  # a full disk does not say which, or names the other
                raise OSError(error.errno, error.strerror, str(path)) from error
        raise
