"""Executing lessons: every request is checked first, then each lesson runs in a process of its own."""

import dataclasses
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sofim_lab.lessons.errors import LessonError, unknown
from sofim_lab.lessons.manifest import PROFILES, Lesson
from sofim_lab.lessons.notebook import read_notebook, tags
from sofim_lab.lessons.outcome import Outcome
from sofim_lab.lessons.parameters import resolve_parameters
from sofim_lab.lessons.running.execution import Execution, Plan
from sofim_lab.lessons.running.locking import locked
from sofim_lab.lessons.running.offline import can_go_offline
from sofim_lab.lessons.running.progress import Progress

# Where the common numerical libraries read their number of threads.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
FRAME_SECONDS = 180  # more for a cell whose explorer draws pictures for about 40 s on an idle machine
_TICK = 0.05  # seconds


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM in the middle of a run; `outcomes` are the lessons that had begun, finished or not."""

    def __init__(self, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__("interrupted")
        self.outcomes = outcomes


def run_lessons(
    lessons: Sequence[Lesson],
    *,
    output: Path,
    device: str = "auto",
    profile: str = "quick",
    parameters: Mapping[str, Any] | None = None,
    solutions: bool = False,
    jobs: int = 1,
    progress: bool = True,
    threads: int | None = None,
    cell_timeout: float | None = None,
    lesson_timeout: float | None = None,
    frames: int = 0,
    memory_limit: float = math.inf,
    offline: bool = False,
    on_finished: Callable[[Outcome], None] | None = None,
    hold: ExitStack | None = None,
) -> tuple[Outcome, ...]:
    """Execute lessons and judge each by what it recorded. A lesson that fails does not stop the others.

    Args:
        lessons: Entries of the manifest.
        output: Folder for the executed notebooks, `<lesson>.ipynb`; made if it is not there.
        device: `auto`, `cpu`, `cuda` (`cuda:1`) or `mps`.
        profile: `quick` or `full`.
        parameters: Values for names in the `parameters` cell of every lesson; device, profile and solutions have
            their own arguments.
        solutions: Run the solutions of the exercises too; then every exercise must be solved.
        jobs: How many lessons run at the same time.
        progress: Show a bar on a terminal, or a line for each finished lesson elsewhere, on stderr.
        threads: Threads of each lesson's numerical libraries. `None` leaves them alone for one job, and is 1 for
            several, where an environment variable such as `OMP_NUM_THREADS` does not say otherwise.
        cell_timeout: Seconds for a cell, instead of the manifest's; rounded up to whole seconds.
        lesson_timeout: Seconds for a lesson, instead of the manifest's.
        frames: Bytes that the explorers of a lesson may add to its page so that they move there without a kernel;
            each explorer gets the same share, and time to draw its pictures. With 0 none are drawn.
        memory_limit: MB that the processes of a lesson may hold together; above it the lesson is ended.
        offline: Take the network from the lessons; only where `can_go_offline()`.
        on_finished: Called with each outcome as soon as it is there.
        hold: Keeps the output folder from other runs until it is closed, for who has more to write there; with None
            the folder is free when this function returns.

    Returns:
        The outcomes, in the order of `lessons`.

    Raises:
        LessonError: The request cannot be carried out; nothing was executed.
        Interrupted: Ctrl-C or SIGTERM; no process is left behind, what was written is kept.
    """
    plans = _plans(
        lessons, Path(output), device, profile, dict(parameters or {}), solutions, cell_timeout, lesson_timeout
    )
    if frames:
        plans = [_with_frames(plan, frames) for plan in plans]
    if offline and not can_go_offline():
        raise LessonError("offline=True: this system lets no user take the network from a program (Linux can)")
    plans = [dataclasses.replace(plan, memory_mb=memory_limit, offline=offline) for plan in plans]
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise LessonError(f"{name}={value!r} must be a whole number ≥ 1")
    cells = {plan.lesson.id: len(read_notebook(plan.lesson.path)["cells"]) for plan in plans}
    make_writable(Path(output), "the output folder", "choose another with --output")
    jobs = min(jobs, len(plans))
    environment = _environment(jobs, threads)
    with ExitStack() as ours:
        (hold or ours).enter_context(locked(Path(output)))
        return _run(plans, environment, jobs, Progress(cells, progress), on_finished)


def _run(
    plans: Sequence[Plan],
    environment: dict[str, str],
    jobs: int,
    progress: Progress,
    on_finished: Callable[[Outcome], None] | None,
) -> tuple[Outcome, ...]:
    """Start, watch and collect the workers."""
    waiting, running = list(plans), list[Execution]()
    outcomes: dict[str, Outcome] = {}
    with _signals() as received:
        try:
            while running or (waiting and not received):
                while waiting and len(running) < jobs and not received:
                    running.append(Execution(waiting.pop(0), environment))
                heard = len(received)
                for execution in list(running):
                    execution.poll()
                    if heard > (execution.stopped is not None):  # a second signal does not wait
                        execution.stop("interrupted", "interrupted")
                    progress.reach(execution.plan.lesson.id, execution.cell)
                    if execution.done:
                        running.remove(execution)
                        outcome = outcomes[execution.plan.lesson.id] = execution.finish()
                        progress.finish(outcome)
                        if on_finished is not None:
                            on_finished(outcome)
                time.sleep(_TICK)
        finally:
            for execution in running:  # only after an exception in here
                execution.tree.kill()
            progress.close()
    ordered = tuple(outcomes[plan.lesson.id] for plan in plans if plan.lesson.id in outcomes)
    if received:
        raise Interrupted(ordered)
    return ordered


def _plans(
    lessons: Sequence[Lesson],
    output: Path,
    device: str,
    profile: str,
    parameters: dict[str, Any],
    solutions: bool,
    cell_timeout: float | None,
    lesson_timeout: float | None,
) -> list[Plan]:
    """Check a request as a whole, before anything is written or executed."""
    from sofim_lab.problems import resolve_device  # imports PyTorch

    if not lessons:
        raise LessonError("no lessons to run")
    if len({lesson.id for lesson in lessons}) < len(lessons):
        raise LessonError(f"a lesson is named twice: {', '.join(lesson.id for lesson in lessons)}")
    try:
        resolved = resolve_device(device)
    except ValueError as error:
        raise LessonError(str(error)) from None
    if profile not in PROFILES:
        raise LessonError(unknown("profile", str(profile), PROFILES))
    for name, value in (("cell_timeout", cell_timeout), ("lesson_timeout", lesson_timeout)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise LessonError(f"{name}={value!r} must be a number of seconds > 0")
    plans = []
    for lesson in lessons:
        if output.resolve() == lesson.path.parent.resolve():  # executed notebooks have their originals' names
            raise LessonError(f"the output folder {output} holds the lessons themselves: choose another with --output")
        if resolved.type not in lesson.devices:
            raise LessonError(f"{lesson.id} does not run on {resolved.type}: choose {' or '.join(lesson.devices)}")
        plans.append(
            Plan(
                lesson=lesson,
                output=output,
                device=resolved.type,
                profile=profile,
                parameters=resolve_parameters(
                    lesson.path, parameters, device=str(resolved), profile=profile, solutions=solutions
                ),
                solutions=solutions,
                cell_timeout=math.ceil(cell_timeout or lesson.cell_timeout[profile]),  # nbclient wants whole seconds
                lesson_timeout=lesson_timeout or lesson.lesson_timeout[profile],
            )
        )
    return plans


def _with_frames(plan: Plan, frames: int) -> Plan:
    """A plan whose explorers draw pictures beforehand: a share of the bytes and more time for each."""
    cells = read_notebook(plan.lesson.path)["cells"]
    explorers = sum(cell["cell_type"] == "code" and "play" in tags(cell) for cell in cells)
    return dataclasses.replace(
        plan,
        frames=frames // max(explorers, 1),
        cell_timeout=plan.cell_timeout + FRAME_SECONDS,
        lesson_timeout=plan.lesson_timeout + explorers * FRAME_SECONDS,
    )


def make_writable(folder: Path, what: str, remedy: str) -> None:
    """Make a folder, and prove by writing into it, before minutes of computing, that it can be written.

    Raises:
        LessonError: It cannot; the message calls it `what` and ends with the remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LessonError(f"cannot write to {what} {folder}: {error.strerror}; {remedy}") from None


def _environment(jobs: int, threads: int | None) -> dict[str, str]:
    """The environment of a lesson's processes: the user's own, and ours."""
    environment = {"PYTHONHASHSEED": "0", **os.environ, "SOFIM_LAB_REPORT": "1"}
    if threads is None and jobs > 1 and "OMP_NUM_THREADS" not in os.environ:
        threads = 1  # several lessons with all threads each are up to 20 times slower than one after the other
    if threads is not None:
        environment |= dict.fromkeys(THREADS, str(threads))
    return environment


def threads_for(jobs: int) -> str:
    """Threads of each lesson's numerical libraries when so many run together; empty where they choose themselves."""
    return _environment(jobs, None).get("OMP_NUM_THREADS", "")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP instead of dying at any line; as before afterwards and off the main thread."""
    received: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
