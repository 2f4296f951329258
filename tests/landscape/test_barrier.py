"""Barriers of losses whose barrier is known."""

import numpy as np
import pytest
import torch
from torch import nn

from sofim_lab.landscape.barrier import barrier
from sofim_lab.landscape.tree import flatten, parameters

WIDE = torch.float64
DATA = torch.ones(1, 1, dtype=WIDE), torch.ones(1, 1, dtype=WIDE)


def line():
    return nn.Linear(1, 1, bias=False, dtype=WIDE)


def at(w):
    return {"weight": torch.tensor([[w]], dtype=WIDE)}


def wells(tilt=0.0):
    """(w² − 1)² + tilt · w: wells at ±1."""
    return lambda w, y: ((w.square() - 1).square() + tilt * w).mean()


def test_a_double_well():
    found = barrier(line(), wells(), DATA, at(-1.0), at(1.0), points=101)
    assert found.t[[0, -1]].tolist() == [0, 1]
    np.testing.assert_allclose(found.loss, ((2 * found.t - 1) ** 2 - 1) ** 2, atol=1e-12)
    assert found.height == pytest.approx(1, abs=1e-12)
    assert found.where == pytest.approx(0.5)


def test_the_height_is_above_the_line_between_the_ends_and_not_above_the_lower_one():
    found = barrier(line(), wells(tilt=5.0), DATA, at(-1.0), at(1.0), points=101)
    assert found.height == pytest.approx(1, abs=1e-12)
    assert found.excess[[0, -1]] == pytest.approx([0, 0], abs=1e-12)


def test_a_quadratic_has_none():
    found = barrier(line(), lambda w, y: (w - 0.3).square().mean(), DATA, at(-1.0), at(1.0), points=11)
    assert found.height == 0
    assert found.excess.min() == pytest.approx(-1)  # t(1 − t)·2² at the middle


def test_a_concave_quadratic_has_its_closed_form():
    found = barrier(line(), lambda w, y: -3 * w.square().mean(), DATA, at(-1.0), at(3.0), points=5)
    assert found.height == pytest.approx(3 * 4**2 / 4)
    assert found.where == 0.5


def test_ends_may_be_models_and_nobody_is_moved():
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double() for _ in range(3)]
    x, y = torch.randn(20, 3, dtype=WIDE), torch.arange(20) % 2
    before = [flatten(parameters(net)) for net in nets]
    found = barrier(nets[2], nn.CrossEntropyLoss(), (x, y), nets[0], nets[1], points=7, accuracy=True)
    assert all(torch.equal(flatten(parameters(net)), old) for net, old in zip(nets, before, strict=True))
    ends = [float(nn.functional.cross_entropy(net(x), y).detach()) for net in nets[:2]]
    assert found.loss[[0, -1]] == pytest.approx(ends, abs=1e-12)
    assert found.slice.accuracy.shape == (7,)


def test_losses_that_are_not_finite():
    def wall(w, y):
        return torch.where(w.abs() < 0.5, torch.inf, w.square()).mean()

    with pytest.warns(RuntimeWarning, match="1 of 5 points"):
        between = barrier(line(), wall, DATA, at(-1.0), at(1.0), points=5)
    assert between.height == np.inf
    assert between.where == 0.5
    with pytest.warns(RuntimeWarning, match="of 5 points"):
        end = barrier(line(), wall, DATA, at(0.0), at(1.0), points=5)
    assert np.isnan(end.height)


def test_bad_input():
    with pytest.raises(ValueError, match="points=2"):
        barrier(line(), wells(), DATA, at(-1.0), at(1.0), points=2)
    with pytest.raises(ValueError, match="same point"):
        barrier(line(), wells(), DATA, at(1.0), at(1.0))
    with pytest.raises(ValueError, match="does not belong"):
        barrier(line(), wells(), DATA, nn.Linear(2, 1), at(1.0))
