"""Images and labels as bytes in one file, which is whole or not there."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from sofim_lab.files import put_in_place


def write_packed(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Write pixels and labels, compressed; whoever reads at the same time finds the whole file or none.

    Args:
        path: Where to; folders are made.
        x: Pixels, uint8, shape (n, d).
        y: Labels below 256, shape (n,).
    """
    with put_in_place(path) as temporary, temporary.open("xb") as file:
        np.savez_compressed(file, x=x, y=y.astype(np.uint8))


def read_packed(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read what `write_packed` wrote; its checksums are verified.

    Args:
        path: The file.

    Returns:
        Pixels and labels, uint8.

    Raises:
        ValueError: The file is cut off, changed, or another kind of file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_packed(Path(folder) / "two.npz", np.zeros((2, 3), np.uint8), np.array([0, 1]))
        ...     x, y = read_packed(Path(folder) / "two.npz")
        >>> x.shape, y.tolist()
        ((2, 3), [0, 1])
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["x"], file["y"]
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}): delete it, the next call makes it anew"
        ) from error
