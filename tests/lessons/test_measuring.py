"""Baselines from measured runs."""

import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import LESSON, baseline, outcome

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import BaselineError, Expected, baseline_path, load_baseline
from sofim_lab.lessons.judging.comparison import compare
from sofim_lab.lessons.judging.measuring import UpdateError, measure, tolerance, update_baseline
from sofim_lab.lessons.outcome import Failure, Metric, Verification


def runs(*values, name="loss", **options):
    first, *others = (Metric(name, value, **options) for value in values)
    return [outcome(first), *(outcome(m, default_parameters=False, parameters={"SEED": 1}) for m in others)]


def test_allowed_is_three_times_the_largest_deviation():
    assert tolerance(0.5, [0.5, 0.4, 0.55]) == (1e-5, pytest.approx(0.3))


def test_a_count_that_never_moved_is_held_to_itself():
    section = measure(runs(12.0, 12.0, 12.0, name="iterations"))
    held = baseline(**section)
    assert not compare(outcome(Metric("iterations", 13.0)), held).passed


def test_a_residual_may_grow_tenfold_and_no_more():
    section = measure(runs(1e-7, 1.1e-7, 0.9e-7, name="residual", better="lower"))
    assert compare(outcome(Metric("residual", 9e-7)), baseline(**section)).passed
    assert not compare(outcome(Metric("residual", 1e-4)), baseline(**section)).passed


def test_an_exact_zero_leaves_room_for_rounding_only():
    section = measure(runs(0.0, 0.0, name="residual"))
    assert compare(outcome(Metric("residual", 3e-16)), baseline(**section)).passed
    assert not compare(outcome(Metric("residual", 1e-9)), baseline(**section)).passed


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6))
def test_every_measured_run_agrees_with_its_own_baseline(values):
    held = baseline(**measure(runs(*values)))
    for run in runs(*values):
        (row,) = compare(outcome(*run.metrics), held).rows
        assert row.status == "ok", row


def test_update_writes_values_keeps_other_sections_and_reports_changes(tmp_path):
    path = baseline_path(tmp_path, LESSON)
    kept, old = Expected(1.0, 0.0, 0.0), Expected(0.5, 0.0, 0.0)
    write_atomically(path, baseline(loss=old, gone=old).with_section("cuda", "quick", {"loss": kept}).to_text())
    changes = update_baseline([outcome(Metric("loss", 0.6, better="lower"), Metric("s", 1.0, compare=False))], tmp_path)
    held = load_baseline(path)
    assert held.section("cpu", "quick") == {"loss": Expected(0.6, 1e-5, 0.0, "lower")}
    assert held.section("cuda", "quick") == {"loss": kept}
    assert [str(change) for change in changes] == [
        f"{LESSON} loss: 0.5 ± 0 -> 0.6 ± 6e-06",
        f"{LESSON} gone: 0.5 ± 0 -> none",
    ]
    assert update_baseline([outcome(Metric("loss", 0.6, better="lower"))], tmp_path) == ()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (outcome(status="failed", failure=Failure("error", "ZeroDivisionError", 3)), "cell 3"),
        (outcome(status="timeout"), "timeout"),
        (outcome(Metric("loss", 1.0), verifications=(Verification("05.x", False, 1.0, 0.1),)), "05.x does not hold"),
        (outcome(Metric("loss", math.nan)), "'loss' is nan"),
        (outcome(), "'loss' is not in every run"),
        (outcome(Metric("loss", 1.0), Metric("more", 1.0)), "'more' is not in every run"),
        (outcome(Metric("loss", 1.0), device="cuda"), "different kinds"),
    ],
)
def test_a_bad_run_changes_nothing(tmp_path, bad, words):
    path = baseline_path(tmp_path, LESSON)
    update_baseline(runs(0.5), tmp_path)
    before = path.read_bytes()
    with pytest.raises(UpdateError) as error:
        update_baseline([outcome(Metric("loss", 1.0)), bad], tmp_path)
    assert words in str(error.value)
    with pytest.raises(UpdateError):
        update_baseline([bad, outcome(Metric("loss", 1.0))], tmp_path)
    assert path.read_bytes() == before


def test_the_value_comes_from_default_parameters_only(tmp_path):
    with pytest.raises(UpdateError, match="default parameters"):
        update_baseline([outcome(Metric("loss", 1.0), default_parameters=False)], tmp_path)
    with pytest.raises(UpdateError, match="no run"):
        update_baseline([], tmp_path)


def test_a_corrupt_file_is_not_overwritten(tmp_path):
    path = baseline_path(tmp_path, LESSON)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BaselineError):
        update_baseline(runs(0.5), tmp_path)
    assert path.read_text(encoding="utf-8") == "{"


def test_a_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = baseline_path(tmp_path, LESSON)
    update_baseline(runs(0.5), tmp_path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        update_baseline(runs(0.7), tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
