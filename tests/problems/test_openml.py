"""Downloads, against a server on this machine: what arrives, what is asked for, what is said without a network."""

import math
import socket

import pytest
import torch
from fake_openml import MNIST, SMALL, fake, load, no_network, shifted

from sofim_lab.problems import DATASETS, build_model, load_dataset, openml
from sofim_lab.problems.openml import SOURCES, load_openml


@pytest.mark.parametrize("name", SOURCES)
def test_what_the_server_has_arrives_in_its_split(name, home, monkeypatch):
    source = SMALL[name]
    with fake(source).running(monkeypatch) as server:
        data = load(source)
    images, labels = torch.from_numpy(server.pixels).double() / 255, torch.arange(80) % 10
    assert (data.name, data.shape, data.classes) == (name, source.shape, 10)
    assert [len(part) for part in (data.train, data.val, data.test)] == [40, 20, 20]
    torch.testing.assert_close(data.test.x, images[60:])
    assert torch.equal(data.test.y, labels[60:])
    assert torch.bincount(data.val.y).tolist() == [2] * 10  # the classes in proportion
    rest = torch.cat([data.train.x, data.val.x])
    for row, y in zip(rest, torch.cat([data.train.y, data.val.y]), strict=True):
        place = int((images[:60] - row).abs().sum(1).argmin())
        torch.testing.assert_close(row, images[place])
        assert y == labels[place]
    assert len({tuple(row.tolist()) for row in rest}) == 60
    width = {"width": 4} if DATASETS[name].model == "resnet9" else {}
    assert build_model(DATASETS[name].model, data, **width)(data.val.x).shape == (20, 10)


def test_the_second_time_nothing_is_asked_for(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        first = load(MNIST)
        asked = len(server.asked)
        second = load(MNIST)
        assert len(server.asked) == asked == 4
    assert torch.equal(first.train.x, second.train.x)
    # Nor is what was downloaded needed any more.
    for file in (home / "openml").rglob("*.gz"):
        file.unlink()
    no_network(monkeypatch)
    again = load_openml(MNIST, "cpu", torch.float32)
    assert again.train.x.dtype == torch.float32
    torch.testing.assert_close(again.train.x.double(), first.train.x, rtol=1e-7, atol=0)
    assert torch.equal(again.val.y, first.val.y)


def test_the_counts_that_are_published_are_insisted_on(home, monkeypatch):
    with (
        fake(MNIST).running(monkeypatch),
        pytest.raises(ValueError, match=r"found 80 images .* where 70,000 of each must be: .*554 in .*openml"),
    ):
        load_dataset("mnist", "cpu")
    assert not (home / "sofim_lab").exists()
    counts = {name: (sum(s.train), sum(s.test), s.shape, len(s.train)) for name, s in SOURCES.items()}
    assert counts == {
        "mnist": (60_000, 10_000, (1, 28, 28), 10),
        "fashion-mnist": (60_000, 10_000, (1, 28, 28), 10),
        "svhn": (73_257, 26_032, (3, 32, 32), 10),
        "cifar10": (50_000, 10_000, (3, 32, 32), 10),
    }


@pytest.mark.parametrize("status", [500, 503, 404])
def test_a_failing_answer_is_asked_for_again(status, home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.failures = [status, 200, 200, status, status, 200, status]
        assert len(load(MNIST).test) == 20
        assert len(server.asked) == 8
        assert server.failures == []


def test_a_server_that_fails_for_good_is_reported(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.failures = [500] * 99
        with pytest.raises(ConnectionError, match=r"mnist is not in the cache .* \(HTTP Error 500"):
            load(MNIST)


def test_a_silent_server_is_not_waited_for_for_ever(home, monkeypatch, capsys):
    monkeypatch.setattr(openml, "_PATIENCE", 0.05)
    with fake(MNIST).running(monkeypatch) as server:
        server.silent = math.inf
        with pytest.raises(ConnectionError, match=r"mnist is not in the cache .* \(.*timed out") as raised:
            load(MNIST)
        assert 1 < len(server.asked) <= 8  # scikit-learn begins its four tries anew
    assert capsys.readouterr().err == f"mnist: fetching data set 554 of openml.org, once, for {home}\n"
    assert "damaged" not in str(raised.value)  # there was no file, though scikit-learn speaks of an invalid cache
    assert socket.getdefaulttimeout() is None


def test_an_answer_that_came_late_is_no_damage(home, monkeypatch):
    monkeypatch.setattr(openml, "_PATIENCE", 0.3)
    with fake(MNIST).running(monkeypatch) as server:
        server.silent = 5  # one more than the tries of a request, so that scikit-learn begins anew
        assert len(load(MNIST).train) == 40  # and warns of nothing


def no_folder(home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file")


def no_room_for_the_download(home):
    home.mkdir(parents=True)
    (home / "openml").write_text("a file")


def no_room_for_the_packed_file(home):
    home.mkdir(parents=True)
    (home / "sofim_lab").write_text("a file")


@pytest.mark.parametrize("spoil", [no_folder, no_room_for_the_download, no_room_for_the_packed_file])
def test_a_cache_that_cannot_be_written_is_not_the_fault_of_the_server(spoil, home, monkeypatch):
    spoil(home)
    with (
        fake(MNIST).running(monkeypatch),
        pytest.raises(OSError, match=rf"the cache of downloads cannot be written \(.*: {home}.*\): .*SOFIM_LAB_DATA"),
    ):
        load_openml(MNIST, "cpu")


def test_a_data_set_that_is_gone_is_no_matter_of_the_network(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.failures = [412]
        with pytest.raises(ValueError, match=r"mnist: what openml\.org sent .* \(OpenMLError: .*554 not found"):
            load(MNIST)


def test_without_network_the_message_says_where_and_what(home, monkeypatch):
    no_network(monkeypatch)
    with pytest.raises(ConnectionError) as error:
        load_dataset("cifar10", "cpu")
    said = str(error.value)
    assert "cifar10 is not in the cache" in said
    assert "no route to host" in said
    assert f"The cache is {home}; set SOFIM_LAB_DATA" in said
    assert "copy sofim_lab/cifar10.npz into it" in said
    assert "'digits'" in said


def test_without_the_variable_the_cache_is_that_of_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.delenv("SOFIM_LAB_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "theirs"))
    with fake(MNIST).running(monkeypatch):
        load(MNIST)
    assert (tmp_path / "theirs" / "sofim_lab" / "mnist.npz").exists()


def test_the_zero_of_svhn_is_written_as_ten(home, monkeypatch):
    with fake(SMALL["svhn"]).running(monkeypatch) as server:
        shifted(server)
        data = load(SMALL["svhn"])
    assert data.test.y.tolist() == [(int(y) + 1) % 10 for y in torch.arange(60, 80) % 10]


def test_labels_in_quotes_are_numbers_too(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.labels = [f"'{label}'" for label in server.labels]
        assert load(MNIST).test.y.tolist() == (torch.arange(60, 80) % 10).tolist()


@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_colours_come_channel_by_channel_however_they_are_stored(name, home, monkeypatch):
    source = SMALL[name]
    with fake(source).running(monkeypatch) as server:
        planes = server.pixels
        server.pixels = planes.reshape(80, 3, 1024).transpose(0, 2, 1).reshape(80, 3072)
        data = load(source)
    torch.testing.assert_close(data.test.x, torch.from_numpy(planes[60:]).double() / 255)


def test_what_openml_warns_of_is_passed_on(home, monkeypatch):
    with fake(MNIST).running(monkeypatch) as server:
        server.status = "deactivated"
        with pytest.warns(UserWarning, match=r"mnist: Version 1 of dataset fake is inactive"):
            load_openml(MNIST, "cpu")


def test_bad_arguments_cost_no_download(home, monkeypatch):
    no_network(monkeypatch)
    with pytest.raises(ValueError, match=r"dtype=torch\.int64 is no floating type"):
        load_dataset("mnist", "cpu", torch.int64)
    with pytest.raises(ValueError, match="device='gpu' is unknown"):
        load_dataset("mnist", "gpu")
