"""The committed lessons, run and judged as `python3 dev.py run` does."""

import json
from pathlib import Path

import pytest

from sofim_lab.cli import main
from sofim_lab.lessons.manifest import load_manifest

pytestmark = pytest.mark.usefixtures("time_does_not_count")

HALF_AN_HOUR = 1800  # seconds; lesson 08 in profile full is the whole benchmark, which `sofim-lab bench` is for
FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def run(output, *options):
    status = main(["run", "--notebooks", str(FOLDER), "--output", str(output), "--no-progress", *options])
    return status, (output / "summary.md").read_text(encoding="utf-8")


def test_every_lesson_runs_holds_and_agrees_with_its_baseline(tmp_path):
    status, summary = run(tmp_path)
    assert status == 0, summary


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_every_solution_solves_its_exercise(tmp_path, profile):
    # Solutions run beside the lesson, so the metrics are those of the baseline still.
    ids = [lesson.id for lesson in load_manifest(FOLDER) if lesson.budgets[profile].seconds <= HALF_AN_HOUR]
    assert len(ids) >= 9
    status, summary = run(tmp_path, *ids, "--solutions", "--profile", profile)
    assert status == 0, summary
    lessons = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["lessons"]
    checks = [check for lesson in lessons for check in lesson["outcome"]["checks"]]
    assert checks
    assert all(check["solved"] for check in checks)


@pytest.mark.slow
def test_another_seed_runs_too_and_is_not_compared(tmp_path):
    status, summary = run(tmp_path, "-p", "SEED=5")
    assert status == 0, summary
