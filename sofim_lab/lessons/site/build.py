"""From executed lessons to a website: written apart, checked, and put in its place in one step."""

import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.judging.verdict import Verdict, judge_lesson
from sofim_lab.lessons.manifest import Budget, Lesson
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.reporting.environment import describe_environment
from sofim_lab.lessons.reporting.lesson_page import PageError
from sofim_lab.lessons.reporting.mathjax import copy_mathjax
from sofim_lab.lessons.reporting.runfile import LessonRun
from sofim_lab.lessons.site.links import check_links
from sofim_lab.lessons.site.pages import INDEX, Entry, page_name, write_index, write_lesson
from sofim_lab.lessons.site.reading import read_page
from sofim_lab.lessons.site.weight import BUDGET, weigh

FREE = Budget(math.inf, math.inf)  # what a lesson costs is `sofim-lab run`'s to judge: here its pictures are drawn, too
FILE = "site.json"  # marks a folder as a site of ours, which may be replaced


@dataclasses.dataclass(frozen=True)
class Site:
    """A finished site.

    Attributes:
        index: Its first page.
        entries: Its lessons.
        problems: Links that lead nowhere, anything that would be loaded from another host.
        interrupted: Whether lessons are missing because the run was interrupted.
    """

    index: Path
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    interrupted: bool

    @property
    def passed(self) -> bool:
        """Whether every lesson is there and nothing is wrong with any."""
        good = all(entry.page and entry.verdict and entry.verdict.passed for entry in self.entries)
        return bool(self.entries) and good and not self.problems and not self.interrupted


def build_site(
    lessons: Sequence[Lesson],
    execute: Callable[[Path], tuple[Sequence[Outcome], bool]],
    output: Path,
) -> Site:
    """Execute lessons and make a website of them.

    Whatever a lesson's fate, what there is of it is shown, with a sentence that says what is missing. The folder
    appears, or takes the place of an older site, only when all is written.

    Args:
        lessons: The lessons in order; their folder holds the baselines.
        execute: Runs them with `frames=BUDGET` into a folder; returns the outcomes, and whether it was interrupted.
        output: The site's folder.

    Returns:
        The site.

    Raises:
        LessonError: `output` holds something else than a site.
        OSError: The site cannot be written.
    """
    _refuse_foreign(output)
    with _put_in_place(output) as folder:
        executed = folder / "executed"
        outcomes, interrupted = execute(executed)
        by_id = {outcome.lesson: outcome for outcome in outcomes}
        copy_mathjax(folder)
        shown = [lesson for lesson in lessons if lesson.id in by_id]
        entries = tuple(
            _entry(lesson, by_id[lesson.id], shown, folder) if lesson.id in by_id else Entry(lesson)
            for lesson in lessons
        )
        shutil.rmtree(executed, ignore_errors=True)
        environment = describe_environment(lessons[0].path.parent)
        write_index(entries, environment, _notices(entries, interrupted), folder)
        facts = _facts(entries, environment.date)
        write_atomically(folder / FILE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        pages = [INDEX, *(entry.page for entry in entries if entry.page)]
        read = {name: read_page((folder / name).read_text(encoding="utf-8")) for name in pages}
        problems = check_links(read, folder)
    return Site(output / INDEX, entries, problems, interrupted)


def _entry(lesson: Lesson, outcome: Outcome, lessons: Sequence[Lesson], folder: Path) -> Entry:
    """A lesson's page, its verdict and the weight of its frames."""
    if not outcome.notebook.is_file():
        return Entry(lesson, _judged(LessonRun(outcome, FREE), lesson))
    weight, page = weigh(outcome.notebook), page_name(lesson)
    notice = ""
    if outcome.status != "passed":
        reason = outcome.failure or outcome.status
        notice = f"This lesson did not run to its end, and what follows is not complete. {reason}"
    try:
        problems = write_lesson(outcome.notebook, lesson, lessons, folder, notice)
    except PageError as error:
        return Entry(lesson, _judged(LessonRun(outcome, FREE, problems=(str(error),)), lesson), weight)
    if weight.bytes > BUDGET:
        problems = (*problems, f"{weight}: more than {BUDGET / 1e6:g} MB")
    return Entry(lesson, _judged(LessonRun(outcome, FREE, page, problems), lesson), weight, page)


def _judged(run: LessonRun, lesson: Lesson) -> Verdict:
    """The verdict that `sofim-lab run` would give."""
    return judge_lesson(run, lesson.path.parent / "baselines")


def _notices(entries: Sequence[Entry], interrupted: bool) -> list[str]:
    """What a reader has to know before anything else."""
    missing = [entry.lesson.id for entry in entries if not entry.page]
    failed = [entry.lesson.id for entry in entries if entry.page and entry.verdict and not entry.verdict.passed]
    notices = []
    if missing:
        why = "the run was interrupted" if interrupted else "there is nothing to show of them"
        notices.append(f"{len(missing)} of {len(entries)} lessons are missing here, {why}: {', '.join(missing)}.")
    if failed:
        notices.append(f"Not everything went well in {', '.join(failed)}: see there.")
    return notices


def _facts(entries: Sequence[Entry], date: str) -> dict[str, object]:
    """The site for programs: what was run and what it weighs."""
    lessons = [
        {
            "id": entry.lesson.id,
            "page": entry.page,
            "verdict": entry.verdict.word if entry.verdict else "not run",
            "seconds": round(entry.verdict.run.outcome.seconds, 1) if entry.verdict else None,
            "frames": dataclasses.asdict(entry.weight),
        }
        for entry in entries
    ]
    return {"schema": 1, "date": date, "frames_budget": BUDGET, "lessons": lessons}


def _refuse_foreign(output: Path) -> None:
    """Replace nothing that `site` has not made."""
    if output.is_dir() and (output / FILE).is_file():
        return
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise LessonError(f"{output} holds something that is no site: choose another folder with --output")


@contextmanager
def _put_in_place(output: Path) -> Iterator[Path]:
    """A folder to write into, beside `output`, that takes its place at the end; after an error nothing has changed."""
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{output.name}.new-", dir=output.parent))
    old = fresh.with_name(fresh.name.replace(".new-", ".old-"))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp keeps others out, a site is for all
        if output.exists():
            os.replace(output, old)
        try:
            os.replace(fresh, output)
        except OSError:
            if old.exists():
                os.replace(old, output)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
