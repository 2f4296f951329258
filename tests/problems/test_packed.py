import hashlib

import numpy as np
import pytest

from sofim_lab.problems import packed

X, Y = np.arange(12, dtype=np.uint8).reshape(4, 3), np.array([0, 1, 1, 0])


def test_bytes_come_back(tmp_path):
    packed.write_packed(tmp_path / "new" / "folder" / "x.npz", X, Y)
    x, y, sha256 = packed.read_packed(tmp_path / "new" / "folder" / "x.npz")
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
    assert x.dtype == y.dtype == np.uint8
    assert sha256 == hashlib.sha256(bytes([*range(12), 0, 1, 1, 0])).hexdigest()


@pytest.mark.parametrize("old", [None, Y])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(old, tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    if old is not None:
        packed.write_packed(path, X, old)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")  # without a number, as Pillow does

    monkeypatch.setattr(packed.np, "savez_compressed", full)
    with pytest.raises(OSError, match="no space left"):
        packed.write_packed(path, X, 1 - Y)
    assert [file.name for file in tmp_path.iterdir()] == ([] if old is None else ["x.npz"])
    if old is not None:
        assert np.array_equal(packed.read_packed(path)[1], old)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object), y=Y)
    with pytest.raises(ValueError, match=r"x\.npz is damaged .*: delete it"):
        packed.read_packed(tmp_path / "x.npz")
