"""How many gradients of samples each optimizer evaluates, in passes over the training set."""

import importlib.util

import pytest
import torch
from torch import nn

from sofim_lab.curvature.passes import BackwardPasses, together
from sofim_lab.optim import registry
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import make_closure, train

N, BATCH = 1197, 200  # six steps an epoch
D = 64 * 4 + 4 + 4 * 10 + 10  # parameters of the model below


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu", dtype=torch.float64)


def passes_of(
    name, digits, *, device="cpu", epochs=1, loss_fn=nn.functional.cross_entropy, batch_size=BATCH, **options
):
    model = mlp((64, 4, 10), device=device, dtype=torch.float64)
    optimizer = registry.make(name, model.parameters(), **options)
    run = train(
        model, digits, optimizer, epochs=epochs, batch_size=batch_size, loss_fn=loss_fn, name=name, progress=False
    )
    return [epoch.gradient_evaluations for epoch in run.epochs]


@pytest.mark.parametrize("name", ["SOFIM", "SOFIM gradient", "SGD", "SGD momentum", "EMA momentum", "Adam"])
def test_first_order_methods_make_one_pass_an_epoch(digits, name):
    assert passes_of(name, digits, epochs=3) == [0, 1, 2, 3]


@pytest.mark.skipif(importlib.util.find_spec("pytorch_optimizer") is None, reason="the extra `bench`")
@pytest.mark.parametrize("samples", [1, 3])
def test_adahessian_adds_a_product_for_each_random_vector(digits, samples):
    assert passes_of("AdaHessian", digits, epochs=2, num_samples=samples) == [0, 1 + samples, 2 + 2 * samples]


def test_nystrom_adds_the_columns_of_each_refresh(digits):
    # Steps 1 and 5 of 6 are refreshes, on full batches: the last batch of the epoch has 197 images.
    wanted = 1 + 2 * 20 * BATCH / N
    assert passes_of("NystromSGD", digits, rank=20, update_every=4)[1] == pytest.approx(wanted, rel=1e-12)
    all_columns = 1 + D * BATCH / N
    assert passes_of("NystromSGD", digits, rank=10 * D)[1] == pytest.approx(all_columns, rel=1e-12)
    assert passes_of("NystromSGD", digits, rank=1, update_every=1)[1] == 2


@pytest.mark.parametrize("k", [1, 4, 16])
def test_the_dial_makes_one_pass_a_row(digits, k):
    assert passes_of("LowRankFisher", digits, k=k)[1] == k


def test_rows_from_gradients_cost_one_pass(digits):
    assert passes_of("LowRankFisher", digits, k=16, rows="gradients")[1] == 1


def test_newton_takes_a_product_for_each_column_and_the_natural_gradient_one_more_for_its_graph(digits):
    assert passes_of("Newton", digits)[1] == 1 + D
    assert passes_of("NaturalGradient", digits)[1] == 2 + D
    few = passes_of("NaturalGradient", digits, batch_size=20)[1]  # 200 rows of outputs are fewer than the columns
    assert few == pytest.approx((N * 2 + 59 * 20 * 200 + 17 * 170) / N, rel=1e-12)


def test_lbfgs_counts_every_call_of_its_closure(digits):
    seen = []

    def counted(outputs, y):
        if outputs.requires_grad:
            seen.append(len(y))
        return nn.functional.cross_entropy(outputs, y)

    found = passes_of("L-BFGS", digits, loss_fn=counted)[1]
    assert found == sum(seen) / N
    assert found > 2


def test_a_closure_without_a_counter_leaves_no_hook(digits):
    model = mlp((64, 10), device="cpu", dtype=torch.float64)
    kept = []
    closure = make_closure(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, *_few(digits))
    model.register_forward_hook(lambda _, __, output: kept.append(output))
    closure()
    assert not kept[0]._backward_hooks


def _few(digits):
    return digits.train.x[:5], digits.train.y[:5]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["SOFIM", "NystromSGD", "LowRankFisher"])
def test_a_gpu_counts_the_same(digits, name):
    there = load_digits("cuda", dtype=torch.float64)
    assert passes_of(name, there, device="cuda") == passes_of(name, digits)


def test_evaluation_counts_nothing():
    passes = BackwardPasses()
    with torch.no_grad():
        passes.watch(nn.Linear(2, 2)(torch.ones(3, 2)))
    assert passes.samples == 0


def test_an_error_leaves_no_vectors_behind():
    with pytest.raises(RuntimeError, match="on the way"), together(7):
        raise RuntimeError("on the way")
    passes, weight = BackwardPasses(), nn.Parameter(torch.ones(2))
    passes.watch(torch.ones(3, 2) @ weight).sum().backward()
    assert passes.samples == 3
