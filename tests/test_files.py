"""A file is written whole or not at all, whoever writes it."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sofim_lab.benchmark.report import write_table
from sofim_lab.files import copy_atomically, write_atomically
from sofim_lab.landscape import Slice
from sofim_lab.plots.film import Film
from sofim_lab.problems.packed import write_packed

NOISE = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)  # cannot be compressed to 64 kB
LIMIT = 50_000  # bytes


def film(large):
    frames = tuple(Image.fromarray(picture if large else picture[:10, :10]) for picture in (NOISE, NOISE.T))
    return Film(frames, "noise", 100)


def slice_(large):
    points = np.linspace(0, 1, 300 if large else 3)
    return Slice(points, points, NOISE.astype(float) if large else np.eye(3))


# Everything that the package writes into a file of its own: the ending, and who writes little or much to a path.
WRITERS = {
    "text": lambda path, large: write_atomically(path, "x" * (200_000 if large else 10)),
    "gif": lambda path, large: film(large).save(path),
    "html": lambda path, large: film(large).save(path),
    "npz": lambda path, large: slice_(large).save(path),
    "csv": lambda path, large: write_table(pd.DataFrame({"x": range(50_000 if large else 5)}), path),
    "packed": lambda path, large: write_packed(path, NOISE if large else NOISE[:5], np.arange(300 if large else 5) % 9),
}


@pytest.fixture
def file_limit(tmp_path):
    """A folder in which no file can grow beyond `LIMIT`."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("place", ["file_limit", "small_disk"])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(place, ending, request):
    folder, write = request.getfixturevalue(place), WRITERS[ending]
    path = folder / f"a.{ending}"
    write(path, large=False)
    before = path.read_bytes()
    with pytest.raises(OSError, match="File too large" if place == "file_limit" else "No space left") as caught:
        write(path, large=True)
    assert str(caught.value).endswith(f": {str(path)!r}")
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path]


def test_failure_while_replacing_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_encoded_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_line_ends_are_the_same_everywhere(tmp_path):
    write_atomically(tmp_path / "new" / "folder" / "a.txt", "ä\nb\n")
    assert (tmp_path / "new" / "folder" / "a.txt").read_bytes() == "ä\nb\n".encode()


@pytest.mark.skipif(os.name != "posix", reason="links and permissions as POSIX knows them")
def test_a_link_stays_a_link_and_nobody_may_read_more_than_before(tmp_path):
    file, link = tmp_path / "there" / "a.json", tmp_path / "a.json"
    write_atomically(file, "old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == "new"
    copy_atomically(tmp_path / "a.json", file)
    assert file.stat().st_mode & 0o777 == 0o640
