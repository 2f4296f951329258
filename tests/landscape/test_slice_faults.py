"""Bad input is refused before any work; a loss that is not finite becomes a gap that is counted and told."""

import numpy as np
import pytest
import torch
from slice_cases import CE, MSE, build, data, plane
from torch import nn

from sofim_lab.landscape import Directions, refine, slice_1d, slice_2d
from sofim_lab.landscape.tree import parameters

OFF = {"progress": False}


@pytest.fixture
def model():
    return build("tanh")


def refused(error, match, model, *, loss_fn=CE, batch=None, directions=None, function=slice_2d, **options):
    calls = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    directions = plane(model) if directions is None else directions
    with pytest.raises(error, match=match):
        function(model, loss_fn, data() if batch is None else batch, directions, **OFF, **options)
    hook.remove()
    assert len(calls) <= 1  # the look at one sample


def test_directions_that_do_not_fit(model):
    zeros = {name: torch.zeros_like(w) for name, w in parameters(model).items()}
    zero = Directions((plane(model).trees[0], zeros), ("a", "b"))
    refused(ValueError, r"the direction 'b' has the length 0\.0", model, directions=zero)
    wild = Directions((plane(model).trees[0], {k: w / 0 for k, w in parameters(model).items()}), ("a", "b"))
    refused(ValueError, "the direction 'b' has the length (inf|nan)", model, directions=wild)
    other = plane(build("deep relu"))
    refused(ValueError, "the direction 'random 1' does not belong to model", model, directions=other)
    narrower = plane(nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)))
    refused(ValueError, r"0.weight is \(4, 6\), not \(5, 6\)", model, directions=narrower)
    refused(ValueError, "directions holds 1 directions, 2 needed: add another", model, directions=plane(model)[0])
    refused(ValueError, r"2 directions, 1 needed: take directions\[0\]", model, function=slice_1d)
    refused(TypeError, "directions must be `Directions`, got list", model, directions=[plane(model).trees[0]] * 2)
    refused(ValueError, "origin does not belong to model", model, origin={})


def test_grids_that_cannot_be(model):
    refused(ValueError, "points=1 must be a whole number of at least 2", model, points=1)
    refused(ValueError, "points=2.5 must be", model, points=2.5)
    refused(ValueError, r"points=\(3, 4, 5\) must be one number or a pair", model, points=(3, 4, 5))
    refused(ValueError, "extent=", model, extent=(1, 2, 3))
    refused(ValueError, r"extent runs from 1\.0 to -1\.0", model, extent=(1, -1))
    refused(ValueError, "extent runs from -nan|extent runs from nan", model, extent=float("nan"))
    for points in (10**7, 10**12):
        refused(
            MemoryError,
            rf"a grid of {points:,} × {points:,} points takes {48 * points**2:,} bytes",
            model,
            points=points,
        )
    refused(MemoryError, "take fewer points", model, function=refine, points=10**7)


def test_a_model_too_large_to_copy(model, monkeypatch):
    monkeypatch.setattr("sofim_lab.landscape.grid.free_memory", lambda device: 2000)
    refused(MemoryError, r"five copies of the parameters takes 2,120 bytes, and only 2,000 are free", model, points=2)


def test_data_that_cannot_be_evaluated(model):
    x, y = data()
    refused(ValueError, "data has 23 inputs and 22 targets", model, batch=(x, y[1:]))
    refused(ValueError, "data has 0 inputs", model, batch=(x[:0], y[:0]))
    refused(ValueError, r"x is on meta, the model on cpu: use x.to\('cpu'\)", model, batch=(x.to("meta"), y))
    refused(TypeError, "data must be a pair .* or a DataLoader of such pairs, got Tensor", model, batch=x)
    refused(TypeError, "data must be a pair .* or a DataLoader of such pairs, got int", model, batch=3)
    refused(TypeError, "data is a generator, which can be read only once", model, batch=((x, y) for _ in range(2)))


def test_losses_that_cannot_be_shown(model):
    refused(ValueError, "loss_fn has reduction='sum'", model, loss_fn=nn.CrossEntropyLoss(reduction="sum"))
    refused(TypeError, "loss_fn must be a module or function", model, loss_fn="cross_entropy")
    with pytest.raises(ValueError, match=r"loss_fn must return one number.*got the shape"):
        slice_2d(model, lambda f, y: nn.functional.cross_entropy(f, y, reduction="none"), data(), plane(model), **OFF)
    with pytest.raises(ValueError, match=r"accuracy=True needs outputs \(n, C\) and whole-numbered labels"):
        slice_2d(model, nn.L1Loss(), data(MSE), plane(model), accuracy=True, **OFF)
    with pytest.raises(ValueError, match=r"accuracy=True needs outputs \(n, C\) and whole-numbered labels"):
        slice_2d(model, MSE, data(MSE), plane(model), accuracy=True, **OFF)


def test_unknown_options(model):
    refused(ValueError, "batch_norm='train' is unknown", model, batch_norm="train")
    refused(ValueError, "method='fast' is unknown: choose 'auto' or one of 'mlp'", model, method="fast")
    refused(ValueError, "memory_bytes", model, memory_bytes=0)
    refused(TypeError, "refine has no argument 'acuracy'", model, function=refine, acuracy=True)


@pytest.mark.parametrize("method", ["mlp", "loop", "first_layer", "stacked"])
def test_a_loss_that_is_not_finite_is_a_gap(method):
    model = build("deep relu", dtype=torch.float32)
    far = {name: 1e30 * w for name, w in parameters(model).items()}
    directions = Directions((far, plane(model).trees[0]), ("far", "near"))
    with pytest.warns(RuntimeWarning, match=r"the loss is not finite at 20 of 25 points") as told:
        found = slice_2d(
            model, CE, data(dtype=torch.float32), directions, points=5, method=method, accuracy=True, **OFF
        )
    assert len(told) == 1
    assert found.n_nonfinite == np.isnan(found.loss).sum() == 20
    assert np.isfinite(found.loss[:, 2]).all()
    assert np.array_equal(np.isnan(found.accuracy), np.isnan(found.loss))
