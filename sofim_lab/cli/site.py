"""`sofim-lab site`: the executed lessons as a website that needs neither kernel, server nor network."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sofim_lab.cli.extras import require
from sofim_lab.cli.table import terminal_table
from sofim_lab.lessons.manifest import find_notebooks, load_manifest
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.running.runner import Interrupted, run_lessons


def command(arguments: argparse.Namespace) -> int:
    """Execute, build, say what each lesson weighs; 0 only if every lesson passed and every link leads somewhere."""
    require("papermill", "ipykernel", "nbconvert")
    from sofim_lab.lessons.site.build import build_site  # takes two seconds to import
    from sofim_lab.lessons.site.weight import BUDGET

    lessons = load_manifest(arguments.notebooks or find_notebooks()).select(arguments.lessons)

    def execute(folder: Path) -> tuple[Sequence[Outcome], bool]:
        try:
            outcomes = run_lessons(
                lessons,
                output=folder,
                device=arguments.device,
                profile=arguments.profile,
                jobs=arguments.jobs,
                progress=arguments.progress,
                frames=BUDGET,
            )
        except Interrupted as stop:
            return stop.outcomes, True
        return outcomes, False

    site = build_site(lessons, execute, arguments.output)
    verdicts = [entry.verdict for entry in site.entries if entry.verdict]
    with suppress(BrokenPipeError):
        print(terminal_table(verdicts, interrupted=site.interrupted))
        for entry in site.entries:
            if entry.weight.explorers:
                failed = f", {entry.weight.failed} could not be drawn" if entry.weight.failed else ""
                print(f"{entry.lesson.id}: {entry.weight} of {BUDGET / 1e6:g}{failed}, {entry.weight.seconds:.0f} s")
        for problem in site.problems:
            print(f"site: {problem}")
        print(f"Site: {site.index}", flush=True)
    return 130 if site.interrupted else 0 if site.passed else 1
