"""Nyström-SGD against the dense formula, and its conventions."""

import copy
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_classifier import CE, WIDE, batch, net, vector
from torch import nn

from sofim_lab.curvature import hessian
from sofim_lab.optim.nystrom import NystromSGD


def gradient_of(model, x, y):
    return nn.utils.parameters_to_vector(torch.autograd.grad(CE(model(x), y), list(model.parameters())))


def sketch(H, columns, tol):
    """C W⁺ Cᵀ over the positive part, from whole matrices."""
    C, W = H[:, columns], H[columns][:, columns]
    values, vectors = torch.linalg.eigh(W)
    inverse = torch.where(values > tol * values.max(), 1 / values, 0.0)
    return C @ (vectors * inverse) @ vectors.mT @ C.mT, int((inverse > 0).sum())


def step_of(model, x, y, **options):
    before = vector(model)
    optimizer = NystromSGD(model.parameters(), **options)
    optimizer.step(lambda: CE(model(x), y))
    return vector(model) - before, optimizer


@settings(max_examples=25)
@given(
    rank=st.integers(1, 60),
    rho=st.floats(1e-2, 1e2),
    tol=st.sampled_from([1e-3, 0.1, 0.5]),
    seed=st.integers(0, 2**10),
)
def test_a_step_is_the_dense_formula(rank, rho, tol, seed):
    model, (x, y) = net(seed), batch(seed=seed + 1)
    H, g = hessian(model, CE, x, y), gradient_of(model, x, y)
    moved, optimizer = step_of(model, x, y, lr=0.3, rho=rho, rank=rank, tol=tol, seed=seed)
    (record,) = optimizer.records
    approximation, kept = sketch(H, record.columns, tol)
    assert record.rank == kept <= len(record.columns) == min(rank, len(g))
    expected = -0.3 * torch.linalg.solve(approximation + rho * torch.eye(len(g), dtype=WIDE), g)
    torch.testing.assert_close(moved, expected, rtol=1e-8, atol=1e-12)


def test_all_columns_of_a_semidefinite_hessian_are_the_hessian():
    x, y = batch(12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Linear(4, 3).to(WIDE)  # softmax regression: convex, and singular along equal shifts of the logits
    H, g = hessian(model, CE, x, y), gradient_of(model, x, y)
    moved, optimizer = step_of(model, x, y, rho=0.01, rank=1000, tol=0)
    Z = torch.cat([s["sketch"].flatten(1) for s in optimizer.state.values()], dim=1)
    torch.testing.assert_close(Z.mT @ Z, H, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        moved, -torch.linalg.solve(H + 0.01 * torch.eye(15, dtype=WIDE), g), rtol=1e-8, atol=1e-10
    )
    assert optimizer.records[0].rank == 10  # 5 of 15 directions are flat, and none of them is divided by


def test_the_sketch_of_an_indefinite_hessian_is_positive_and_not_inflated():
    model, (x, y) = net(), batch(12)
    H = hessian(model, CE, x, y)
    assert torch.linalg.eigvalsh(H)[0] < -0.01
    _, optimizer = step_of(model, x, y, rank=20)
    Z = torch.cat([s["sketch"].flatten(1) for s in optimizer.state.values()], dim=1)
    assert torch.linalg.eigvalsh(Z.mT @ Z)[-1] < 2 * torch.linalg.eigvalsh(H)[-1]
    record = optimizer.records[0]
    assert record.eigenvalues[0] < 0
    assert record.rank < len(record.eigenvalues) == 20


def test_without_positive_curvature_it_is_gradient_descent():
    w = nn.Parameter(torch.tensor([1.0, 2.0], dtype=WIDE))
    optimizer = NystromSGD([w], lr=0.5, rho=2.0, rank=2)
    optimizer.step(lambda: -w.square().sum())
    torch.testing.assert_close(w.detach(), torch.tensor([1.5, 3.0], dtype=WIDE))
    assert optimizer.records[0].rank == 0


def test_columns_are_kept_until_they_are_due_and_g_and_rho_are_not():
    model, data = net(), [batch(seed=s) for s in range(5)]
    optimizer = NystromSGD(model.parameters(), lr=0.2, rho=0.5, rank=8, update_every=3)
    for t, (x, y) in enumerate(data):
        optimizer.param_groups[0]["rho"] = rho = 0.5 + 0.1 * t
        if t % 3 == 0:
            H = hessian(model, CE, x, y)
        before, g = vector(model), gradient_of(model, x, y)
        optimizer.step(lambda x=x, y=y: CE(model(x), y))
        matrix = sketch(H, optimizer.records[-1].columns, 0.1)[0] + rho * torch.eye(len(g), dtype=WIDE)
        torch.testing.assert_close(vector(model) - before, -0.2 * torch.linalg.solve(matrix, g), rtol=1e-8, atol=1e-12)
    assert [record.step for record in optimizer.records] == [1, 4]
    assert not torch.equal(optimizer.records[0].columns, optimizer.records[1].columns)


def test_the_seed_alone_chooses_the_columns():
    x, y = batch(12)

    def columns(seed):
        torch.rand(3)  # the global generator plays no part
        return step_of(net(), x, y, rank=10, seed=seed)[1].records[0].columns.tolist()

    assert columns(1) == columns(1) != columns(2)


def advance(model, optimizer, seeds):
    for seed in seeds:
        x, y = batch(seed=seed)
        optimizer.step(lambda x=x, y=y: CE(model(x), y))
    return vector(model)


def test_a_run_goes_on_from_its_state_dict_from_a_copy_and_from_a_pickle():
    model = net()
    optimizer = NystromSGD(model.parameters(), lr=0.3, rank=8, update_every=3)
    advance(model, optimizer, range(5))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    resumed = net(5)
    resumed.load_state_dict(saved["model"])
    resumed_optimizer = NystromSGD(resumed.parameters())
    advance(resumed, resumed_optimizer, range(1))  # a sketch of its own, which must go
    resumed.load_state_dict(saved["model"])
    resumed_optimizer.load_state_dict(saved["optimizer"])
    copied, pickled = copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))
    expected = advance(model, optimizer, range(5, 10))
    for m, o in ((resumed, resumed_optimizer), copied, pickled):
        assert torch.equal(advance(m, o, range(5, 10)), expected)
    assert len(copied[1].records) == len(optimizer.records) == 4


def test_gradients_are_left_alone_and_the_loss_comes_back():
    model, (x, y) = net(), batch(12)
    for p in model.parameters():
        p.grad = torch.full_like(p, 7.0)
    expected, calls = CE(model(x), y).detach(), []

    def closure():
        calls.append(1)
        return CE(model(x), y)

    optimizer = NystromSGD(model.parameters(), update_every=2)
    assert torch.equal(optimizer.step(closure), expected)
    optimizer.step(closure)
    assert len(calls) == 2
    assert all(bool((p.grad == 7).all()) for p in model.parameters())


def test_groups_share_the_matrix_and_have_their_own_rates():
    x, y = batch(12)
    model, twin = net(), net()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.1}]
    optimizer = NystromSGD(groups, lr=1.0, rank=6)
    before = vector(model)
    optimizer.step(lambda: CE(model(x), y))
    moved, _ = step_of(twin, x, y, lr=1.0, rank=6)
    rates = torch.cat([torch.full((25,), 1.0, dtype=WIDE), torch.full((18,), 0.1, dtype=WIDE)])
    torch.testing.assert_close(vector(model) - before, rates * moved)


def test_a_group_that_joins_is_sketched_at_once():
    model, (x, y) = net(), batch(12)
    optimizer = NystromSGD(model[0].parameters(), rank=6)
    optimizer.step(lambda: CE(model(x), y))
    optimizer.add_param_group({"params": model[2].parameters()})
    before, H, g = vector(model), hessian(model, CE, x, y), gradient_of(model, x, y)
    optimizer.step(lambda: CE(model(x), y))
    assert [record.step for record in optimizer.records] == [1, 2]
    matrix = sketch(H, optimizer.records[-1].columns, 0.1)[0] + torch.eye(len(g), dtype=WIDE)
    torch.testing.assert_close(vector(model) - before, -torch.linalg.solve(matrix, g), rtol=1e-8, atol=1e-12)


def test_float32_follows_float64():
    moves = []
    for dtype in (torch.float32, WIDE):
        x, y = (t.to(dtype) if t.is_floating_point() else t for t in batch(dtype=torch.float32))
        model = net(dtype=torch.float32).to(dtype)
        moves.append(step_of(model, x, y, rho=0.1, rank=10)[0].double())
    assert (moves[0] - moves[1]).norm() / moves[1].norm() < 1e-5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": float("nan")}, "lr must be a finite number >= 0, got nan"),
        ({"rho": -1.0}, r"rho must be a finite number > 0, got -1\.0"),
        ({"rank": 0}, "rank must be a whole number >= 1, got 0"),
        ({"update_every": 0.5}, r"update_every must be a whole number >= 1, got 0\.5"),
        ({"tol": 1.0}, r"tol must lie in \[0, 1\), got 1\.0"),
        ({"seed": "a"}, "seed must be a whole number, got 'a'"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        NystromSGD(net().parameters(), **options)


def test_parameters_and_groups_that_do_not_fit_are_named():
    model = net()
    with pytest.raises(TypeError, match="params is a Sequential: pass its parameters"):
        NystromSGD(model)
    optimizer = NystromSGD(model[0].parameters())
    with pytest.raises(ValueError, match=r"rho must be the same in all groups.*group 1 has 3\.0, group 0 has 1\.0"):
        optimizer.add_param_group({"params": model[2].parameters(), "rho": 3.0})
    assert len(optimizer.param_groups) == 1
    model[2].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"NystromSGD: parameter 0 of group 1, shape \(3, 5\), requires no grad"):
        optimizer.add_param_group({"params": model[2].parameters()})


@pytest.mark.parametrize(
    ("closure", "kind", "words"),
    [
        (None, TypeError, "NystromSGD.step needs a closure, got NoneType"),
        (lambda m, x, y: None, TypeError, "NystromSGD: the closure returned None: return the loss"),
        (lambda m, x, y: CE(m(x), y).detach(), ValueError, "does not depend on the optimizer's parameters"),
        (lambda m, x, y: CE(m(x), y) * float("inf"), ValueError, "the loss is inf"),
        (
            lambda m, x, y: m[2].bias.abs().pow(1.5).sum() + CE(m(x), y),
            ValueError,
            "columns of the Hessian are not",
        ),
    ],
)
def test_a_closure_that_does_not_fit_is_named_before_anything_changes(closure, kind, words):
    model, (x, y) = net(), batch(12)
    with torch.no_grad():
        model[2].bias.zero_()
    before = vector(model)
    optimizer = NystromSGD(model.parameters(), rank=1000)
    with pytest.raises(kind, match=words):
        optimizer.step(closure and (lambda: closure(model, x, y)))
    assert torch.equal(vector(model), before)
    assert not optimizer.records
