"""Clipping and noise: against a loop over samples, against the statistics of the noise, and against a neighbour."""

import math

import pytest
import torch
from torch import nn

from sofim_lab.federated import Privacy, clip_rows, dirichlet_split, fed_avg, federate, private_gradient
from sofim_lab.problems import load_digits, mlp

DATA = load_digits("cpu", dtype=torch.float64)
X, Y = DATA.train.x[:60], DATA.train.y[:60]


def network():
    return mlp((64, 6, 10), device="cpu", dtype=torch.float64)


def gradient_of(model, i):
    model.zero_grad()
    nn.functional.cross_entropy(model(X[i : i + 1]), Y[i : i + 1]).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("clip", [0.3, 1.0, 100.0])
def test_without_noise_it_is_the_mean_of_clipped_gradients(clip):
    model = network()
    clipped = []
    for i in range(60):
        g = gradient_of(model, i)
        clipped.append(g if g.norm() <= clip else g * clip / g.norm())
    found = private_gradient(model, X, Y, Privacy(clip, 0.0), torch.Generator())
    assert (found - torch.stack(clipped).mean(dim=0)).abs().max() <= 1e-13


def test_no_row_is_longer_than_the_norm_and_short_ones_stay():
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[3] = 0
    rows[:10] *= 0.01
    clipped, norms = clip_rows(rows, 0.5)
    assert clipped.norm(dim=1).max() <= 0.5 + 1e-12
    assert torch.equal(clipped[:10], rows[:10])
    assert norms.tolist() == pytest.approx(rows.norm(dim=1).tolist())


def test_one_sample_more_shifts_the_sum_by_at_most_the_clipping_norm():
    """The sensitivity that the account supposes, for every neighbour that lacks a sample."""
    model, clip = network(), 0.7
    quiet = Privacy(clip, 0.0)

    def total(keep):
        return private_gradient(model, X[keep], Y[keep], quiet, torch.Generator()) * len(keep)

    whole = total(list(range(60)))
    shifts = [float((whole - total([j for j in range(60) if j != i])).norm()) for i in range(60)]
    assert max(shifts) <= clip + 1e-12
    assert max(shifts) >= 0.99 * clip


@pytest.mark.parametrize("holders", [1, 7])
def test_the_noise_has_the_deviation_that_the_account_supposes(holders):
    model, privacy = network(), Privacy(clip=0.5, noise=3.0)
    random = torch.Generator().manual_seed(0)
    quiet = private_gradient(model, X, Y, Privacy(0.5, 0.0), torch.Generator())
    draws = torch.stack([private_gradient(model, X, Y, privacy, random, holders=holders) for _ in range(100)]) - quiet
    noise = draws * 60
    assert float(noise.std()) == pytest.approx(3.0 * 0.5, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.03)
    lag = (noise[:, 1:] * noise[:, :-1]).mean() / noise.var()
    assert abs(float(lag)) < 0.02


def test_the_budget_is_kept():
    privacy = Privacy.for_budget(epsilon=3.0, delta=1e-4, releases=40, clip=1.0)
    assert privacy.epsilon(40) == pytest.approx(3.0)
    assert privacy.epsilon(10) < 3.0 < privacy.epsilon(41)
    assert Privacy(1.0, 0.0).epsilon(1) == math.inf
    assert Privacy(1.0, 0.0).epsilon(0) == 0


def test_a_private_round_does_not_depend_on_how_samples_are_dealt():
    """Only the noise's shares do; without noise the releases are the same."""
    ends = []
    for alpha in (0.1, 100.0):
        model = network()
        parts = dirichlet_split(DATA.train.y, 5, alpha)
        options = {"rounds": 2, "privacy": Privacy(0.5, 0.0), "progress": False}
        run = federate(model, DATA, fed_avg(1.0)(model.parameters()), parts, **options)
        ends.append(run.final.train_loss)
    assert ends[0] == ends[1]
    assert run.settings["clip"] == 0.5


def test_noise_enters_the_rounds():
    losses = []
    for noise in (0.0, 50.0):
        model = network()
        parts = dirichlet_split(DATA.train.y, 5, 1.0)
        server = fed_avg(1.0)(model.parameters())
        losses.append(
            federate(model, DATA, server, parts, rounds=5, privacy=Privacy(0.5, noise), progress=False).final.train_loss
        )
    assert losses[1] > losses[0]


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"noise": -1.0}, {"delta": 1.0}, {"clip": math.nan}])
def test_what_is_out_of_range_is_named(options):
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Privacy(**{"clip": 1.0, "noise": 1.0, **options})
    with pytest.raises(ValueError, match="holders=0"):
        private_gradient(network(), X, Y, Privacy(1.0, 1.0), torch.Generator(), holders=0)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan])
def test_a_clipping_norm_that_is_not_positive_is_named(clip):
    with pytest.raises(ValueError, match=f"clip={clip}"):
        clip_rows(torch.ones(2, 3), clip)
