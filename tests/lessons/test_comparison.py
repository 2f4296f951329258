"""Metrics against their baseline: each way to disagree is told apart."""

import math

import pytest
from synthetic import LESSON, baseline, outcome

from sofim_lab.lessons.judging.baselines import Expected
from sofim_lab.lessons.judging.comparison import compare, compare_with_file
from sofim_lab.lessons.outcome import Metric

HELD = baseline(loss=Expected(0.5, rtol=0.1, atol=0.01))  # allowed: 0.06


def only_row(value, **expected):
    held = baseline(loss=Expected(0.5, 0.1, 0.01, **expected))
    (row,) = compare(outcome(Metric("loss", value)), held).rows
    return row


@pytest.mark.parametrize(
    ("value", "better", "status"),
    [
        (0.5, None, "ok"),
        (0.559, None, "ok"),
        (0.441, None, "ok"),
        (0.561, None, "out of tolerance"),
        (0.439, None, "out of tolerance"),
        (0.561, "lower", "out of tolerance"),
        (0.439, "lower", "better"),
        (0.561, "higher", "better"),
        (0.439, "higher", "out of tolerance"),
        (0.441, "lower", "ok"),
        (math.nan, "lower", "non-finite"),
        (-math.inf, "lower", "non-finite"),
        (math.inf, "higher", "non-finite"),
    ],
)
def test_status_of_a_value(value, better, status):
    row = only_row(value, better=better)
    assert row.status == status
    assert row.passed == (status in ("ok", "better"))


def test_a_row_says_by_how_much():
    row = only_row(0.7)
    assert (row.value, row.baseline) == (0.7, 0.5)
    assert row.difference == pytest.approx(0.2)
    assert row.allowed == pytest.approx(0.06)
    assert str(row) == "loss: out of tolerance, value 0.7, baseline 0.5, difference +0.2, allowed 0.06"


def test_removed_and_new_metrics_fail():
    comparison = compare(outcome(Metric("lss", 0.5)), HELD)
    assert [(row.name, row.status) for row in comparison.rows] == [("lss", "new"), ("loss", "missing")]
    assert not comparison.passed


def test_after_a_failure_what_was_not_reached_is_not_missing():
    (row,) = compare(outcome(status="failed"), HELD).rows
    assert (row.status, row.note) == ("not compared", "not reached")


def test_a_time_is_shown_and_never_compared():
    comparison = compare(outcome(Metric("loss", 0.5), Metric("seconds", math.nan, "s", compare=False)), HELD)
    assert comparison.rows[1].status == "not compared"
    assert comparison.passed


def test_a_metric_cannot_leave_its_baseline_by_compare_false():
    comparison = compare(outcome(Metric("loss", 9.0, compare=False)), HELD)
    assert comparison.rows[0].status == "missing"
    assert not comparison.passed


def test_other_parameters_are_not_compared():
    comparison = compare(outcome(Metric("loss", 9.0), default_parameters=False), HELD)
    assert comparison.passed
    assert "default parameters" in comparison.warning
    assert comparison.rows[0].status == "not compared"


@pytest.mark.parametrize("held", [None, baseline(profile="full"), baseline(device="cuda")])
def test_no_baseline_on_the_cpu_fails_and_names_the_command(held):
    comparison = compare(outcome(Metric("loss", 0.5)), held)
    assert not comparison.passed
    assert f"`sofim-lab run {LESSON} --update-baselines`" in comparison.error
    full = compare(outcome(Metric("loss", 0.5), profile="full"), None)
    assert "--update-baselines --profile full`" in full.error


def test_another_device_is_held_to_the_cpus_baseline_until_it_has_its_own():
    run = outcome(Metric("loss", 0.55), device="mps")
    comparison = compare(run, HELD)
    assert (comparison.passed, comparison.warning) == (True, "")
    assert [(row.status, row.baseline) for row in comparison.rows] == [("ok", 0.5)]
    assert not compare(run, baseline(device="mps", profile="full")).passed


@pytest.mark.parametrize(
    ("value", "held", "words"),
    [
        (0.7, HELD, "no baseline for cuda yet, and off the CPU's: loss: out of tolerance, value 0.7, baseline 0.5"),
        (0.5, None, "not compared: no baseline for cuda yet"),
        (0.5, baseline(profile="full"), "not compared: no baseline for cuda yet"),
    ],
)
def test_what_is_off_on_a_device_without_a_baseline_is_a_warning(value, held, words):
    comparison = compare(outcome(Metric("loss", value), device="cuda"), held)
    assert comparison.passed
    assert comparison.warning.startswith(words)
    assert [row.status for row in comparison.rows] == ["not compared"]


def test_a_lesson_without_comparable_metrics_needs_no_baseline():
    assert compare(outcome(Metric("seconds", 1.0, compare=False)), None).passed


def test_a_corrupt_file_is_an_error_of_this_lesson_alone(tmp_path):
    (tmp_path / f"{LESSON}.json").write_text("{", encoding="utf-8")
    comparison = compare_with_file(outcome(Metric("loss", 0.5)), tmp_path)
    assert not comparison.passed
    assert "not readable as JSON" in comparison.error
    assert comparison.rows[0].value == 0.5
    assert "no baseline" in compare_with_file(outcome(Metric("loss", 0.5), lesson="00_other"), tmp_path).error
