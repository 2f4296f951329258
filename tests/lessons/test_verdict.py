"""What makes a lesson fail, and what is only worth a look."""

import pytest
from synthetic import BUDGET, LESSON, baseline, lesson_run, outcome

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import Expected, baseline_path
from sofim_lab.lessons.judging.verdict import judge_lesson, share
from sofim_lab.lessons.outcome import Failure, Metric, Verification


@pytest.fixture
def baselines(tmp_path):
    write_atomically(baseline_path(tmp_path, LESSON), baseline(loss=Expected(0.5, 0.0, 0.1)).to_text())
    return tmp_path


GOOD = outcome(Metric("loss", 0.55))


def judged(baselines, **changes):
    return judge_lesson(lesson_run(outcome(*changes.pop("metrics", GOOD.metrics), **changes)), baselines)


def test_all_well(baselines):
    verdict = judged(baselines)
    assert (verdict.passed, verdict.word, verdict.failures, verdict.warnings) == (True, "passed", (), ())


def test_failed_lesson_says_where(baselines):
    failure = Failure("error", "NameError: x", 7, "a1b2", 3, "print(x)")
    verdict = judged(baselines, status="failed", failure=failure)
    assert verdict.word == "failed"
    assert verdict.failures == ("cell 7 (a1b2), line 3: print(x)\nNameError: x",)
    assert judged(baselines, status="timeout").word == "timeout"


def test_formula_that_does_not_hold(baselines):
    verdict = judged(baselines, verifications=(Verification("05.x", False, 0.3, 0.1),))
    assert verdict.failures == ("formula 05.x does not hold: residual 0.3, tolerance 0.1",)


def test_metric_and_missing_baseline(baselines):
    verdict = judged(baselines, metrics=(Metric("loss", 0.9),))
    assert verdict.word == "metrics differ"
    assert verdict.failures[0].startswith("metric loss: out of tolerance")
    assert judged(baselines, lesson="00_start_here").word == "no baseline"
    baseline_path(baselines, LESSON).write_text("{", encoding="utf-8")
    assert judged(baselines).word == "bad baseline"


@pytest.mark.parametrize(
    ("spent", "failures", "warnings"),
    [
        ({"seconds": BUDGET.seconds, "peak_memory_mb": None}, 0, 0),
        ({"seconds": 1.9 * BUDGET.seconds}, 0, 1),
        ({"seconds": 2.1 * BUDGET.seconds}, 1, 0),
        ({"peak_memory_mb": 1.9 * BUDGET.memory_mb}, 0, 1),
        ({"peak_memory_mb": 2.1 * BUDGET.memory_mb}, 1, 0),
    ],
)
def test_budgets_warn_first_and_fail_at_twice(baselines, spent, failures, warnings):
    verdict = judged(baselines, **spent)
    assert (len(verdict.failures), len(verdict.warnings)) == (failures, warnings)


def test_a_page_that_hides_something_fails(baselines):
    verdict = judge_lesson(lesson_run(GOOD, problems=("cell 3 (c): a picture without alternative text",)), baselines)
    assert verdict.failures == ("page: cell 3 (c): a picture without alternative text",)
    assert verdict.word == "failed"


def test_share():
    assert [share(5.48, 60), share(83.2, 60), share(None, 60)] == ["5.5 of 60", "83 of 60", "– of 60"]
