"""`run.json`: what a run found, without any verdict, so that it can be judged again later or elsewhere."""

import dataclasses
import json
from pathlib import Path

from sofim_lab.files import write_atomically
from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.manifest import Budget
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.reporting.environment import Environment
from sofim_lab.lessons.typed import typed

SCHEMA = 1
FILE = "run.json"


class RunFileError(LessonError):
    """No run can be read from a folder; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class LessonRun:
    """One lesson of a run: what came out, what it may cost, its page (in the report's folder), the page's faults."""

    outcome: Outcome
    budget: Budget
    page: str = ""
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """A whole run: its circumstances and its lessons, in the manifest's order. `interrupted` after Ctrl-C."""

    environment: Environment
    lessons: tuple[LessonRun, ...]
    interrupted: bool = False


def save_run(run: Run, folder: Path) -> Path:
    """Write `run.json`; notebooks inside the folder are noted relative to it, so that the folder can be moved."""
    lessons = []
    for lesson in run.lessons:
        outcome = dataclasses.replace(lesson.outcome, notebook=Path(relative(lesson.outcome.notebook, folder)))
        lessons.append({**dataclasses.asdict(lesson), "outcome": outcome.to_json()})
    data = {
        "schema": SCHEMA,
        "interrupted": run.interrupted,
        "environment": run.environment.to_json(),
        "lessons": lessons,
    }
    path = folder / FILE
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=repr) + "\n")
    return path


def load_run(folder: Path) -> Run:
    """Inverse of `save_run`.

    Args:
        folder: a report's folder, or the `run.json` in it.

    Raises:
        RunFileError: there is no run, or the file was not written by this version of sofim_lab.
    """
    path = folder if folder.suffix == ".json" else folder / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunFileError(f"no run found at {path}: `sofim-lab run --output {folder}` makes one.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunFileError(f"{path} cannot be read ({error}); run the lessons again.") from None
    try:
        schema = data.pop("schema")
        if schema != SCHEMA:
            raise RunFileError(f"{path} has schema {schema!r}, this version reads {SCHEMA}; run again.")
        return typed(Run, data, "run")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        what = f"{type(error).__name__}: {error}"
        raise RunFileError(f"{path} does not hold a run ({what}); run the lessons again.") from None


def relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder where it lies inside, with forward slashes; otherwise as it is."""
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return path.as_posix()
