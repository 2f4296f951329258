"""Times to a target against a plain loop; the pilot's rule; what selection prefers."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofim_lab.benchmark import Task, expected_best, pilot_targets, ranking, time_to_target
from sofim_lab.benchmark.pilot import round_down, round_up

CURVE = st.lists(st.one_of(st.floats(0, 2), st.just(math.nan)), min_size=1, max_size=12)


def rows(curves, measure="train_loss"):
    return pd.DataFrame(
        [
            {"configuration": name, "seed": seed, "epoch": e, "gradient_evaluations": 2.5 * e, measure: value}
            for (name, seed), curve in curves.items()
            for e, value in enumerate(curve)
        ]
    )


def first(curve, target, at_least):
    for epoch, value in enumerate(curve):
        if epoch == 0:  # before the first step
            continue
        if value >= target if at_least else value <= target:
            return epoch
    return math.inf


@given(st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), CURVE, min_size=1), st.floats(0, 2))
def test_the_time_is_that_of_a_plain_loop(curves, target):
    for measure in ("train_loss", "test_accuracy"):
        found = time_to_target(rows(curves, measure), measure, target)
        assert set(found.index) == set(curves)
        for run, curve in curves.items():
            assert found[run] == first(curve, target, measure.endswith("accuracy"))


def test_what_holds_before_the_first_step_counts_from_an_epoch_on():
    frame = rows({("a", 0): [0.1, 0.1, 0.1], ("a", 1): [0.1, 1, 0.1], ("a", 2): [0.1, 1, 1]})
    assert time_to_target(frame, "train_loss", 0.5).tolist() == [1, 2, math.inf]
    assert time_to_target(frame, "train_loss", 0.5, "gradient_evaluations").tolist() == [2.5, 5, math.inf]


def test_passes_are_read_at_the_same_epoch():
    frame = rows({("a", 0): [1, 0.5, 0.1], ("a", 1): [1, 1, 1]})
    assert time_to_target(frame, "train_loss", 0.5, "gradient_evaluations").tolist() == [2.5, math.inf]


def test_what_was_reached_before_a_divergence_stays_reached():
    frame = rows({("a", 0): [1, 0.1, math.nan], ("b", 0): [1, math.nan]})
    assert time_to_target(frame, "train_loss", 0.2).tolist() == [1, math.inf]


def test_other_measures_and_units_are_refused():
    frame = rows({("a", 0): [1.0]})
    with pytest.raises(ValueError, match="measure='loss' is unknown: choose one of train_loss"):
        time_to_target(frame, "loss", 0.1)
    with pytest.raises(ValueError, match="unit='hours' is unknown: choose one of epoch"):
        time_to_target(frame, "train_loss", 0.1, "hours")


@given(st.floats(1e-6, 50))
def test_a_rounded_loss_is_easier_and_close(loss):
    rounded = round_up(loss)
    assert loss * (1 - 1e-9) <= rounded <= 1.1 * loss * (1 + 1e-9)
    assert float(f"{rounded:.2g}") == rounded


@given(st.floats(0, 1))
def test_a_rounded_accuracy_is_easier_and_close(accuracy):
    rounded = round_down(accuracy)
    assert accuracy - 0.005 < rounded <= accuracy + 1e-9
    assert (rounded * 200) == pytest.approx(round(rounded * 200))


def test_the_pilot_reads_the_best_value_up_to_half_of_the_epochs():
    values = {0: [3, 0.4, 0.31, 0.01, 0.01], 1: [3, 0.2, 0.9, 0.01, 0.01], 2: [3, 0.5, 0.45, 0.01, 0.01]}
    frame = pd.DataFrame(
        [
            {"seed": seed, "epoch": e, "train_loss": v, "test_loss": v, "val_loss": v, "test_accuracy": 1 - v / 10}
            for seed, curve in values.items()
            for e, v in enumerate(curve)
        ]
    )  # fmt: skip
    found = pilot_targets(frame, Task("digits", "mlp", epochs=4))
    assert found == {"train_loss": 0.31, "test_loss": 0.31, "val_loss": 0.31, "test_accuracy": 0.965}
    frame["test_loss"] = math.nan
    with pytest.raises(ValueError, match="the pilot of digits, mlp has no finite test_loss"):
        pilot_targets(frame, Task("digits", "mlp", epochs=4))


def test_selection_counts_misses_then_epochs_then_the_loss():
    curves = {
        ("fast once", 0): [1, 0.1, 0.1, 0.1], ("fast once", 1): [1, 1, 1, 1],
        ("slow twice", 0): [1, 1, 0.2, 0.2], ("slow twice", 1): [1, 1, 0.2, 0.2],
        ("as slow, better", 0): [1, 1, 0.2, 0.05], ("as slow, better", 1): [1, 1, 0.2, 0.2],
        ("faster", 0): [1, 0.2, 0.2, 0.2], ("faster", 1): [1, 1, 0.2, 0.2],
        ("failed", 0): [math.nan], ("failed", 1): [math.nan],
    }  # fmt: skip
    order = ranking(rows(curves, "val_loss"), target=0.2)
    assert order.index.tolist() == ["faster", "as slow, better", "slow twice", "fast once", "failed"]
    assert order["missed"].tolist() == [0, 0, 0, 1, 2]


def test_equals_are_taken_in_their_order():
    order = ranking(rows({(name, 0): [1, 0.1] for name in "dacb"}, "val_loss"), target=0.2)
    assert order.index.tolist() == list("dacb")
    assert np.isfinite(order["best"]).all()


@given(st.lists(st.one_of(st.floats(0.01, 9), st.just(math.inf)), min_size=1, max_size=7), st.data())
def test_the_worth_of_a_budget_is_the_mean_over_subsets(losses, data):
    k = data.draw(st.integers(1, len(losses)))
    by_hand = np.mean([min(few) for few in combinations(losses, k)])
    assert expected_best(losses, k) == pytest.approx(by_hand, rel=1e-12)


def test_a_budget_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"k=3 must lie in 1 … 2"):
        expected_best([1.0, 2.0], 3)
