"""What is not the data set that it should be is refused, whoever spoilt it: the server, the way, or the disk."""

import gzip

import numpy as np
import pytest
import torch
from fake_openml import MNIST, fake, load, no_network, shifted

from sofim_lab.problems.openml import load_openml


def downloaded(home):
    (file,) = (home / "openml").rglob("fake.arff.gz")
    return file


def cut_off(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def tampered(file):
    text = gzip.decompress(file.read_bytes()).replace(b"\n0,", b"\n9,", 1).replace(b",1,", b",2,", 1)
    file.write_bytes(gzip.compress(text))


@pytest.mark.parametrize("damage", [cut_off, tampered])
def test_a_damaged_download_is_fetched_again_or_named(damage, home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        whole = load(MNIST)
        file = downloaded(home)
        damage(file)
        (home / "sofim_lab" / "mnist.npz").unlink()
        asked = len(server.asked)
        with pytest.warns(RuntimeWarning, match=r"mnist: Invalid cache, redownloading file to .*fake\.arff\.gz"):
            healed = load_openml(MNIST, "cpu", torch.float64)
        assert len(server.asked) == asked + 1
    assert torch.equal(healed.train.x, whole.train.x)
    damage(file)
    (home / "sofim_lab" / "mnist.npz").unlink()
    no_network(monkeypatch)
    with pytest.raises(ConnectionError, match=r"the cached file .*fake\.arff\.gz was damaged and has been removed"):
        load(MNIST)


def test_a_download_that_breaks_off_is_not_taken_for_the_data(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.cut = 50_000
        with pytest.raises((ValueError, ConnectionError), match=r"mnist.*md5 checksum"):
            load(MNIST)
        server.cut = None
        with pytest.warns(RuntimeWarning, match="mnist: Invalid cache"):
            assert len(load_openml(MNIST, "cpu").train) == 40


def test_a_checksum_that_is_not_met_is_refused(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.md5 = "0" * 32
        with pytest.raises(ValueError, match=r"mnist: what openml.org sent .* md5 checksum .*: delete .*openml"):
            load(MNIST)


def packed(home):
    return home / "sofim_lab" / "mnist.npz"


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def other_numbers(file):
    with np.load(file) as old:
        x, y = old["x"], old["y"]
    np.savez_compressed(file, x=x[:-1], y=y[:-1])


def other_names(file):
    np.savez_compressed(file, images=np.zeros((80, 784), np.uint8))


@pytest.mark.parametrize("damage", [cut_off, flipped, other_numbers, other_names, lambda file: file.write_bytes(b"")])
def test_a_damaged_packed_file_is_named_with_its_remedy(damage, home, monkeypatch):
    with fake(MNIST).running(monkeypatch):
        whole = load(MNIST)
        damage(packed(home))
        with pytest.raises(ValueError, match=r"mnist\.npz.*delete it"):
            load(MNIST)
        packed(home).unlink()
        assert torch.equal(load(MNIST).train.x, whole.train.x)


def columns_missing(server):
    server.pixels = server.pixels[:, :-1]


def too_bright(server):
    server.pixels[3, 100] = 256


def negative(server):
    server.pixels[3, 100] = -1


def fractions(server):
    server.pixels = server.pixels / 255


def one_fraction(server):
    server.pixels = server.pixels.astype(object)
    server.pixels[3, 100] = 17.5


def bad_label(server):
    server.labels[5] = "10"


def text_label(server):
    server.labels = [f"cat{label}" for label in server.labels]


def half_label(server):
    server.labels[5] = "5.5"


def no_pixel(server):
    server.pixels = server.pixels.astype(object)
    server.pixels[3, 100] = "?"


def class_missing(server):
    server.labels = ["0" if label == "7" else label for label in server.labels]


def by_class(server):
    server.labels = sorted(server.labels)


def one_label_wrong(server):
    server.labels[62] = "7"


def two_samples_exchanged(server):  # all classes are as frequent as before, in all
    server.labels[5], server.labels[62] = server.labels[62], server.labels[5]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (columns_missing, r"found pixels of shape \(80, 783\) where \(80, 784\) must be"),
        (too_bright, "found pixels from 0 to 256 where values from 0 to 255 must be"),
        (negative, "found pixels from -1 to 255 where"),
        (fractions, "found no pixel above 1 where values up to 255 must be"),
        (one_fraction, "found pixels that are fractions where whole numbers from 0 to 255 must be"),
        (bad_label, "found labels 0, 1, .*, 9, 10 where 0 to 9, each at least once, must be"),
        (text_label, "mnist: what openml.org sent .* could not convert string to float: 'cat"),
        (half_label, "found labels that are no whole numbers, such as 5.5"),
        (no_pixel, "found pixels from nan to nan where"),
        (class_missing, "found labels 0, 1, 2, 3, 4, 5, 6, 8, 9 where 0 to 9"),
        (shifted, "found labels 1, 2, .* 10 where 0 to 9"),
        (one_label_wrong, "class 2 has 7 samples where 8 were published, so labels are wrong"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_data_that_are_not_what_they_should_be_are_refused(spoil, message, home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        spoil(server)
        with pytest.raises(ValueError, match=message) as error:
            load(MNIST)
    assert "data set 554" in str(error.value)
    assert str(home / "openml") in str(error.value)
    assert not packed(home).exists()


@pytest.mark.parametrize("disorder", [by_class, two_samples_exchanged])
def test_samples_in_another_order_are_loaded_with_a_warning(disorder, home, monkeypatch):
    words = r"mnist: the last 20 samples have .* of the classes where the published test set has 2, 2, .* another order"
    with fake(MNIST).running(monkeypatch) as server:
        disorder(server)
        with pytest.warns(UserWarning, match=words):
            data = load_openml(MNIST, "cpu")
    loaded = torch.cat([data.train.y, data.val.y, data.test.y])
    assert loaded.bincount().tolist() == [8] * 10
    assert data.test.y.tolist() == [int(label) for label in server.labels[60:]]
    with pytest.warns(UserWarning, match=words):  # from the cache, too
        load_openml(MNIST, "cpu")
