"""Every optimizer of the registry is given the closure that it needs."""

import importlib.util

import pytest
import torch
from torch import nn

from sofim_lab.optim import registry
from sofim_lab.optim.low_rank import LowRankFisher
from sofim_lab.optim.newton import Newton
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import make_closure, race, train

needs_bench = pytest.mark.skipif(
    importlib.util.find_spec("pytorch_optimizer") is None, reason="pytorch_optimizer is in the extra `bench`"
)
ALL = [pytest.param(name, marks=[needs_bench] if registry.get(name).extra else []) for name in registry.names()]


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu", dtype=torch.float64)


def tiny(seed=0):
    return mlp((64, 4, 10), seed=seed, device="cpu", dtype=torch.float64)


@pytest.mark.parametrize("name", ALL)
def test_every_optimizer_trains(digits, name):
    model = tiny()
    result = train(
        model, digits, registry.make(name, model.parameters()), epochs=1, batch_size=200, name=name, progress=False
    )
    assert not result.diverged
    assert len(result.steps) == 6
    assert result.final.train_loss < 0.97 * result.epochs[0].train_loss
    assert all(step.step_length > 0 for step in result.steps)
    first = torch.randperm(1197, generator=torch.Generator().manual_seed(0))[:200]
    loss = nn.functional.cross_entropy(tiny()(digits.train.x[first]), digits.train.y[first])
    assert result.steps[0].loss == pytest.approx(loss.item(), rel=1e-12)
    assert not any(p.grad is not None and p.grad.requires_grad for p in model.parameters())


@needs_bench
def test_the_same_seed_gives_the_same_run_where_the_optimizer_draws(digits):
    def run(seed):
        model, state = tiny(), torch.get_rng_state()
        steps = train(
            model,
            digits,
            registry.make("AdaHessian", model.parameters()),
            epochs=1,
            batch_size=400,
            seed=seed,
            progress=False,
        ).steps
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(5)
        return steps

    assert run(0) == run(0) != run(1)


def test_a_race_takes_names(digits):
    result = race(tiny, digits, ["Adam", "NystromSGD"], epochs=1, batch_size=400, progress=False)
    assert result.names == ("Adam", "NystromSGD")
    assert [run.optimizer for run in result] == ["Adam", "NystromSGD"]
    assert result["Adam"][0].settings["lr"] == registry.get("Adam").defaults["lr"]


def test_names_that_nobody_has_do_not_start(digits, monkeypatch):
    with pytest.raises(ValueError, match="no optimizer is called 'Adan': did you mean 'Adam'"):
        race(tiny, digits, ["Adam", "Adan"])
    with pytest.raises(ValueError, match=r"optimizers='Adam' must be a list of names, e\.g\. \['Adam'\]"):
        race(tiny, digits, "Adam")
    with pytest.raises(ValueError, match=r"optimizers=\[\] is empty"):
        race(tiny, digits, [])
    monkeypatch.setitem(__import__("sys").modules, "pytorch_optimizer", None)
    with pytest.raises(ImportError, match="sofim-lab"):
        race(tiny, digits, ["AdaHessian"])


@pytest.mark.parametrize("name", ["SOFIM", "NystromSGD", "LowRankFisher", "Newton", "NaturalGradient"])
def test_divergence_is_found_whatever_the_closure(digits, name):
    model, start = tiny(), tiny()

    def infinite_in_training(f, y):
        return nn.functional.cross_entropy(f, y) * (float("inf") if torch.is_grad_enabled() else 1.0)

    optimizer = registry.make(name, model.parameters())
    result = train(model, digits, optimizer, epochs=1, loss_fn=infinite_in_training, progress=False)
    assert result.diverged_at == len(result.steps) == 1
    assert torch.equal(model[0].weight, start[0].weight)


@pytest.mark.parametrize(("name", "power"), [("SOFIM", 0.5), ("LowRankFisher", 0.5), ("NystromSGD", 1.5)])
def test_derivatives_that_are_not_finite_end_the_run_too(digits, name, power):
    model, start = tiny(), tiny()

    def cliff(f, y):  # |0|^0.5 has no first derivative, |0|^1.5 no second
        return nn.functional.cross_entropy(f, y) + (f - f.detach()).abs().pow(power).sum()

    result = train(model, digits, registry.make(name, model.parameters()), epochs=1, loss_fn=cliff, progress=False)
    assert result.diverged_at == len(result.steps) == 1
    assert str(result.steps[0].loss) == "nan"
    assert torch.equal(model[0].weight, start[0].weight)


def test_an_error_of_the_model_itself_is_not_taken_for_divergence(digits):
    model = tiny()

    def broken(f, y):
        if torch.is_grad_enabled():
            raise FloatingPointError("of my own")
        return nn.functional.cross_entropy(f, y)

    with pytest.raises(FloatingPointError, match="of my own"):
        train(model, digits, registry.make("SGD", model.parameters()), epochs=1, loss_fn=broken, progress=False)


def test_losses_of_samples_are_those_of_batches_of_one(digits):
    x, y = digits.train.x[:7], digits.train.y[:7]
    model = tiny()
    optimizer = LowRankFisher(model.parameters(), k=7)
    for loss_fn in (
        nn.functional.cross_entropy,
        nn.CrossEntropyLoss(),
        lambda f, t: nn.functional.mse_loss(f, f * 0 + 1),
    ):
        seen = []
        losses = make_closure(model, optimizer, loss_fn, x, y, seen.append)()
        expected = torch.stack([loss_fn(model(x[i : i + 1]), y[i : i + 1]) for i in range(7)])
        torch.testing.assert_close(losses, expected)
        torch.testing.assert_close(seen[0], loss_fn(model(x), y).detach())


def test_newton_on_the_last_layer_alone_moves_it_alone(digits):
    model, start = tiny(), tiny()
    train(model, digits, Newton(model[-1].parameters(), damping=0.1), epochs=1, batch_size=600, progress=False)
    assert torch.equal(model[0].weight, start[0].weight)
    assert not torch.equal(model[-1].weight, start[-1].weight)
