"""Grading a learner's notebook: run a copy of it, apart and with a time limit, and see which exercises it solves."""

import dataclasses
import json
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.exercises import find_exercise
from sofim_lab.lessons.manifest import DEVICE_CLASSES, PROFILES, Budget, Lesson
from sofim_lab.lessons.notebook import read_notebook, tags, text, without_outputs
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.running.offline import can_go_offline
from sofim_lab.lessons.running.runner import run_lessons

Answer = Literal["solved", "wrong", "not attempted"]

_CHECK = re.compile(r"""\bcheck\(\s*["']([\w.-]+)["']""")


@dataclasses.dataclass(frozen=True)
class Graded:
    """One exercise: its id, what became of it, and the last message of its check."""

    id: str
    answer: Answer
    message: str = ""


@dataclasses.dataclass(frozen=True)
class Grade:
    """A graded notebook; `trouble` says what kept it from running to its end, or from running well."""

    notebook: str
    exercises: tuple[Graded, ...]
    seconds: float
    trouble: str = ""

    @property
    def solved(self) -> int:
        """How many exercises are solved."""
        return sum(exercise.answer == "solved" for exercise in self.exercises)

    def to_json(self) -> dict[str, Any]:
        """Plain types, with the number solved."""
        return {**dataclasses.asdict(self), "solved": self.solved, "of": len(self.exercises)}


def grade_notebook(
    path: Path,
    *,
    device: str = "cpu",
    profile: str = "quick",
    cell_timeout: float = 120,
    time_limit: float = 600,
    memory_limit: float = 2048,
    offline: bool | None = None,
    progress: bool = False,
) -> Grade:
    """Run a copy of a learner's notebook in a process of its own and collect the answers to its exercises.

    Outputs that the file brings along count for nothing, cells tagged `solution` are emptied, and a cell that raises
    does not stop the ones after it. All exercises of a lesson count, also those whose `check` was deleted. It is no
    examination: code that is determined to cheat runs in the same process as the checks. Nor is it a prison: the
    notebook runs with the rights of who calls this, and can read and change their files.

    Args:
        path: The learner's `.ipynb`; it is not changed.
        device: `auto`, `cpu`, `cuda` or `mps`.
        profile: `quick` or `full`.
        cell_timeout: Seconds for one cell, > 0.
        time_limit: Seconds for the whole notebook, > 0.
        memory_limit: MB that its processes may hold together.
        offline: Whether it has no network; with `None`, wherever the system allows that.
        progress: Show a progress bar.

    Returns:
        The grade, exercises in the lesson's order.

    Raises:
        LessonError: The file is no notebook, or asks no exercise that is known.
    """
    path = Path(path)
    notebook = read_notebook(path)
    ids = _exercises_of(path, notebook)
    with tempfile.TemporaryDirectory(prefix="sofim-lab-grade-") as folder:
        copy = Path(folder) / "work" / f"{path.stem}.ipynb"
        write_atomically(copy, json.dumps(_prepared(notebook)))
        (outcome,) = run_lessons(
            [_as_lesson(copy)],
            output=Path(folder) / "out",
            device=device,
            profile=profile,
            cell_timeout=cell_timeout,
            lesson_timeout=time_limit,
            memory_limit=memory_limit,
            offline=can_go_offline() if offline is None else offline,
            progress=progress,
        )
    return Grade(str(path), _answers(ids, outcome), outcome.seconds, _trouble(outcome))


def _exercises_of(path: Path, notebook: dict[str, Any]) -> list[str]:
    """The ids of all exercises of the lessons that the notebook asks about."""
    asked = [id for cell in notebook["cells"] for id in _CHECK.findall(text(cell["source"]))]
    lessons = []
    for id in asked:
        try:
            lessons.append(find_exercise(id).id.partition(".")[0])
        except ValueError:  # a slip of the learner: its cell will say so when it runs
            continue
    if not lessons:
        raise LessonError(f'{path} asks no exercise: there is no known check("…") in it; is it a lesson?')
    modules = [import_module(f"sofim_lab.lessons.exercises.lesson_{lesson}") for lesson in dict.fromkeys(lessons)]
    return [exercise.id for module in modules for exercise in module.EXERCISES]


def _prepared(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without outputs and solutions, every cell allowed to raise."""
    notebook = without_outputs(notebook)
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = "" if "solution" in tags(cell) else cell["source"]
            metadata = {**cell["metadata"], "tags": [*tags(cell), "raises-exception"]}
            cell = {**cell, "source": source, "metadata": metadata}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _as_lesson(path: Path) -> Lesson:
    """The file as a lesson that the runner takes; its limits are given to the runner."""
    return Lesson(
        id=path.stem,
        path=path,
        title=path.stem,
        question="",
        minutes=1,
        objectives=(),
        devices=DEVICE_CLASSES,
        budgets=dict.fromkeys(PROFILES, Budget(1, 1)),
        cell_timeout=dict.fromkeys(PROFILES, 1),
        lesson_timeout=dict.fromkeys(PROFILES, 1),
    )


def _answers(ids: list[str], outcome: Outcome) -> tuple[Graded, ...]:
    """What became of each exercise."""
    checks = {check.id: check for check in outcome.checks}
    graded = []
    for id in ids:
        check = checks.get(id)
        if check is None or check.solved is None:
            graded.append(Graded(id, "not attempted"))
        else:
            graded.append(Graded(id, "solved" if check.solved else "wrong", "" if check.solved else check.message))
    return tuple(graded)


def _trouble(outcome: Outcome) -> str:
    """The first thing that went wrong, in a line or two; empty where nothing did."""
    return "" if outcome.failure is None else f"{outcome.status}: {outcome.failure}"
