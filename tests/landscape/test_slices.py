"""Slices against the naive loop, for every model and every way to compute; the grid; what is left untouched."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slice_cases import (
    CE,
    MODELS,
    MSE,
    WIDE,
    Interrupted,
    assert_untouched,
    build,
    data,
    mlp,
    naive,
    plane,
    snapshot,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sofim_lab.landscape import Directions, refine, slice_1d, slice_2d
from sofim_lab.landscape.axes import axis, coarse_to_fine, ranges
from sofim_lab.landscape.methods import METHODS
from sofim_lab.landscape.tree import combine, parameters

OFF = {"progress": False}
CHOSEN = {"tanh": "mlp", "nested": "mlp", "residual": "stacked", "tied": "stacked", "recurrent": "loop"}


def agree(found, exact):
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss_fn", [CE, MSE], ids=["cross-entropy", "mse"])
@pytest.mark.parametrize("name", MODELS)
def test_every_way_agrees_with_the_naive_loop(name, loss_fn):
    model = build(name).train()
    batch, directions, before = data(loss_fn), plane(model), snapshot(model)
    used = []
    for method in ("auto", *METHODS):
        options = {"points": (5, 4), "method": method, "accuracy": loss_fn is CE}
        try:
            found = slice_2d(model, loss_fn, batch, directions, **options, **OFF)
        except ValueError as refused:
            if "does not apply" not in str(refused):
                raise
            continue
        loss, right = naive(model, loss_fn, batch, directions, found.a, found.b)
        agree(found.loss, loss)
        if loss_fn is CE:
            agree(found.accuracy, right)
        line = slice_1d(model, loss_fn, batch, directions[1], points=4, method=method, **OFF)
        agree(line.loss, naive(model, loss_fn, batch, directions[1], line.a)[0])
        used.append(found.settings["method"])
        assert_untouched(model, before)
    assert used[0] == CHOSEN.get(name, used[0])
    assert used[-1] == "loop"


def test_models_that_are_not_linear_in_their_first_layer_are_recognised():
    for name in ("gated", "scaled", "tied", "residual"):
        model = build(name)
        with pytest.raises(ValueError, match="method='first_layer' does not apply"):
            slice_2d(model, CE, data(), plane(model), method="first_layer", **OFF)
    for name in ("tanh", "cnn", "cnn with batch norm"):
        model = build(name)
        found = slice_2d(model, CE, data(), plane(model), points=3, method="first_layer", **OFF)
        assert found.settings["method"] == "first_layer"


@settings(max_examples=30)
@given(
    name=st.sampled_from(list(MODELS)),
    nx=st.integers(2, 6),
    ny=st.integers(2, 6),
    n=st.integers(1, 40),
    low=st.floats(-50, 1),
    width=st.floats(0.01, 80),
    memory_bytes=st.integers(1, 60_000),
    seed=st.integers(0, 1000),
)
def test_any_grid_and_any_budget_agree(name, nx, ny, n, low, width, memory_bytes, seed):
    model = build(name, seed)
    batch, directions = data(n=n, seed=seed), plane(model, seed)
    extent = [(low, low + width), (-width, width)]
    options = {"points": (nx, ny), "extent": extent, "memory_bytes": memory_bytes, "accuracy": True}
    found = slice_2d(model, CE, batch, directions, **options, **OFF)
    loss, right = naive(model, CE, batch, directions, found.a, found.b)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-9, atol=1e-10)
    if name != "ends in tanh":  # far away several of its outputs are 1: the largest is a matter of rounding
        agree(found.accuracy, right)


@pytest.mark.parametrize("extent", [0.01, 1.0, 10.0, 300.0])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.ReLU])
def test_float32_follows_float64_however_far_it_goes(activation, extent):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = mlp(activation, 6, 16, 3)
    x, y = data(n=200, dtype=torch.float32)
    directions = plane(model)
    found = slice_2d(model, CE, (x, y), directions, points=9, extent=extent, **OFF)
    assert found.settings["method"] == "mlp"
    wide = Directions(tuple({k: t.double() for k, t in tree.items()} for tree in directions), directions.labels)
    exact, _ = naive(model.double(), CE, (x.double(), y), wide, found.a, found.b)
    assert np.abs(found.loss / exact - 1).max() <= 1e-5


def test_a_small_loss_keeps_its_digits_in_float32():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = data(n=300, dtype=torch.float32)
    with torch.no_grad():
        model[0].weight.mul_(0.01)
        model[2].bias.copy_(torch.tensor([11.0, 0.0, 0.0]))
    directions = plane(model)
    found = slice_2d(model, CE, (x, torch.zeros_like(y)), directions, points=5, extent=0.1, **OFF)
    wide = Directions(tuple({k: t.double() for k, t in tree.items()} for tree in directions), directions.labels)
    exact, _ = naive(model.double(), CE, (x.double(), torch.zeros_like(y)), wide, found.a, found.b)
    assert exact.max() < 1e-3
    assert np.abs(found.loss / exact - 1).max() <= 1e-4


WEIGHTED = {"weight": torch.tensor([1.0, 5.0, 0.2])}


@pytest.mark.parametrize("options", [WEIGHTED, {"ignore_index": 1}, {"label_smoothing": 0.3}], ids=str)
def test_losses_that_are_no_plain_mean_are_taken_whole(options):
    loss_fn = nn.CrossEntropyLoss(**options).to(WIDE)
    for name in ("tanh", "cnn", "residual"):
        model = build(name)
        directions, batch = plane(model), data(n=200)
        found = slice_2d(model, loss_fn, batch, directions, points=3, memory_bytes=4000, **OFF)
        agree(found.loss, naive(model, loss_fn, batch, directions, found.a, found.b)[0])


def test_any_function_will_do_as_a_loss():
    model = build("tanh")
    directions, batch = plane(model), data()

    def margin(outputs, y):
        return (outputs.amax(1) - outputs.gather(1, y[:, None])[:, 0]).square().mean()

    for loss_fn in (margin, nn.functional.cross_entropy):
        found = slice_2d(model, loss_fn, batch, directions, points=4, **OFF)
        agree(found.loss, naive(model, loss_fn, batch, directions, found.a, found.b)[0])


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_is_read_once_and_weighted_by_size(shuffle):
    model = build("cnn")
    x, y = data()
    reads = []

    class Counted(TensorDataset):
        def __getitem__(self, index):
            reads.append(index)
            return super().__getitem__(index)

    loader = DataLoader(Counted(x, y), batch_size=7, shuffle=shuffle, generator=torch.Generator().manual_seed(0))
    state, own = torch.get_rng_state(), loader.generator.get_state()
    directions = plane(model)
    found = slice_2d(model, CE, loader, directions, points=3, accuracy=True, **OFF)
    loss, right = naive(model, CE, (x, y), directions, found.a, found.b)
    agree(found.loss, loss)
    agree(found.accuracy, right)
    assert len(reads) == len(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(loader.generator.get_state(), own)
    again = slice_2d(model, CE, loader, directions, points=3, **OFF)
    assert again.loss.tobytes() == found.loss.tobytes()


def statistics_of_all(model, x):
    """The naive way to recompute: one pass in training mode with momentum 1 leaves the batch's own statistics."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(x)
    return model.eval()


@pytest.mark.parametrize("as_loader", [False, True])
def test_batch_norm_can_be_recomputed_at_every_point(as_loader):
    model = build("cnn with batch norm").train()
    directions, (x, y), before = plane(model), data(), snapshot(model)
    batch = DataLoader(TensorDataset(x, y), batch_size=len(x)) if as_loader else (x, y)
    found = slice_2d(model, CE, batch, directions, points=3, extent=0.5, batch_norm="recompute", **OFF)
    assert_untouched(model, before)
    for j, b in enumerate(found.b):
        for i, a in enumerate(found.a):
            with torch.no_grad():
                copy = build("cnn with batch norm")
                moved = combine((1.0, parameters(model)), (a, directions.trees[0]), (b, directions.trees[1]))
                copy.load_state_dict(moved, strict=False)
                expected = CE(statistics_of_all(copy, x)(x), y).item()
            assert found.loss[j, i] == pytest.approx(expected, rel=1e-10)
    kept = slice_2d(model, CE, (x, y), directions, points=3, extent=0.5, **OFF)
    assert np.abs(kept.loss / found.loss - 1).max() > 1e-3


@pytest.mark.parametrize("batch_norm", ["eval", "recompute"])
def test_batch_norm_stays_finite(batch_norm):
    model = build("cnn with batch norm")
    found = slice_2d(model, CE, data(), plane(model), points=11, batch_norm=batch_norm, **OFF)
    assert found.n_nonfinite == 0


def test_the_grid_is_regular_centred_and_symmetric():
    model = build("tanh")
    found = slice_2d(model, CE, data(), plane(model), points=(51, 11), **OFF)
    assert found.loss.shape == (11, 51)
    assert (found.a[25], found.b[5]) == (0.0, 0.0)
    assert np.array_equal(found.a, -found.a[::-1])
    assert np.ptp(np.diff(found.a)) <= 1e-15
    x, y = data()
    agree(found.loss[5, 25], CE(model(x), y).item())


@given(low=st.floats(-1e3, 1e3), width=st.floats(1e-3, 1e3), points=st.integers(2, 200))
def test_an_axis_runs_from_end_to_end_in_equal_steps(low, width, points):
    values = axis(low, low + width, points)
    np.testing.assert_allclose(values, np.linspace(low, low + width, points), rtol=1e-12, atol=1e-12 * (1 + abs(low)))


def test_the_origin_may_be_any_point():
    model, other = build("tanh"), build("tanh", seed=9)
    directions = plane(model)
    found = slice_2d(model, CE, data(), directions, points=3, origin=parameters(other), **OFF)
    agree(found.loss, naive(other, CE, data(), directions, found.a, found.b)[0])


@pytest.mark.parametrize("name", ["tanh", "cnn", "residual", "recurrent"])
def test_refinement_ends_at_the_slice_and_evaluates_no_point_twice(name):
    model = build(name)
    directions = plane(model)
    pictures = list(refine(model, CE, data(), directions, points=(31, 21), accuracy=True))
    assert [p.loss.shape for p in pictures] == [(11, 11), (21, 31)]
    final = slice_2d(model, CE, data(), directions, points=(31, 21), accuracy=True, **OFF)
    np.testing.assert_allclose(pictures[-1].loss, final.loss, rtol=1e-12)
    np.testing.assert_allclose(pictures[0].loss, final.loss[::2, ::3], rtol=1e-12)
    np.testing.assert_array_equal(pictures[0].a, final.a[::3])
    agree(pictures[-1].accuracy, final.accuracy)


def test_refinement_counts():
    calls = []
    model = build("recurrent")
    model.read.register_forward_pre_hook(lambda *_: calls.append(1))
    pictures = refine(model, CE, data(), plane(model), points=31)
    assert len(calls) <= 3  # checks; nothing is evaluated before it is asked for
    for wanted, count in zip([11**2, 31**2], (len(calls) for _ in pictures), strict=True):
        assert wanted <= count <= wanted + 3
    assert coarse_to_fine(48) == [11, 48]
    uneven = list(refine(model, CE, data(), plane(model), points=(48, 31)))
    assert [p.loss.shape for p in uneven] == [(11, 11), (31, 48)]
    assert np.ptp(np.diff(uneven[0].a)) < 1e-15


@given(points=st.integers(2, 400))
def test_levels_grow_to_the_number_asked_for(points):
    levels = coarse_to_fine(points)
    assert levels[-1] == points
    assert levels == sorted(set(levels))
    assert all((points - 1) % (m - 1) == 0 for m in levels) or levels[0] == 11


def test_ranges_refuse_other_forms():
    for wrong in ((1, 2, 3), "wide", [(1, 2), (3, 4), (5, 6)]):
        with pytest.raises(ValueError, match="extent="):
            ranges(wrong, 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("method", ["loop", "first_layer", "stacked"])
def test_the_model_is_untouched_after_an_error_in_the_middle(method, error, monkeypatch):
    model = Interrupted().to(WIDE).train()
    CE(model(data()[0]), data()[1]).backward()
    loader = DataLoader(TensorDataset(*data()), batch_size=8, shuffle=True)
    batches = [data(), loader] if method == "loop" else [data()]
    monkeypatch.setattr(Interrupted, "error", error)
    for batch in batches:
        monkeypatch.setattr(Interrupted, "calls", 0)
        monkeypatch.setattr(Interrupted, "limit", 10**9)
        slice_2d(model, CE, batch, plane(model), points=4, method=method, **OFF)
        total, before, state = Interrupted.calls, snapshot(model), torch.get_rng_state()
        assert total > 4
        for limit in {0, 1, total // 2, total - 1}:
            monkeypatch.setattr(Interrupted, "calls", 0)
            monkeypatch.setattr(Interrupted, "limit", limit)
            with pytest.raises((error, ValueError)):
                slice_2d(model, CE, batch, plane(model), points=4, method=method, **OFF)
            assert_untouched(model, before)
            assert torch.equal(torch.get_rng_state(), state)


def test_the_same_seed_gives_the_same_bytes():
    for name in ("tanh", "cnn", "residual", "recurrent"):
        model = build(name, dtype=torch.float32)
        batch = data(dtype=torch.float32)
        once, again = (slice_2d(model, CE, batch, plane(model), points=5, **OFF) for _ in range(2))
        assert once.loss.tobytes() == again.loss.tobytes()


@pytest.mark.parametrize("method", ["mlp", "first_layer", "loop"])
def test_the_budget_bounds_the_samples_that_are_worked_on_at_once(method, monkeypatch):
    model = build("tanh")
    sizes = []

    def noting(self, x):
        sizes.append(len(x))
        return nn.functional.linear(x, self.weight, self.bias)

    monkeypatch.setattr(nn.Linear, "forward", noting)
    found = {}
    for memory_bytes in (2**20, 2_000, 1):
        sizes.clear()
        made = slice_2d(model, CE, data(n=200), plane(model), points=3, method=method, memory_bytes=memory_bytes, **OFF)
        found[memory_bytes] = max(sizes, default=0), made.loss
    if method != "mlp":  # which calls no layer
        assert found[2**20][0] == 200
        assert found[2_000][0] < 100
        assert found[1][0] <= 2  # the probe takes two
    agree(found[1][1], found[2**20][1])


def test_old_style_weight_norm_can_be_copied():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 3))).to(WIDE)
    x, y = data()
    CE(model(x), y).backward()
    before, directions = snapshot(model), plane(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = slice_2d(model, CE, (x, y), directions, points=3, **OFF)
    assert_untouched(model, before)
    agree(found.loss[1, 1], CE(model(x), y).item())


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tanh", "cnn", "residual", "recurrent"])
def test_a_gpu_gives_the_same_slice(name):
    model = build(name)
    here = slice_2d(model, CE, data(), plane(model), points=5, accuracy=True, **OFF)
    model.cuda()
    there = slice_2d(model, CE, tuple(t.cuda() for t in data()), plane(model), points=5, accuracy=True, **OFF)
    agree(there.loss, here.loss)
    agree(there.accuracy, here.accuracy)
