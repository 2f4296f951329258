import pytest
import torch
from torch import nn

from sofim_lab.curvature import hessian
from sofim_lab.landscape import Stop, StopWatch, parameters, stand_at, survey
from sofim_lab.landscape.tree import flatten
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import race

LOSS = nn.CrossEntropyLoss()


def network(seed=0):
    return mlp((64, 4, 10), "relu", seed=seed, device="cpu")


def train_loss(tree, digits):
    units = len(tree["0.bias"])
    model = mlp((64, units, 10), "relu" if units == 4 else "tanh", device="cpu", dtype=digits.train.x.dtype)
    with torch.no_grad():
        return float(LOSS(stand_at(model, tree)(digits.train.x), digits.train.y))


@pytest.fixture(scope="module")
def raced():
    digits = load_digits("cpu")
    watch = StopWatch(digits, LOSS, level=2.0, every=2)
    field = {"fast": lambda p: torch.optim.Adam(p, lr=0.02), "slow": lambda p: torch.optim.SGD(p, lr=1e-4)}
    result = race(network, digits, field, epochs=4, batch_size=128, seeds=(0, 1), watch=watch, progress=False)
    return digits, watch, result


def test_the_last_points_are_where_the_runs_ended(raced):
    digits, watch, result = raced
    assert [(stop.name, stop.seed, stop.step) for stop in watch.last] == [
        (run.name, run.seed, len(run.steps)) for run in result
    ]
    for stop, run in zip(watch.last, result, strict=True):
        assert train_loss(stop.tree, digits) == pytest.approx(run.final.train_loss, rel=1e-6)


def test_a_run_is_stopped_at_the_first_look_below_the_level_or_not_at_all(raced):
    digits, watch, _ = raced
    assert [(stop.name, stop.seed) for stop in watch.at_level] == [("fast", 0), ("fast", 1)]
    for stop in watch.at_level:
        assert stop.step % 2 == 0
        assert 1.7 < train_loss(stop.tree, digits) <= 2.0


def test_kept_points_do_not_move_with_the_model():
    digits, model = load_digits("cpu"), network()
    watch = StopWatch(digits, LOSS, level=100.0, every=2)
    look = watch("run", 0, model)
    before = flatten(parameters(model))
    look(None)
    assert watch.at_level == ()  # the loss is looked at after every second step
    look(None)
    assert watch.at_level[0].step == 2
    with torch.no_grad():
        model[0].bias.add_(1.0)
    assert torch.equal(flatten(watch.at_level[0].tree), before)


def test_the_survey_agrees_with_the_dense_hessian():
    digits, model = load_digits("cpu", dtype=torch.float64), mlp((64, 3, 10), device="cpu", dtype=torch.float64)
    other = parameters(mlp((64, 3, 10), seed=5, device="cpu", dtype=torch.float64))
    before = flatten(parameters(model))
    table = survey([Stop("a run", 3, 7, other)], model, LOSS, digits, probes=200, tol=1e-6)
    assert torch.equal(flatten(parameters(model)), before)
    row = table.iloc[0]
    H = hessian(stand_at(model, other), LOSS, digits.train.x, digits.train.y)
    assert (row["name"], row["seed"], row["step"]) == ("a run", 3, 7)
    assert row["sharpness"] == pytest.approx(float(torch.linalg.eigvalsh(H)[-1]), rel=1e-6)
    assert abs(row["trace"] - float(H.trace())) < 4 * row["trace_error"]
    assert row["norm"] == pytest.approx(float(flatten(other).norm()))
    val = model(digits.val.x).detach()
    assert row["val_loss"] == pytest.approx(float(LOSS(val, digits.val.y)))
    assert row["val_accuracy"] == pytest.approx(float((val.argmax(1) == digits.val.y).double().mean()))
    assert row["train_loss"] == pytest.approx(train_loss(other, digits))


@pytest.mark.parametrize(("options", "says"), [({"level": 0.0}, "positive loss"), ({"every": 0}, "1 or more steps")])
def test_bad_settings_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        StopWatch(load_digits("cpu"), LOSS, **options)
