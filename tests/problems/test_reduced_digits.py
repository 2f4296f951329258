import pytest
import torch

from sofim_lab.problems import load_digits
from sofim_lab.problems.reduced_digits import noisy_labels, reduced_digits


def test_components_are_uncorrelated_with_variance_one_over_all_training_images():
    digits = reduced_digits(n=1197, features=8, device="cpu")
    assert torch.allclose(torch.cov(digits.x.T), torch.eye(8, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(digits.x.mean(0), torch.zeros(8, dtype=torch.float64), atol=1e-10)
    assert torch.equal(digits.y, load_digits("cpu").train.y)


def test_fewer_images_and_components_are_the_first_ones():
    many, few = reduced_digits(100, 8, device="cpu"), reduced_digits(20, 3, device="cpu", dtype=torch.float32)
    assert few.x.dtype == torch.float32
    assert torch.allclose(few.x.double(), many.x[:20, :3], atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("n", 0), ("n", 1198), ("features", 0), ("features", 61)])
def test_sizes_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}={value} must lie in 1"):
        reduced_digits(**{name: value}, device="cpu")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
def test_a_type_without_fractions_is_named(dtype):
    with pytest.raises(ValueError, match=f"dtype={dtype} is no floating type.*: use torch.float32"):
        reduced_digits(20, 3, device="cpu", dtype=dtype)


def test_a_share_of_the_labels_is_changed_and_always_to_another_class():
    y = torch.arange(200) % 10
    changed = {share: noisy_labels(y, share) != y for share in (0.0, 0.25, 0.5, 1.0)}
    assert [int(where.sum()) for where in changed.values()] == [0, 50, 100, 200]
    assert bool((changed[0.25] <= changed[0.5]).all())
    assert torch.equal(y, torch.arange(200) % 10)
    assert set(noisy_labels(torch.zeros(500, dtype=torch.int64), 1.0).tolist()) == set(range(1, 10))
    quarter = noisy_labels(y, 0.25)
    assert torch.equal(noisy_labels(y, 0.5)[changed[0.25]], quarter[changed[0.25]])
    assert not torch.equal(noisy_labels(y, 0.5, seed=1), noisy_labels(y, 0.5))


def test_a_share_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"share=1.5 must lie in \[0, 1\]"):
        noisy_labels(torch.zeros(3, dtype=torch.int64), 1.5)
