import math
from functools import partial

import pytest
import torch
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.optim import registry
from sofim_lab.problems import Dataset, Split, load_digits, mlp, streams
from sofim_lab.problems.conv_models import resnet9
from sofim_lab.training import RaceResult, race, train, train_many
from sofim_lab.training import evaluate as evaluation


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu", dtype=torch.float64)


def regression(seed=0):
    return mlp((64, 10), seed=seed, device="cpu", dtype=torch.float64)


def run(data, model, epochs=1, **options):
    options = {"batch_size": 400, "progress": False, **options}
    return train(model, data, SOFIM(model.parameters()), epochs=epochs, **options)


def test_chunks_give_the_mean_over_all_samples(digits, monkeypatch):
    model, seen = regression(), []
    whole = evaluation.evaluate(model, digits.train, nn.functional.cross_entropy)
    assert whole[0] == nn.functional.cross_entropy(model(digits.train.x), digits.train.y).item()
    monkeypatch.setattr(evaluation, "CHUNK", 500)
    model.register_forward_hook(lambda _, __, output: seen.append(len(output)))
    parts = evaluation.evaluate(model, digits.train, nn.functional.cross_entropy)
    assert seen == [500, 500, 197]
    assert parts == pytest.approx(whole, rel=1e-12)


def test_batch_norm_learns_in_the_steps_and_stands_still_in_evaluation(digits):
    model = resnet9((1, 8, 8), 10, width=1, device="cpu", dtype=torch.float64)
    norm = model[1][1]
    modes = []
    model.register_forward_hook(lambda module, *_: modes.append(all(part.training for part in module.modules())))
    model.eval()
    run(digits, model)
    assert norm.num_batches_tracked == 3  # one a step, none from evaluation
    assert modes == [False] * 3 + [True] * 3 + [False] * 2  # a trial image, train, val, three steps, train, val
    assert not any(part.training for part in model.modules())
    model.train()
    run(digits, model, epochs=0)
    assert all(part.training for part in model.modules())


def test_frozen_parts_stay_frozen(digits):
    model = resnet9((1, 8, 8), 10, width=1, device="cpu", dtype=torch.float64)
    model[1].eval()
    run(digits, model)
    assert model[1][1].num_batches_tracked == 0
    assert model[2][1].num_batches_tracked == 3
    assert model.training
    assert not model[1][1].training


def test_the_test_samples_are_looked_at_when_asked(digits):
    model = regression()
    result = run(digits, model, evaluate_on=("train", "val", "test"))
    plain = run(digits, regression())
    assert result.steps == plain.steps
    logits = model(digits.test.x).detach()
    assert result.final.test_loss == pytest.approx(float(nn.functional.cross_entropy(logits, digits.test.y)), rel=1e-12)
    assert result.final.test_accuracy == float((logits.argmax(1) == digits.test.y).double().mean())
    assert result.epochs[0].test_loss > result.final.test_loss
    assert math.isnan(plain.final.test_loss)
    assert math.isnan(plain.final.test_accuracy)
    assert "test_loss" in RaceResult((result, plain)).summary()
    assert "test_loss" not in RaceResult((plain,)).summary()


def test_what_is_not_evaluated_is_nan_and_no_divergence(digits):
    result = run(digits, regression(), evaluate_on=["test"])
    assert math.isnan(result.final.train_loss)
    assert math.isnan(result.final.val_accuracy)
    assert not result.diverged
    assert result.final.test_accuracy > 0.3


def test_a_test_loss_that_is_not_finite_is_divergence(digits):
    broken = Split(digits.test.x * 1e307, digits.test.y)  # finite, but their mean loss is not
    data = Dataset("broken", digits.train, digits.val, broken, classes=10, shape=(64,))
    assert run(data, regression(), evaluate_on=("train", "test")).diverged_at == 0
    assert not run(data, regression()).diverged


@pytest.mark.parametrize("wanted", [(), ("train", "exam"), "train"])
def test_parts_that_do_not_exist_are_named(digits, wanted):
    model = regression()
    with pytest.raises(ValueError, match=r"evaluate_on=.* must name at least one of train, val, test"):
        run(digits, model, evaluate_on=wanted)


def test_an_empty_part_is_refused(digits):
    empty = Split(digits.val.x[:0], digits.val.y[:0])
    data = Dataset("digits", digits.train, empty, digits.test, classes=10, shape=(64,))
    with pytest.raises(ValueError, match=r"data\.val is empty"):
        run(data, regression())
    assert run(data, regression(), evaluate_on=("train",)).final.train_loss < 2.3


def test_a_stream_decides_what_the_steps_see(digits):
    model, seen = regression(), []

    def loss_fn(outputs, y):
        if outputs.requires_grad:
            seen.append(y)
        return nn.functional.cross_entropy(outputs, y)

    result = run(digits, model, batch_size=50, seed=5, loss_fn=loss_fn, stream=streams.sorted_by_class)
    batches = streams.sorted_by_class(digits.train.y, 50, torch.Generator().manual_seed(5))
    assert all(torch.equal(y, digits.train.y[batch]) for y, batch in zip(seen, batches, strict=True))
    assert result.settings["stream"] == "sorted_by_class"
    assert run(digits, regression()).settings["stream"] == "shuffled"


def test_a_stream_goes_by_its_name_too(digits):
    own = run(digits, regression(), stream=streams.sorted_by_class)
    named = run(digits, regression(), stream="sorted_by_class")
    assert named.steps == own.steps
    assert named.settings["stream"] == "sorted_by_class"
    options = {"epochs": 1, "batch_size": 400, "progress": False, "stream": "dirichlet(0.5)"}
    raced = race(regression, digits, ["SOFIM"], **options).runs[0]
    (many,) = train_many(regression, digits, [(partial(registry.make, "SOFIM"), 0)], **options)
    assert raced.settings["stream"] == many.settings["stream"] == "dirichlet(0.5)"


def test_an_unknown_stream_is_refused_before_anything_is_changed(digits):
    model = regression().eval()
    before = [p.clone() for p in model.parameters()]
    for call in (
        lambda stream: run(digits, model, stream=stream),
        lambda stream: race(lambda seed: model, digits, ["SOFIM"], stream=stream),
        lambda stream: train_many(lambda seed: model, digits, [(SOFIM, 0)], stream=stream),
    ):
        with pytest.raises(ValueError, match="no stream is called 'shuffeld': there are shuffled, sorted_by_class"):
            call("shuffeld")
        with pytest.raises(ValueError, match="stream=None must be a Stream or a name"):
            call(None)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_a_race_hands_stream_and_parts_on(digits):
    result = race(
        regression,
        digits,
        ["SOFIM"],
        epochs=1,
        batch_size=400,
        progress=False,
        stream=streams.dirichlet(),
        evaluate_on=("test",),
    )
    assert result.runs[0].settings["stream"] == "dirichlet"
    assert result.summary().loc["SOFIM", "test_accuracy"] > 0.1


def test_messages_speak_of_the_data_at_hand():
    part = Split(torch.rand(6, 12), torch.arange(6) % 3)
    data = Dataset("small", part, part, part, classes=3, shape=(12,))
    with pytest.raises(ValueError, match=r"samples of 12 numbers .* 12 inputs, e\.g\. mlp\(\(12, 32, 3\)\)"):
        run(data, mlp((64, 3), device="cpu"))
    with pytest.raises(ValueError, match=r"returns \(1, 2\) for one sample; 3 logits are needed"):
        run(data, mlp((12, 2), device="cpu"))
