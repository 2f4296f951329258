"""`sofim-lab compare`: judge an earlier run again, without executing anything."""

import argparse

from sofim_lab.cli.table import terminal_table
from sofim_lab.lessons.judging.verdict import judge_lesson
from sofim_lab.lessons.manifest import find_notebooks
from sofim_lab.lessons.reporting.runfile import load_run


def command(arguments: argparse.Namespace) -> int:
    """Print every metric beside its baseline, and the verdicts."""
    run = load_run(arguments.run)
    baselines = (arguments.notebooks or find_notebooks()) / "baselines"
    verdicts = [judge_lesson(lesson, baselines) for lesson in run.lessons]
    for verdict in verdicts:
        for row in verdict.comparison.rows:
            print(f"{verdict.run.outcome.lesson}  {row}")
    if any(verdict.comparison.rows for verdict in verdicts):
        print()
    print(terminal_table(verdicts, interrupted=run.interrupted))
    return 0 if verdicts and not run.interrupted and all(verdict.passed for verdict in verdicts) else 1
