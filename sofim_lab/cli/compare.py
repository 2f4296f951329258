"""`sofim-lab compare`: judge an earlier run again, or two runs against each other, without executing anything."""

import argparse
from pathlib import Path

from sofim_lab.cli.table import plain, terminal_table
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.two_runs import Pair, compare_runs
from sofim_lab.lessons.judging.verdict import judge_lesson
from sofim_lab.lessons.manifest import find_notebooks
from sofim_lab.lessons.reporting.runfile import Run, load_run


def command(arguments: argparse.Namespace) -> int:
    """Print every metric beside its baseline, or beside that of the other run, and the verdicts."""
    if len(arguments.runs) > 2:
        raise LessonError(f"compare takes one run or two, not {len(arguments.runs)}")
    runs = [load_run(folder) for folder in arguments.runs or [arguments.default]]
    baselines = (arguments.notebooks or find_notebooks()) / "baselines"
    return _judge(runs[0], baselines) if len(runs) == 1 else _beside(runs[0], runs[1], baselines)


def _judge(run: Run, baselines: Path) -> int:
    """One run against the baselines."""
    verdicts = [judge_lesson(lesson, baselines) for lesson in run.lessons]
    for verdict in verdicts:
        for row in verdict.comparison.rows:
            print(plain(f"{verdict.run.outcome.lesson}  {row}"))
    if any(verdict.comparison.rows for verdict in verdicts):
        print()
    print(terminal_table(verdicts, interrupted=run.interrupted))
    return 0 if verdicts and not run.interrupted and all(verdict.passed for verdict in verdicts) else 1


def _beside(a: Run, b: Run, baselines: Path) -> int:
    """Two runs in one table."""
    pairs = compare_runs(a, b, baselines)
    print(_facts("A", a), _facts("B", b), "", sep="\n")
    rows = [("Lesson", "Metric", "A", "B", "B - A", "Allowed", "Verdict"), *map(_row, pairs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{'<' if n in (0, 1, 6) else '>'}{widths[n]}}" for n, cell in enumerate(row))
        print("  ".join(cells).rstrip())
    wrong = sum(not pair.passed for pair in pairs)
    stopped = [side for side, run in (("A", a), ("B", b)) if run.interrupted]
    if stopped:
        print(f"\nInterrupted: {' and '.join(stopped)}")
    print(f"\n{wrong} of {len(pairs)} do not agree" if wrong else f"\nAll {len(pairs)} agree")
    return 0 if pairs and not wrong and not stopped else 1


def _facts(side: str, run: Run) -> str:
    """What one run was, in a line."""
    devices = ", ".join(dict.fromkeys(lesson.outcome.device for lesson in run.lessons)) or "no lesson"
    environment = run.environment
    commit = f", commit {environment.commit}" if environment.commit else ""
    torch = environment.packages.get("torch", "unknown")
    return plain(f"{side}: {devices}, {environment.date}, torch {torch}, {environment.processor}{commit}")


def _row(pair: Pair) -> tuple[str, ...]:
    """One line of the table."""
    numbers = ("" if value is None else f"{value:.6g}" for value in (pair.a, pair.b))
    difference = "" if pair.difference is None else f"{pair.difference:+.3g}"
    allowed = "" if pair.allowed is None else f"{pair.allowed:.2g}"
    verdict = f"{pair.verdict} ({pair.note})" if pair.note else pair.verdict
    name = f"{pair.name} [{pair.unit}]" if pair.unit else pair.name
    return tuple(map(plain, (pair.lesson, name, *numbers, difference, allowed, verdict)))
