"""Writing files so that nobody ever reads half of one."""

import os
import secrets
from pathlib import Path


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say which
            error.filename = str(path)
        raise
