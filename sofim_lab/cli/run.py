"""`sofim-lab run`: execute lessons, judge them, write the report."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from sofim_lab.cli.extras import require
from sofim_lab.cli.table import terminal_table
from sofim_lab.cli.update import update_baselines
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.verdict import Verdict, judge_lesson
from sofim_lab.lessons.manifest import Lesson, find_notebooks, load_manifest
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.parameters import declared_parameters
from sofim_lab.lessons.reporting.environment import describe_environment
from sofim_lab.lessons.reporting.history import append_history, check_history
from sofim_lab.lessons.reporting.report import write_report
from sofim_lab.lessons.reporting.runfile import LessonRun, Run
from sofim_lab.lessons.reporting.trends import write_trends
from sofim_lab.lessons.running.runner import Interrupted, make_writable, run_lessons, threads_for


def command(arguments: argparse.Namespace) -> int:
    """Run, judge, report; with `--update-baselines`, measure the baselines in between."""
    require("papermill", "ipykernel", "nbconvert")
    folder = arguments.notebooks or find_notebooks()
    lessons = load_manifest(folder).select(arguments.lessons)
    if arguments.update_baselines and (arguments.parameters or arguments.solutions):
        raise LessonError("--update-baselines measures the lessons as they are: leave out -p and --solutions")
    bare = [lesson.id for lesson in lessons if "SOLUTIONS" not in declared_parameters(lesson.path)]
    if arguments.solutions and bare:
        raise LessonError(f"{bare[0]} has no parameter SOLUTIONS (a student edition has none): leave out --solutions")
    if arguments.history:
        check_history(arguments.history)
    if arguments.update_baselines:
        make_writable(folder / "baselines", "the baselines in", "copy the lessons to a folder of your own")
    with ExitStack() as hold:  # the output folder is ours until the report is written
        return _run(lessons, folder, arguments, hold)


def _run(lessons: Sequence[Lesson], folder: Path, arguments: argparse.Namespace, hold: ExitStack) -> int:
    """Carry out a request that makes sense."""
    by_id = {lesson.id: lesson for lesson in lessons}
    runs: dict[str, LessonRun] = {}
    threads = threads_for(min(arguments.jobs, len(lessons)))

    def finished(outcome: Outcome) -> None:
        if outcome.lesson not in runs:
            runs[outcome.lesson] = _with_page(outcome, by_id[outcome.lesson], arguments.output)
            # What is finished can be read already; a kill leaves this, and not the green report of an earlier run.
            so_far = Run(describe_environment(folder, threads), tuple(runs.values()), interrupted=True)
            _write(so_far, folder, arguments.output)

    interrupted, updated = False, True
    try:
        outcomes = run_lessons(
            lessons,
            output=arguments.output,
            device=arguments.device,
            profile=arguments.profile,
            parameters=dict(arguments.parameters),
            solutions=arguments.solutions,
            jobs=arguments.jobs,
            progress=arguments.progress,
            cell_timeout=arguments.cell_timeout,
            lesson_timeout=arguments.lesson_timeout,
            on_finished=finished,
            hold=hold,
        )
    except Interrupted as stop:
        outcomes, interrupted = stop.outcomes, True
        for outcome in outcomes:
            finished(outcome)
    if arguments.update_baselines and not interrupted:
        try:
            updated = update_baselines(lessons, outcomes, arguments)
        except Interrupted:
            interrupted = True
    done = tuple(runs[lesson.id] for lesson in lessons if lesson.id in runs)
    run = Run(describe_environment(folder, threads), done, interrupted)
    trends = ""
    if arguments.history:
        if not interrupted:
            append_history(run, arguments.history)
        trends = write_trends(arguments.history, arguments.output, folder / "baselines")
    return _report(run, folder, arguments.output, updated, trends)


def _write(run: Run, folder: Path, output: Path, trends: str = "") -> tuple[list[Verdict], Path]:
    """Judge what there is, and write the report of it."""
    verdicts = [judge_lesson(lesson, folder / "baselines") for lesson in run.lessons]
    return verdicts, write_report(run, verdicts, output, trends)


def _report(run: Run, folder: Path, output: Path, updated: bool, trends: str) -> int:
    """Write the report, print its short form, and say how it went."""
    verdicts, page = _write(run, folder, output, trends)
    with suppress(BrokenPipeError):  # `| head -1` has read enough: the verdict stands
        print(terminal_table(verdicts, interrupted=run.interrupted))
        print(f"Report: {page}", flush=True)
    if run.interrupted:
        return 130
    return 0 if updated and all(verdict.passed for verdict in verdicts) else 1


def _with_page(outcome: Outcome, lesson: Lesson, output: Path) -> LessonRun:
    """An outcome with its budget and, where there is an executed notebook, its page."""
    from sofim_lab.lessons.reporting.lesson_page import PageError, write_page  # takes two seconds to import

    budget = lesson.budget(outcome.profile, outcome.device)
    if not outcome.notebook.is_file():
        return LessonRun(outcome, budget)
    try:
        page = write_page(outcome.notebook, output / f"{outcome.lesson}.html", title=lesson.title, index="index.html")
    except PageError as error:
        return LessonRun(outcome, budget, problems=(str(error),))
    return LessonRun(outcome, budget, page.path.name, page.problems)
