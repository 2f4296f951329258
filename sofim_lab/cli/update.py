"""`sofim-lab run --update-baselines`: repeat lessons over seeds and thread counts, and write what they gave."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.baselines import baseline_path, load_baseline
from sofim_lab.lessons.judging.measuring import update_baseline
from sofim_lab.lessons.manifest import Lesson
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.running.runner import run_lessons

THREADS = (1, 2)


def update_baselines(lessons: Sequence[Lesson], defaults: Sequence[Outcome], arguments: argparse.Namespace) -> bool:
    """Measure the spread of each lesson's metrics and write its baseline.

    Args:
        lessons: what to measure.
        defaults: the outcome of each with its default parameters, which gives the values.
        arguments: the options of `run`.

    Returns:
        Whether every lesson has a baseline now; for those that have not, the reason is printed and the old one kept.
    """
    complete = True
    for lesson, default in zip(lessons, defaults, strict=True):
        folder = lesson.path.parent / "baselines"
        try:
            load_baseline(baseline_path(folder, lesson.id))  # a corrupt one is found before minutes of measuring
            spread = () if default.status != "passed" else _repeat(lesson, arguments)
            changes = update_baseline([default, *spread], folder)
        except LessonError as error:
            print(f"baseline not updated: {error}", file=sys.stderr)
            complete = False
            continue
        print(f"Baseline of {lesson.id}, {default.device}, {default.profile}: {len(changes)} changes", flush=True)
        for change in changes:
            print(f"    {change}")
    return complete


def _repeat(lesson: Lesson, arguments: argparse.Namespace) -> Iterator[Outcome]:
    """The lesson over seeds 0 … S − 1, with one thread and with two; ends early where one run fails."""
    for seed in range(arguments.spread):
        for threads in THREADS:
            print(f"{lesson.id}: seed {seed}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                (outcome,) = run_lessons(
                    [lesson],
                    output=Path(folder),
                    device=arguments.device,
                    profile=arguments.profile,
                    parameters={"SEED": seed},
                    progress=arguments.progress,
                    threads=threads,
                    cell_timeout=arguments.cell_timeout,
                    lesson_timeout=arguments.lesson_timeout,
                )
            yield outcome
            if outcome.status != "passed":
                return
