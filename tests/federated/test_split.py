"""The Dirichlet split is a partition, depends on its seed alone, and mixes as evenly as α says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sofim_lab.federated import class_counts, dirichlet_split, unevenness
from sofim_lab.problems import load_digits

LABELS = load_digits("cpu").train.y


@given(st.integers(1, 60), st.floats(1e-5, 1e4), st.integers(0, 2**31))
def test_every_sample_has_one_owner_and_nobody_goes_empty(clients, alpha, seed):
    labels = LABELS[:200]
    parts = dirichlet_split(labels, clients, alpha, seed=seed)
    assert len(parts) == clients
    assert min(len(part) for part in parts) >= 1
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(200))


def test_it_depends_on_the_seed_alone():
    again = [dirichlet_split(LABELS, 8, 0.3, seed=seed) for seed in (4, 4, 5)]
    assert all(torch.equal(a, b) for a, b in zip(again[0], again[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(again[0], again[2], strict=True))


@pytest.mark.parametrize("alpha", [1e7, 1e308])
def test_a_large_alpha_deals_evenly(alpha):
    counts = class_counts(LABELS, dirichlet_split(LABELS, 10, alpha))
    fair = torch.bincount(LABELS).double() / 10
    assert (counts - fair).abs().max() <= 1.5  # cutting a class into whole samples


def test_a_small_alpha_gives_each_class_to_one_client():
    counts = class_counts(LABELS, dirichlet_split(LABELS, 10, 1e-4))
    largest = counts.max(dim=0).values / counts.sum(dim=0)
    assert largest.min() > 0.9


def test_unevenness_falls_as_alpha_grows():
    means = [
        sum(unevenness(LABELS, dirichlet_split(LABELS, 10, alpha, seed=seed)) for seed in range(5)) / 5
        for alpha in (0.01, 0.1, 1.0, 10.0, 1e6)
    ]
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.02


def test_shares_are_those_of_a_dirichlet_distribution():
    """Mean 1/K and variance (K − 1)/(K²(Kα + 1)) of a client's share of a class."""
    labels = torch.zeros(1000, dtype=torch.int64)
    clients, alpha = 5, 0.7
    parts = [dirichlet_split(labels, clients, alpha, seed=seed) for seed in range(400)]
    shares = torch.tensor([[len(part) / 1000 for part in split] for split in parts], dtype=torch.float64)
    variance = (clients - 1) / (clients**2 * (clients * alpha + 1))
    assert shares.mean(dim=0).tolist() == pytest.approx([1 / clients] * clients, abs=0.04)
    assert float(shares.var()) == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(
    ("labels", "clients", "alpha", "named"),
    [
        (LABELS, 0, 1.0, "clients=0"),
        (LABELS, 1198, 1.0, "clients=1198"),
        (LABELS, 3, 0.0, "alpha=0.0"),
        (LABELS, 3, float("inf"), "alpha=inf"),
        (LABELS.double(), 3, 1.0, "labels of shape"),
    ],
)
def test_what_is_out_of_range_is_named(labels, clients, alpha, named):
    with pytest.raises(ValueError, match=named):
        dirichlet_split(labels, clients, alpha)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_named(label):
    with pytest.raises(ValueError, match=f"classes=2, but a label is {label}"):
        class_counts(torch.tensor([0, label]), [torch.tensor([0]), torch.tensor([1])], classes=2)
