"""`history.jsonl`: what runs gave over the months, one line a lesson, appended on request."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sofim_lab.lessons.errors import LessonError
from sofim_lab.lessons.reporting.runfile import LessonRun, Run
from sofim_lab.lessons.typed import typed

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Entry:
    """One lesson of one run: when and with what, what it cost and may cost, and its metrics (None: not finite)."""

    date: str
    commit: str
    torch: str
    threads: str
    lesson: str
    device: str
    profile: str
    status: str
    seconds: float
    memory_mb: float | None
    budget_seconds: float
    budget_memory_mb: float
    metrics: dict[str, float | None]


def check_history(path: Path) -> None:
    """Refuse a history that cannot be appended to, before minutes of computing.

    Raises:
        LessonError: The place cannot be written; nothing was changed but that the file is there now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise LessonError(
            f"cannot append to the history {path}: {error.strerror}; name another with --history"
        ) from None


def append_history(run: Run, path: Path) -> None:
    """Append a run, in one write; a last line that some kill has cut off is ended first.

    Lessons that ran with other than their default parameters are left out: their numbers mean something else.

    Args:
        run: A finished run.
        path: The history, made where there is none.

    Raises:
        OSError: It cannot be written.
    """
    lines = [
        json.dumps({"schema": SCHEMA, **dataclasses.asdict(_entry(run, lesson))}, ensure_ascii=False, allow_nan=False)
        for lesson in run.lessons
        if lesson.outcome.default_parameters
    ]
    with path.open("a+b") as file:
        cut = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
        file.write(("\n" * cut + "".join(line + "\n" for line in lines)).encode())


def read_history(path: Path) -> tuple[tuple[Entry, ...], int]:
    """All entries in their order, and how many lines could not be read.

    Raises:
        OSError: There is no such file.
    """
    entries, unreadable = [], 0
    for line in path.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        try:
            entries.append(_checked(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            unreadable += 1
    return tuple(entries), unreadable


def by_kind(entries: Iterable[Entry]) -> dict[tuple[str, str, str], list[Entry]]:
    """The entries of each lesson, device and profile that passed."""
    kinds: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        if entry.status == "passed":
            kinds.setdefault((entry.lesson, entry.device, entry.profile), []).append(entry)
    return kinds


def _entry(run: Run, lesson: LessonRun) -> Entry:
    """One lesson of a run."""
    environment, outcome = run.environment, lesson.outcome
    return Entry(
        date=environment.date,
        commit=environment.commit,
        torch=environment.packages.get("torch", ""),
        threads=environment.threads,
        lesson=outcome.lesson,
        device=outcome.device,
        profile=outcome.profile,
        status=outcome.status,
        seconds=round(outcome.seconds, 2),
        memory_mb=outcome.peak_memory_mb and round(outcome.peak_memory_mb, 1),
        budget_seconds=lesson.budget.seconds,
        budget_memory_mb=lesson.budget.memory_mb,
        metrics={m.name: m.value if math.isfinite(m.value) else None for m in outcome.metrics},
    )


def _checked(data: dict[str, Any]) -> Entry:
    """An entry from plain data, with numbers where numbers belong."""
    if data.pop("schema") != SCHEMA:
        raise ValueError("another schema")
    entry: Entry = typed(Entry, data)
    spent = (entry.seconds, entry.budget_seconds, entry.budget_memory_mb, entry.memory_mb)
    for number in (*spent, *entry.metrics.values()):
        if number is not None and not math.isfinite(number):
            raise ValueError("not a number")
    return entry
