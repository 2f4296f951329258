"""The digest of a data set: kept with it, shown, compared with the one that was kept and the one that is pinned."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_openml import MNIST, SMALL, fake, load, no_network

from sofim_lab.problems import load_digits
from sofim_lab.problems.digests import main
from sofim_lab.problems.openml import SOURCES

OTHER = "0" * 64


def packed(home):
    return home / "sofim_lab" / "mnist.npz"


def true_digest(server):
    """Of what the server holds, channel by channel: the pixels and then the labels, a byte each."""
    return hashlib.sha256(server.pixels.astype(np.uint8).tobytes() + bytes(map(int, server.labels))).hexdigest()


@pytest.mark.parametrize("name", SOURCES)
def test_the_digest_is_of_pixels_and_labels_and_stays(name, home, monkeypatch):
    with fake(SMALL[name]).running(monkeypatch) as server:
        found = load(SMALL[name]).sha256
    assert found == true_digest(server)
    with np.load(home / "sofim_lab" / f"{name}.npz") as file:
        assert str(file["sha256"]) == found
    no_network(monkeypatch)
    assert load(SMALL[name]).sha256 == found
    assert load_digits("cpu").sha256 is None  # nothing was downloaded


def brighter(x, y):
    x[3, 100] ^= 1


def labels_exchanged(x, y):  # as many of each class as before
    y[[3, 4]] = y[[4, 3]]


@pytest.mark.parametrize("change", [brighter, labels_exchanged])
def test_a_packed_file_that_was_written_anew_is_refused(change, home, monkeypatch):
    with fake(MNIST).running(monkeypatch):
        whole = load(MNIST)
        with np.load(packed(home)) as old:
            content = dict(old)
        change(content["x"], content["y"])
        np.savez_compressed(packed(home), **content)
        found = hashlib.sha256(content["x"].tobytes() + content["y"].tobytes()).hexdigest()
        with pytest.raises(ValueError, match="mnist has the sha256") as error:
            load(MNIST)
        assert f"{found} where {whole.sha256} was recorded" in str(error.value)
        assert f"so {packed(home)} was changed since: delete it" in str(error.value)
        packed(home).unlink()
        assert torch.equal(load(MNIST).train.x, whole.train.x)


def test_what_is_not_the_pinned_data_set_is_refused(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        found = true_digest(server)
        message = rf"mnist has the sha256 {found} where {OTHER} is pinned, .*"
        with pytest.raises(ValueError, match=message + r"data set 554 in .*openml \(delete that folder"):
            load(replace(MNIST, sha256=OTHER))
        assert not packed(home).exists()
        assert load(replace(MNIST, sha256=found)).sha256 == found
        assert load(replace(MNIST, sha256=found)).sha256 == found  # from the packed file, too
        with pytest.raises(ValueError, match=message + r"mnist\.npz \(delete it"):
            load(replace(MNIST, sha256=OTHER))


def test_one_command_prints_all_digests(home, monkeypatch, capsys):
    digests = {}
    for name, source in SMALL.items():
        with fake(source).running(monkeypatch):
            digests[name] = load(source).sha256
        monkeypatch.setitem(SOURCES, name, source)
    no_network(monkeypatch)
    monkeypatch.setitem(SOURCES, "svhn", replace(SMALL["svhn"], sha256=digests["svhn"]))
    assert main() == 0
    printed = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        [name, found, "as pinned" if name == "svhn" else "not pinned yet"] for name, found in digests.items()
    ]


def test_the_command_goes_on_after_a_failure(home, monkeypatch, capsys):
    with fake(MNIST).running(monkeypatch):
        load(MNIST)
    no_network(monkeypatch)
    monkeypatch.setitem(SOURCES, "mnist", replace(MNIST, sha256=OTHER))
    assert main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{OTHER} is pinned" in err
    assert [f"\n{name} is not in the cache" in f"\n{err}" for name in SOURCES] == [False, True, True, True]


def test_the_readme_says_whether_the_digests_are_pinned():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert ("are not pinned yet" in readme) == all(source.sha256 is None for source in SOURCES.values())
