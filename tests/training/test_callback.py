"""What a training run shows to those who watch it."""

import time

import pytest
import torch
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import race, train


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu")


def softmax_regression(seed=0):
    return mlp((64, 10), seed=seed, device="cpu")


def test_each_step_is_shown_after_it_was_taken(digits):
    model, shown, weights = softmax_regression(), [], []

    def callback(step):
        shown.append(step)
        weights.append(model[0].weight.detach().clone())

    result = train(model, digits, SOFIM(model.parameters()), epochs=2, batch_size=400, callback=callback)
    assert tuple(shown) == result.steps
    assert torch.equal(weights[-1], model[0].weight)
    assert not torch.equal(weights[-2], weights[-1])


def test_watching_changes_nothing_and_its_time_does_not_count(digits):
    runs = []
    for callback in (None, lambda step: time.sleep(0.05)):
        model = softmax_regression()
        started = time.perf_counter()
        result = train(model, digits, SOFIM(model.parameters()), epochs=1, batch_size=200, callback=callback)
        runs.append((result, time.perf_counter() - started))
    (plain, _), (watched, whole) = runs
    assert [step.loss for step in watched.steps] == [step.loss for step in plain.steps]
    assert watched.seconds <= whole - 6 * 0.05


def test_no_step_is_shown_that_was_not_taken(digits):
    model, shown = softmax_regression(), []

    def exploding(logits, labels):
        return nn.functional.cross_entropy(logits, labels) * (torch.inf if len(shown) == 3 else 1)

    result = train(model, digits, SOFIM(model.parameters()), batch_size=200, loss_fn=exploding, callback=shown.append)
    assert result.diverged_at == 4
    assert [step.step for step in shown] == [1, 2, 3]


def test_what_a_callback_raises_ends_the_run(digits):
    def callback(step):
        raise KeyError("stop")

    model = softmax_regression()
    with pytest.raises(KeyError):
        train(model, digits, SOFIM(model.parameters()), epochs=1, callback=callback)


def test_a_race_asks_for_a_callback_before_each_run(digits):
    calls, steps = [], []

    def watch(name, seed, model):
        calls.append((name, seed, torch.equal(model[0].weight, softmax_regression(seed)[0].weight)))
        return steps.append if name == "watched" else None

    field = {"watched": SOFIM, "unseen": SOFIM}
    race(softmax_regression, digits, field, epochs=1, batch_size=400, seeds=(0, 7), watch=watch, progress=False)
    assert calls == [("watched", 0, True), ("watched", 7, True), ("unseen", 0, True), ("unseen", 7, True)]
    assert [step.step for step in steps] == [1, 2, 3] * 2
