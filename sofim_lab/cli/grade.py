"""`sofim-lab grade`: which exercises a learner's notebook solves."""

import argparse
import json
import sys
from pathlib import Path

from sofim_lab.cli.extras import require
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.grading import Grade, grade_notebook
from sofim_lab.lessons.running.offline import can_go_offline

MARKS = {"solved": "✓", "wrong": "✗", "not attempted": "–"}


def command(arguments: argparse.Namespace) -> int:
    """Grade each file, and say so at once; 0 only if all exercises of all of them are solved, 2 if one is no lesson."""
    require("papermill", "ipykernel")
    if not arguments.network and not can_go_offline():
        print("sofim-lab: the notebooks can use the network, this system does not let me take it away", file=sys.stderr)
    grades = []
    for number, path in enumerate(arguments.files):
        grades.append(_grade(path, arguments))
        if not arguments.json:
            print("\n" * (number > 0) + as_text(grades[-1]), flush=True)
    if arguments.json:
        print(json.dumps([grade.to_json() for grade in grades], indent=2, ensure_ascii=False))
    if not all(grade.exercises for grade in grades):
        return 2
    return 0 if all(grade.solved == len(grade.exercises) for grade in grades) else 1


def _grade(path: Path, arguments: argparse.Namespace) -> Grade:
    """The grade of one file; of one that cannot be graded, why. It does not stop those after it."""
    try:
        return grade_notebook(
            path,
            device=arguments.device,
            cell_timeout=arguments.cell_timeout,
            time_limit=arguments.time_limit,
            memory_limit=arguments.memory_limit,
            offline=False if arguments.network else None,
            progress=arguments.progress and not arguments.json,
        )
    except LessonError as error:
        return Grade(str(path), (), 0.0, f"not graded: {error}")


def as_text(grade: Grade) -> str:
    """The grade in a few lines: the total, one line an exercise, and what kept the notebook from running."""
    lines = [f"{grade.notebook}: {grade.solved} of {len(grade.exercises)} solved, {grade.seconds:.0f} s"]
    for exercise in grade.exercises:
        said = exercise.message.strip().splitlines()
        lines.append(f"  {MARKS[exercise.answer]} {exercise.id}: {exercise.answer}" + (f": {said[0]}" if said else ""))
    if grade.trouble:
        lines += ["  " + line for line in f"! {grade.trouble}".splitlines()]
    return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """A line that only says something: a learner's text could otherwise steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
