"""Two runs beside each other: which metrics agree, and what only one of them has."""

import dataclasses
import math

import pytest
from synthetic import ENVIRONMENT, LESSON, baseline, lesson_run, outcome

from sofim_lab.cli import main
from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import Expected, baseline_path
from sofim_lab.lessons.judging.two_runs import compare_runs
from sofim_lab.lessons.outcome import Metric
from sofim_lab.lessons.reporting.runfile import Run, save_run


@pytest.fixture
def notebooks(tmp_path):
    """A lesson whose baselines differ between the devices."""
    held = baseline(loss=Expected(0.5, 0.0, 0.01)).with_section("cuda", "quick", {"loss": Expected(0.5, 0.0, 0.1)})
    write_atomically(baseline_path(tmp_path / "notebooks" / "baselines", LESSON), held.to_text())
    return tmp_path / "notebooks"


def a_run(*metrics, **changes):
    return Run(ENVIRONMENT, (lesson_run(outcome(*metrics, **changes)),))


def verdicts(a, b, notebooks):
    return {pair.name: pair.verdict for pair in compare_runs(a, b, notebooks / "baselines")}


def test_the_larger_tolerance_of_two_devices_counts(notebooks):
    a = a_run(Metric("loss", 0.5))
    for device, value, said in (("cpu", 0.505, "agree"), ("cpu", 0.55, "differ"), ("cuda", 0.55, "agree"),
                                ("cuda", 0.61, "differ")):  # fmt: skip
        b = a_run(Metric("loss", value), device=device)
        assert verdicts(a, b, notebooks) == {"loss": said}
        assert verdicts(b, a, notebooks) == {"loss": said}


def test_without_a_baseline_only_rounding_is_allowed(notebooks):
    assert verdicts(a_run(Metric("x", 1.0)), a_run(Metric("x", 1 + 9e-6)), notebooks) == {"x": "agree"}
    (pair,) = compare_runs(a_run(Metric("x", 1.0)), a_run(Metric("x", 1.1)), notebooks / "baselines")
    assert (pair.verdict, pair.note) == ("differ", "no baseline, so only float32 noise is allowed")
    baseline_path(notebooks / "baselines", LESSON).write_text("{", encoding="utf-8")
    (pair,) = compare_runs(a_run(Metric("loss", 1.0)), a_run(Metric("loss", 1.1)), notebooks / "baselines")
    assert "cannot be read" in pair.note


def test_what_only_one_run_has_is_named(notebooks):
    a = a_run(Metric("loss", 0.5), Metric("old", 1), Metric("t", 3, compare=False), Metric("n", math.nan))
    b = a_run(Metric("new", 1), Metric("loss", 0.5), Metric("t", 9, compare=False), Metric("n", math.nan))
    said = {"loss": "agree", "old": "only in A", "t": "not compared", "n": "non-finite", "new": "only in B"}
    assert verdicts(a, b, notebooks) == said
    passed = {pair.name for pair in compare_runs(a, b, notebooks / "baselines") if pair.passed}
    assert passed == {"loss", "t"}


@pytest.mark.parametrize(
    ("changes", "note"),
    [({"status": "timeout"}, "did not pass in B: timeout"), ({"profile": "full"}, "profile quick in A, full in B"),
     ({"parameters": {"SEED": 1}}, "SEED=0 in A, 1 in B")],
)  # fmt: skip
def test_lessons_that_ran_otherwise_are_not_compared(notebooks, changes, note):
    (pair,) = compare_runs(a_run(Metric("loss", 0.5)), a_run(Metric("loss", 0.5), **changes), notebooks / "baselines")
    assert (pair.verdict, pair.note, pair.passed) == ("not compared", note, False)


def test_the_command_prints_a_table_and_judges(notebooks, tmp_path, capsys):
    gpu = dataclasses.replace(ENVIRONMENT, commit="def5678+")
    save_run(a_run(Metric("loss", 0.5, "nat"), parameters={"DEVICE": "cpu"}), tmp_path / "a")
    b = a_run(Metric("loss", 0.52, "nat"), device="cuda", parameters={"DEVICE": "cuda"})
    save_run(dataclasses.replace(b, environment=gpu), tmp_path / "b")
    command = ["compare", "--notebooks", str(notebooks), str(tmp_path / "a")]
    assert main([*command, str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "B: cuda, 2030-01-02T03:04:05+00:00, torch 2.13, a CPU, commit def5678+" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["Lesson", "Metric", "A", "B", "B", "-", "A", "Allowed", "Verdict"] in lines
    assert [LESSON, "loss", "[nat]", "0.5", "0.52", "+0.02", "0.1", "agree"] in lines
    save_run(Run(gpu, (lesson_run(outcome(lesson="07_x")),)), tmp_path / "b")
    assert main([*command, str(tmp_path / "b" / "run.json")]) == 1
    out = capsys.readouterr().out
    assert out.count("the lesson is missing in the other run") == 2
    assert "2 of 2 do not agree" in out
    save_run(dataclasses.replace(a_run(Metric("loss", 0.5)), interrupted=True), tmp_path / "a")
    assert main([*command, str(tmp_path / "a")]) == 1
    assert "Interrupted: A and B" in capsys.readouterr().out
    assert main([*command, "1", "2"]) == 2
    assert "compare takes one run or two, not 3" in capsys.readouterr().err
