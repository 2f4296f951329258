"""Many runs at once are the runs of `train`."""

import math
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.optim import registry
from sofim_lab.problems import load_digits, mlp, streams
from sofim_lab.training import train, train_many
from sofim_lab.training.stack import Stack

TOGETHER = [
    name
    for name in registry.names()
    if registry.get(name).closure == "gradient" and not registry.get(name).evaluates_again
]
SGD = partial(torch.optim.SGD, lr=0.1)
WILD = partial(torch.optim.SGD, lr=1.0, weight_decay=1e20)


@pytest.fixture(scope="module")
def double():
    return load_digits("cpu", torch.float64)


@pytest.fixture(scope="module")
def single():
    return load_digits("cpu")


def net(seed, dtype=torch.float64, sizes=(64, 12, 10)):
    return mlp(sizes, seed=seed, device="cpu", dtype=dtype)


def one_by_one(model, data, runs, **options):
    results = []
    for make, seed in runs:
        start = model(seed)
        results.append(train(start, data, make(start.parameters()), seed=seed, progress=False, **options))
    return results


def compare(model, data, runs, tolerance, **options):
    """The largest difference of any number; all else is equal."""
    many = train_many(model, data, runs, progress=False, **options)
    alone = one_by_one(model, data, runs, **options)
    for mine, theirs in zip(many, alone, strict=True):
        assert (mine.optimizer, mine.seed, mine.name, mine.device) == (
            theirs.optimizer, theirs.seed, theirs.name, theirs.device,
        )  # fmt: skip
        assert mine.settings == theirs.settings
        assert mine.diverged_at == theirs.diverged_at
        for level, exact in (("epoch", ["epoch", "gradient_evaluations"]), ("step", ["step", "epoch"])):
            a, b = mine.to_frame(level), theirs.to_frame(level)
            if a.empty and b.empty:
                continue
            assert a[exact].equals(b[exact])
            numbers = [c for c in a.columns if c.endswith(("loss", "length", "accuracy"))]
            x, y = (torch.tensor(frame[numbers].to_numpy()) for frame in (a, b))
            torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
    return many


@pytest.mark.parametrize("name", TOGETHER)
def test_in_float64_the_runs_are_those_of_train(double, name):
    make = registry.get(name)
    runs = [(partial(registry.make, name), 0), (partial(registry.make, name), 1)]
    runs.append((partial(registry.make, name, lr=make.defaults["lr"] / 3), 1))
    compare(net, double, runs, 1e-10, epochs=4, batch_size=200)


@pytest.mark.parametrize("name", TOGETHER)
def test_in_float32_they_are_for_a_hundred_steps(single, name):
    runs = [(partial(registry.make, name), seed) for seed in range(4)]
    results = compare(partial(net, dtype=torch.float32), single, runs, 1e-5, epochs=5, batch_size=64)
    assert len(results[0].steps) == 95


def test_different_optimizers_go_together(double):
    runs = [(partial(registry.make, name), seed) for name in TOGETHER for seed in (0, 4)]
    options = {"epochs": 2, "batch_size": 150, "stream": streams.get("dirichlet"), "evaluate_on": ("val", "test")}
    results = compare(net, double, runs, 1e-10, **options)
    assert math.isnan(results[0].final.train_loss)
    assert results[0].final.test_accuracy > 0.2


def test_a_diverging_run_does_not_disturb_the_others(double):
    runs = [(SOFIM, 0), (WILD, 1), (SGD, 2), (WILD, 3)]
    results = compare(partial(net, sizes=(64, 10)), double, runs, 1e-10, epochs=6, batch_size=300)
    assert [one.diverged for one in results] == [False, True, False, True]
    assert len(results[1].steps) < len(results[0].steps) == 24


def test_when_all_have_diverged_it_ends(double):
    results = compare(partial(net, sizes=(64, 10)), double, [(WILD, 0), (WILD, 1)], 1e-10, epochs=50, batch_size=300)
    assert all(one.diverged_at < 20 for one in results)


def test_a_gradient_that_is_not_finite_ends_only_its_own_run(double):
    class Refusing(torch.optim.SGD):
        def step(self, closure):
            closure()
            self.count = getattr(self, "count", 0) + 1
            if self.count == 3:
                raise FloatingPointError("a gradient is not finite")
            super().step()

    results = compare(net, double, [(SGD, 0), (partial(Refusing, lr=0.1), 0)], 1e-10, epochs=2, batch_size=300)
    assert results[1].diverged_at == 3
    assert math.isnan(results[1].steps[-1].loss)
    assert results[1].steps[-1].step_length == 0.0


def test_a_run_that_starts_non_finite_has_no_step(double):
    def spoiled(seed):
        model = net(seed)
        if seed == 1:
            next(model.parameters()).data.fill_(math.nan)
        return model

    results = compare(spoiled, double, [(SGD, 0), (SGD, 1)], 1e-10, epochs=1, batch_size=300)
    assert results[1].diverged_at == 0
    assert results[1].steps == ()


def test_frozen_parameters_and_parts_of_a_model_stay(double):
    def frozen(seed):
        model = net(seed)
        model[0].weight.requires_grad_(False)
        return model

    def last_layer(params):
        return torch.optim.SGD(list(params)[2:], lr=0.1)

    compare(frozen, double, [(SOFIM, 0), (last_layer, 1)], 1e-10, epochs=2, batch_size=300)


def test_an_optimizer_that_clears_its_gradients_gets_them_again(double):
    class Clearing(torch.optim.SGD):
        def step(self, closure):
            self.zero_grad()
            closure()
            super().step()
            self.zero_grad()

    compare(net, double, [(partial(Clearing, lr=0.1), 0), (SGD, 0)], 1e-10, epochs=2, batch_size=300)


def test_other_architectures_work_too(double):
    def convolutional(seed):
        torch.manual_seed(seed)
        layers = nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.ReLU(), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(108, 10)).double()

    compare(convolutional, double, [(SGD, 0), (SOFIM, 1)], 1e-9, epochs=1, batch_size=300)


def test_seconds_are_the_share_of_a_run(double, monkeypatch):
    clock = iter(range(99))  # a second a look: one passes in each epoch
    module = sys.modules["sofim_lab.training.train_many"]  # its name is that of the function elsewhere
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    results = train_many(net, double, [(SGD, seed) for seed in range(4)], epochs=2, batch_size=300, progress=False)
    assert [[record.seconds for record in one.epochs] for one in results] == [[0.0, 0.25, 0.5]] * 4


def test_seeds_of_numpy_are_seeds(double):
    results = compare(partial(net, sizes=(64, 10)), double, [(SGD, np.int64(3))], 1e-10, epochs=1, batch_size=300)
    assert type(results[0].seed) is int


def test_random_numbers_are_left_alone(double):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train_many(net, double, [(SGD, 0)], epochs=1, progress=False)
    assert torch.equal(torch.rand(2), expected)


class Twice(torch.optim.SGD):
    def step(self, closure):
        closure()
        closure()


class Drawing(torch.optim.SGD):
    def step(self, closure):
        torch.rand(1)
        return super().step(closure)


class Deaf(torch.optim.SGD):
    def step(self, closure=None):
        return None


class Replacing(torch.optim.SGD):
    def step(self, closure):
        loss = closure()
        for p in self.param_groups[0]["params"]:
            p.data = p.data - 0.1 * p.grad
        return loss


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(registry.make, "Newton"), r"Newton wants a closure of the kind 'loss'; .*: use train"),
        (partial(registry.make, "LowRankFisher"), "LowRankFisher wants a closure of the kind 'losses'"),
        (partial(registry.make, "L-BFGS"), "LBFGS evaluates again within a step: use train"),
        (partial(Twice, lr=0.1), "Twice evaluates again within a step: use train"),
        (partial(Drawing, lr=0.1), "an optimizer draws random numbers"),
        (partial(Deaf, lr=0.1), r"Deaf\.step\(closure\) must call closure\(\)"),
        (partial(Replacing, lr=0.1), "Replacing replaces the parameters' memory: use train"),
    ],
)
def test_optimizers_that_need_more_than_a_gradient_are_refused(double, make, message):
    with pytest.raises(ValueError, match=message):
        train_many(net, double, [(SGD, 0), (make, 0)], epochs=1, progress=False)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm1d(10), "the model has buffers, such as a BatchNorm's"),
        (nn.Dropout(), "runs cannot be computed in one pass .*random.*: use train"),
    ],
)
def test_models_that_cannot_are_refused(double, layer, message):
    with pytest.raises(ValueError, match=message):
        train_many(lambda seed: net(seed).append(layer.double()), double, [(SGD, 0), (SGD, 1)], epochs=1)


def test_models_of_different_shapes_are_refused(double):
    with pytest.raises(ValueError, match="the models differ in their shapes"):
        train_many(lambda seed: net(seed, sizes=(64, 5 + seed, 10)), double, [(SGD, 0), (SGD, 1)], epochs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": []}, r"runs=\[\] must hold at least one"),
        ({"model": net(0)}, "model must make a model from a seed, not be one"),
        ({"epochs": -1}, "epochs=-1 must be 0 or more"),
        ({"runs": [SGD, SGD]}, r"runs hold functools.partial\(.*: each must be a constructor with its seed"),
        ({"runs": [(SGD, 0.5)]}, r"seed=0\.5 must be a whole number"),
        (
            {"model": partial(dict.get, dict.fromkeys(range(2), net(0))), "runs": [(SGD, 0), (SGD, 1)]},
            "model gave the same module twice",
        ),
        ({"batch_size": 0}, "batch_size=0 must be 1 or more"),
        ({"evaluate_on": ()}, r"evaluate_on=\(\) must name at least one"),
    ],
)
def test_bad_input_is_refused(double, change, message):
    with pytest.raises(ValueError, match=message):
        train_many(**{"model": net, "data": double, "runs": [(SGD, 0)], "epochs": 1} | change)


def test_a_stack_gives_each_model_its_own_gradient(double):
    models = [net(seed) for seed in range(3)]
    stack = Stack(models)
    x, y = torch.stack([double.train.x[k : k + 7] for k in range(3)]), double.train.y[:21].view(3, 7)
    losses = stack.differentiate(x, y, nn.functional.cross_entropy)
    for place, model in enumerate(models):
        loss = nn.functional.cross_entropy(model(x[place]), y[place])
        expected = torch.autograd.grad(loss, list(model.parameters()))
        stack.hand_over(place)
        assert float(losses[place]) == pytest.approx(float(loss.detach()), rel=1e-12)
        for p, g in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, g, rtol=1e-11, atol=1e-14)


def test_a_parameter_without_dimensions_has_its_gradient_too(double):
    class Scaled(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.scale, self.net = nn.Parameter(torch.tensor(1.5, dtype=torch.float64)), net(seed)

        def forward(self, x):
            return self.scale * self.net(x)

    compare(Scaled, double, [(SGD, 0), (SOFIM, 1)], 1e-10, epochs=1, batch_size=300)


def test_train_refuses_an_optimizer_that_does_not_call_its_closure(double):
    with pytest.raises(ValueError, match=r"Deaf\.step\(closure\) must call closure\(\)"):
        one_by_one(net, double, [(partial(Deaf, lr=0.1), 0)], epochs=1)


def test_memory_that_is_replaced_in_part_is_found(double):
    class Half(Replacing):
        def __init__(self, params, lr):
            super().__init__(list(params)[1:], lr)

    with pytest.raises(ValueError, match="Half replaces the parameters' memory: use train"):
        train_many(net, double, [(SGD, 0), (partial(Half, lr=0.1), 0)], epochs=1, progress=False)
