import math
from dataclasses import replace

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from sofim_lab import SOFIM
from sofim_lab.problems import Split, build_model, load_digits, mlp
from sofim_lab.training import RaceResult, race, step_bound, train


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu", dtype=torch.float64)


def softmax_regression(seed=0):
    return mlp((64, 10), seed=seed, device="cpu", dtype=torch.float64)


def run(digits, model=None, make=SOFIM, **settings):
    model = model or softmax_regression()
    return train(model, digits, make(model.parameters()), progress=False, **{"epochs": 2, **settings})


def test_a_run_follows_a_loop_written_by_hand(digits):
    model, twin = softmax_regression(), softmax_regression()
    result = run(digits, model, lambda p: torch.optim.SGD(p, lr=0.3), epochs=1, batch_size=500, seed=7)

    order = torch.randperm(1197, generator=torch.Generator().manual_seed(7))
    losses, lengths = [], []
    for chosen in (order[:500], order[500:1000], order[1000:]):
        loss = torch.nn.functional.cross_entropy(twin(digits.train.x[chosen]), digits.train.y[chosen])
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        losses.append(loss.item())
        lengths.append(0.3 * math.sqrt(sum(float((g**2).sum()) for g in gradients)))
        with torch.no_grad():
            for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
                parameter -= 0.3 * gradient
    assert [step.loss for step in result.steps] == pytest.approx(losses, rel=1e-12)
    assert [step.step_length for step in result.steps] == pytest.approx(lengths, rel=1e-12)
    assert torch.allclose(parameters_to_vector(model.parameters()), parameters_to_vector(twin.parameters()), rtol=1e-12)


def test_epochs_are_evaluated_from_the_start_on(digits):
    model = softmax_regression()
    first = torch.nn.functional.cross_entropy(model(digits.val.x), digits.val.y).item()
    result = run(digits, model)
    assert [epoch.epoch for epoch in result.epochs] == [0, 1, 2]
    assert result.epochs[0].val_loss == pytest.approx(first, rel=1e-12)
    right = (model(digits.val.x).argmax(1) == digits.val.y).double().mean().item()
    assert result.final.val_accuracy == right
    assert result.seconds > 0


def test_the_same_seed_gives_the_same_run(digits):
    one, two, other = run(digits, seed=1), run(digits, seed=1), run(digits, seed=2)
    assert one.steps == two.steps
    assert one.steps != other.steps


def test_the_result_says_how_it_was_made(digits):
    result = run(digits, make=lambda p: SOFIM(p, lr=0.7, rho=0.2), seed=5)
    assert (result.optimizer, result.seed, result.device) == ("SOFIM", 5, "cpu")
    assert result.settings["lr"] == 0.7
    assert result.settings["rho"] == 0.2
    assert result.settings["batch_size"] == 64


def test_frames_have_a_row_a_record(digits):
    result = run(digits, name="mine")
    epochs, steps = result.to_frame(), result.to_frame("step")
    assert list(epochs["epoch"]) == [0, 1, 2]
    assert len(steps) == 2 * 19
    assert set(steps["name"]) == {"mine"}
    assert not epochs["diverged"].any()
    with pytest.raises(ValueError, match="level='batch' is unknown"):
        result.to_frame("batch")


def test_divergence_ends_the_run_at_its_step_without_spoiling_the_parameters(digits):
    model = softmax_regression()
    result = run(digits, model, lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=1e20), epochs=5)
    assert result.diverged
    assert result.diverged_at == len(result.steps) < 5 * 19
    assert not math.isfinite(result.steps[-1].loss)
    assert all(math.isfinite(step.loss) for step in result.steps[:-1])
    assert result.to_frame()["diverged"].all()
    # No step was taken from the bad loss: its gradient, NaN throughout, has not reached the parameters.
    assert not parameters_to_vector(model.parameters()).isnan().any()


def test_a_model_that_starts_non_finite_has_diverged_at_step_zero(digits):
    model = softmax_regression()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    result = run(digits, model)
    assert result.diverged_at == 0
    assert result.steps == ()


def test_optimizers_that_need_a_closure_work(digits):
    result = run(digits, make=lambda p: torch.optim.LBFGS(p, max_iter=5), batch_size=1197)
    assert result.final.train_loss < 0.5 * result.epochs[0].train_loss


@pytest.mark.parametrize(("name", "value"), [("epochs", -1), ("batch_size", 0)])
def test_bad_numbers_are_named(digits, name, value):
    with pytest.raises(ValueError, match=f"{name}={value} must be"):
        run(digits, **{name: value})


def test_a_model_elsewhere_is_refused_before_it_is_changed(digits):
    model = mlp((64, 10), device="cpu").to("meta")
    with pytest.raises(ValueError, match="model on meta, data on cpu: build both with the same device"):
        run(digits, model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            mlp((64, 10), device="cpu"),
            r"model of torch\.float32, data of torch\.float64: build both",
        ),
        (mlp((32, 10), device="cpu", dtype=torch.float64), "does not take samples of 64 .* must have 64 inputs"),
        (mlp((64, 5), device="cpu", dtype=torch.float64), r"returns \(1, 5\) for one sample; 10 logits are needed"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_words(digits, model, message):
    with pytest.raises(ValueError, match=message):
        run(digits, model)


def test_an_optimizer_over_another_model_is_refused(digits):
    stranger = SOFIM(softmax_regression().parameters())
    with pytest.raises(ValueError, match=r"holds no parameter of this model: build it with SOFIM\(model.parameters"):
        train(softmax_regression(), digits, stranger, progress=False)


def test_a_race_starts_everybody_at_one_point_with_the_same_batches(digits):
    result = race(
        softmax_regression,
        digits,
        {"SOFIM": SOFIM, "the same": SOFIM, "SGD": lambda p: torch.optim.SGD(p, lr=0.1)},
        epochs=1,
        seeds=(0, 1),
        progress=False,
    )
    assert len(result) == 6
    assert result.names == ("SOFIM", "the same", "SGD")
    for one, two in zip(result["SOFIM"], result["the same"], strict=True):
        assert one.steps == two.steps
    assert result["SGD"][0].steps[0].loss == result["SOFIM"][0].steps[0].loss
    assert result["SGD"][0].epochs[0].train_loss != result["SGD"][1].epochs[0].train_loss
    assert list(result.summary().index) == ["SOFIM", "the same", "SGD"]
    assert list(result.summary()["runs"]) == [2, 2, 2]
    assert len(result.to_frame()) == 6 * 2
    with pytest.raises(KeyError, match="no run is called 'Adam'"):
        result["Adam"]


def test_a_diverging_contestant_does_not_end_the_race(digits):
    field = {"wild": lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=1e20), "SOFIM": SOFIM}
    result = race(softmax_regression, digits, field, epochs=1, progress=False)
    assert result["wild"][0].diverged
    assert not result["SOFIM"][0].diverged
    assert result.summary().loc["wild", "diverged"] == 1


def test_a_result_without_runs_is_refused():
    for nothing in ((), []):
        with pytest.raises(ValueError, match=r"runs=.* is empty: a race has at least one run"):
            RaceResult(nothing)


def test_an_empty_race_is_refused(digits):
    with pytest.raises(ValueError, match=r"optimizers=\{\} is empty"):
        race(softmax_regression, digits, {})
    with pytest.raises(ValueError, match=r"seeds=\(\) must hold at least one seed"):
        race(softmax_regression, digits, {"SOFIM": SOFIM}, seeds=())


def test_a_race_names_what_is_no_maker(digits):
    with pytest.raises(ValueError, match="seeds=3 must hold at least one seed"):
        race(softmax_regression, digits, {"SOFIM": SOFIM}, seeds=3)
    known = softmax_regression(0)
    with pytest.raises(ValueError, match="model gave the same module twice: it must make a new one"):
        race(lambda seed: known, digits, {"SOFIM": SOFIM, "again": SOFIM}, epochs=1)
    with pytest.raises(ValueError, match="model must make a model from a seed, not be one"):
        race(softmax_regression(), digits, {"SOFIM": SOFIM})
    with pytest.raises(ValueError, match=r"optimizers\['mine'\]=.* must be a constructor"):
        race(softmax_regression, digits, {"mine": 0.1})


@pytest.mark.parametrize("rho", [0.01, 0.5, 10.0])
def test_no_step_of_sofim_is_longer_than_its_bound(digits, rho):
    result = run(digits, make=lambda p: SOFIM(p, lr=2.0, rho=rho))
    bound = step_bound(result)
    assert bound == pytest.approx(2.0 / (2 * math.sqrt(rho)))
    assert max(step.step_length for step in result.steps) <= bound * (1 + 1e-12)


def test_there_is_a_bound_only_where_it_is_proved(digits):
    assert step_bound(run(digits, make=lambda p: torch.optim.SGD(p, lr=0.1))) is None
    assert step_bound(run(digits, make=lambda p: SOFIM(p, direction="gradient"))) is None
    assert step_bound(run(digits, make=lambda p: SOFIM(p, weight_decay=0.1))) is None
    assert step_bound(run(digits, make=lambda p: SOFIM(p, blocks="tensor"))) is None
    warmed = run(digits)
    assert step_bound(replace(warmed, settings=warmed.settings | {"warm_up": 1})) is None


def test_the_bound_of_a_run_that_knows_only_what_was_set(digits):
    """As those of a sweep."""
    assert step_bound(replace(run(digits), settings={"lr": 2.0, "beta": 0.5, "rho": 0.25})) == 2.0


def test_parameters_in_another_memory_format():
    data = load_digits("cpu")
    plain, last = (build_model("cnn", data, seed=0) for _ in range(2))
    last = last.to(memory_format=torch.channels_last)
    assert not all(p.is_contiguous() for p in last.parameters())
    ends = [train(m, data, SOFIM(m.parameters()), epochs=1, progress=False) for m in (plain, last)]
    assert ends[1].final.train_loss == pytest.approx(ends[0].final.train_loss, rel=1e-3)


def test_a_seed_out_of_pytorchs_range_is_named(digits):
    with pytest.raises(ValueError, match=f"seed={2**64} must lie between"):
        run(digits, seed=2**64)


def test_no_bar_in_a_report(digits, monkeypatch, capsys):
    model = softmax_regression()
    monkeypatch.setenv("SOFIM_LAB_REPORT", "1")
    train(model, digits, SOFIM(model.parameters()), epochs=1)
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("SOFIM_LAB_REPORT")
    train(model, digits, SOFIM(model.parameters()), epochs=1)
    assert "SOFIM" in capsys.readouterr().err


@pytest.mark.gpu
def test_a_gpu_sees_the_same_batches():
    cpu, gpu = (
        train(model, load_digits(place), SOFIM(model.parameters()), epochs=1, progress=False)
        for place in ("cpu", "cuda")
        for model in [mlp((64, 10), device=place)]
    )
    assert [s.loss for s in gpu.steps] == pytest.approx([s.loss for s in cpu.steps], rel=1e-3)


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(
    ("value", "words"),
    [("x", r"\.x holds nan or inf in 1 samples, first in 3"), (10, r"\.y holds the label 10 at 3: with 10 classes"),
     (-1, r"\.y holds the label -1 at 3: with 10 classes they are 0 to 9")],
)  # fmt: skip
def test_samples_that_nothing_can_be_learnt_from(digits, part, value, words):
    split = getattr(digits, part)
    x, y = split.x.clone(), split.y.clone()
    if value == "x":
        x[3, 5] = math.nan
    else:
        y[3] = value
    model = softmax_regression()
    before = parameters_to_vector(model.parameters()).clone()
    with pytest.raises(ValueError, match=f"data.{part}{words}"):
        train(model, replace(digits, **{part: Split(x, y)}), torch.optim.SGD(model.parameters()), epochs=1)
    assert torch.equal(parameters_to_vector(model.parameters()), before)
