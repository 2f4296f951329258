"""Images and labels as bytes in one file, which is whole or not there."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from sofim_lab.files import put_in_place


def digest(x: np.ndarray, y: np.ndarray) -> str:
    """The SHA-256 of the pixels' bytes, row after row, and then the labels' bytes, in hexadecimal digits.

    Args:
        x: Pixels, uint8, shape (n, d).
        y: Labels below 256, shape (n,).

    Example:
        >>> digest(np.array([[97, 98]], np.uint8), np.array([99])) == hashlib.sha256(b"abc").hexdigest()
        True
    """
    state = hashlib.sha256(np.ascontiguousarray(x).data)
    state.update(y.astype(np.uint8).data)
    return state.hexdigest()


def write_packed(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    """Write pixels, labels and their digest, compressed; a reader at the same time finds the whole file or none.

    Args:
        path: Where to; folders are made.
        x: Pixels, uint8, shape (n, d).
        y: Labels below 256, shape (n,).

    Returns:
        The digest.
    """
    sha256 = digest(x, y)
    with put_in_place(path) as temporary, temporary.open("xb") as file:
        np.savez_compressed(file, x=x, y=y.astype(np.uint8), sha256=np.array(sha256))
    return sha256


def read_packed(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Read what `write_packed` wrote; the checksums of the file and the digest of what is in it are verified.

    Args:
        path: The file.

    Returns:
        Pixels and labels, uint8, and their digest.

    Raises:
        ValueError: The file is cut off, changed, written anew with other contents, or another kind of file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_packed(Path(folder) / "two.npz", np.zeros((2, 3), np.uint8), np.array([0, 1]))
        ...     x, y, sha256 = read_packed(Path(folder) / "two.npz")
        >>> x.shape, y.tolist(), sha256 == written
        ((2, 3), [0, 1], True)
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            x, y, recorded = file["x"], file["y"], str(file["sha256"])
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}): delete it, the next call makes it anew"
        ) from error
    found = digest(x, y)
    if found != recorded:
        raise ValueError(
            f"{path.stem} has the sha256 {found} where {recorded} was recorded when it was packed, so {path} was "
            "changed since: delete it, the next call makes it anew"
        )
    return x, y, found
