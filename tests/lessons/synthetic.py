"""Outcomes that no lesson gave, and notebooks that nobody executed."""

import dataclasses
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_notebook

from sofim_lab.lessons.judging.baselines import Baseline, Expected
from sofim_lab.lessons.manifest import Budget
from sofim_lab.lessons.outcome import Metric, Outcome, Verification
from sofim_lab.lessons.reporting.environment import Environment
from sofim_lab.lessons.reporting.runfile import LessonRun

LESSON = "05_sherman_morrison"
ENVIRONMENT = Environment("2030-01-02T03:04:05+00:00", "3.11.7", "Linux", "a CPU", 2, "", "abc1234", {"torch": "2.13"})
BUDGET = Budget(60, 1000)


def outcome(*metrics: Metric, **changes: Any) -> Outcome:
    """A lesson that passed on the CPU."""
    run = Outcome(
        lesson=LESSON,
        title="Sherman–Morrison",
        status="passed",
        device="cpu",
        profile="quick",
        parameters={"SEED": 0},
        seconds=12.5,
        notebook=Path("report", f"{LESSON}.ipynb"),
        peak_memory_mb=400.0,
        metrics=metrics,
        verifications=(Verification("05.solve", True, 1e-16, 1e-12, "F⁻¹v"),),
    )
    return dataclasses.replace(run, **changes)


def baseline(device: str = "cpu", profile: str = "quick", **section: Expected) -> Baseline:
    """A baseline with one section."""
    return Baseline(LESSON, {(device, profile): section})


def lesson_run(of: Outcome | None = None, **changes: Any) -> LessonRun:
    """A lesson of a run, within its budget."""
    return dataclasses.replace(LessonRun(of or outcome(), BUDGET), **changes)


def write_notebook(path: Path, *cells: Any) -> Path:
    """An executed notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path
