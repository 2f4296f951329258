import dataclasses

import pytest
import torch

from sofim_lab.problems import DATASETS, MODELS, Dataset, Split, load_dataset, load_digits

EMBEDDED = [name for name, entry in DATASETS.items() if not entry.needs_download]


def part(n=4, d=6):
    return Split(torch.zeros(n, d), torch.arange(n) % 2)


def test_rows_have_the_length_of_the_shape():
    with pytest.raises(ValueError, match=r"shape=\(1, 2, 2\) means rows of 4 numbers, but val\.x has samples of .*6"):
        Dataset("odd", part(d=4), part(d=6), part(d=4), classes=2, shape=(1, 2, 2))
    images = Split(torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"samples of shape \(1, 2, 2\): flatten them"):
        Dataset("images", images, images, images, classes=2, shape=(1, 2, 2))


def test_one_class_is_none():
    with pytest.raises(ValueError, match="classes=1 must be 2 or more"):
        Dataset("dull", part(), part(), part(), classes=1, shape=(6,))


def test_a_data_set_stays_as_it_is():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_digits("cpu").classes = 9


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_name_gives_its_data(name, dtype):
    data = load_dataset(name, "cpu", dtype)
    assert data.name == name
    assert [len(split) for split in (data.train, data.val, data.test)] == [1197, 300, 300]
    for split in (data.train, data.val, data.test):
        assert split.x.dtype == dtype
        assert torch.isfinite(split.x).all()
        assert split.y.dtype == torch.int64
        assert set(split.y.tolist()) == set(range(data.classes))
    assert DATASETS[name].model in MODELS


def test_the_seed_moves_what_is_drawn_and_not_the_split():
    for name, moves in (("digits", False), ("digits-noisy", True), ("digits-ill-conditioned", True)):
        one, two, again = (load_dataset(name, "cpu", seed=seed) for seed in (0, 1, 0))
        assert torch.equal(one.train.x, again.train.x)
        assert torch.equal(one.train.y, again.train.y)
        assert moves != (torch.equal(one.train.x, two.train.x) and torch.equal(one.train.y, two.train.y))
        assert torch.equal(one.test.y, two.test.y)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no data set is called 'mnst': there are digits, digits-ill-conditioned"):
        load_dataset("mnst")


def test_each_sample_has_one_label():
    good, short = Split(torch.zeros(6, 4), torch.zeros(6).long()), Split(torch.zeros(6, 4), torch.zeros(5).long())
    with pytest.raises(ValueError, match="val has 6 samples x and 5 labels y"):
        Dataset("odd", good, short, good, classes=2, shape=(4,))
