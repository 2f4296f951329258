import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from sofim_lab.problems import load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu")


def test_every_digit_is_in_exactly_one_part(digits):
    images, _ = sklearn_digits(return_X_y=True)
    parts = torch.cat([digits.train.x, digits.val.x, digits.test.x]).numpy()
    assert len(digits.train) + len(digits.val) + len(digits.test) == 1797
    assert np.array_equal(np.sort((parts * 16).astype(int), axis=0), np.sort(images.astype(int), axis=0))


def test_pixels_are_fractions_and_labels_digits(digits):
    for part in (digits.train, digits.val, digits.test):
        assert part.x.dtype == torch.float32
        assert part.x.min() == 0
        assert part.x.max() == 1
        assert set(part.y.tolist()) == set(range(10))


def test_the_split_is_stratified(digits):
    whole = torch.bincount(torch.cat([digits.train.y, digits.val.y, digits.test.y])) / 1797
    for part in (digits.train, digits.val, digits.test):
        assert torch.allclose(torch.bincount(part.y) / len(part), whole, atol=0.005)


def test_the_split_is_fixed(digits):
    # The first labels of two parts: another split would make every baseline meaningless.
    again = load_digits("cpu", dtype=torch.float64)
    assert torch.equal(again.train.x.float(), digits.train.x)
    assert digits.test.y[:12].tolist() == [4, 0, 7, 8, 7, 2, 3, 6, 1, 5, 8, 2]
    assert digits.train.y[:12].tolist() == [7, 6, 6, 1, 9, 7, 9, 2, 2, 0, 4, 3]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"dtype=torch\.int64 .* use torch\.float32"):
        load_digits("cpu", dtype=torch.int64)
    with pytest.raises(ValueError, match="device='gpu' is unknown: choose one of auto, cpu, cuda, mps"):
        load_digits("gpu")
