"""One lesson being executed: its worker process as the parent sees it, until there is an `Outcome`."""

import dataclasses
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from sofim_lab.files import write_atomically
from sofim_lab.lessons.manifest import Lesson
from sofim_lab.lessons.notebook import notebook_text, read_notebook, without_outputs
from sofim_lab.lessons.outcome import Failure, Outcome, Status
from sofim_lab.lessons.parameters import Parameters
from sofim_lab.lessons.running.findings import caught_failure, collect_findings
from sofim_lab.lessons.running.offline import offline_command
from sofim_lab.lessons.running.processes import MARK, ProcessTree

WORKER = Path(__file__).with_name("worker.py")
FRAMES = "SOFIM_LAB_FRAMES"  # tells the explorers in `sofim_lab.widgets` to draw pictures for a page without a kernel
INTERRUPT_SECONDS = 5.0  # for a cell to end after its time-out interrupted it
KERNEL_NOISE = "Kernel is running over TCP without encryption"  # always said, never the reason
KERNEL_REMEDY = "run: python -m ipykernel install --sys-prefix"
STOP_SECONDS = 5.0  # for a worker to write its notebook after it was told to stop


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything decided before a lesson starts; times in seconds, `frames` in bytes for each explorer.

    With `memory_mb` the lesson is ended when its processes hold more; `offline` takes the network from it.
    """

    lesson: Lesson
    output: Path
    device: str
    profile: str
    parameters: Parameters
    solutions: bool
    cell_timeout: float
    lesson_timeout: float
    frames: int = 0
    memory_mb: float = float("inf")
    offline: bool = False


class Execution:
    """A started worker. Call `poll` often; `finish` once `done`."""

    def __init__(self, plan: Plan, environment: dict[str, str]) -> None:
        self.plan = plan
        self.notebook = plan.output / f"{plan.lesson.id}.ipynb"
        self.partial = plan.output / f".{plan.lesson.id}.running.ipynb"
        self.partial.unlink(missing_ok=True)
        self.original = read_notebook(plan.lesson.path)
        self.cell: int | None = None  # the cell being executed, and the last one that began
        self.busy_since: float | None = None
        self.end: dict[str, Any] | None = None
        self.stopped: tuple[Status, str] | None = None
        self.killed_at = float("inf")
        self.caught: list[tuple[int, dict[str, Any]]] = []
        self.heard: list[Failure] = []
        self.ended: float | None = None
        self.events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.closed = False
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `finish`)
        mark = uuid.uuid4().hex
        # A process group of its own: Ctrl-C in the terminal reaches the parent alone.
        new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # on Windows
        apart: dict[str, Any] = {"creationflags": new_group} if new_group else {"start_new_session": True}
        worker = [sys.executable, "-P", str(WORKER)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            offline_command(*worker) if plan.offline else worker,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**environment, MARK: mark, FRAMES: str(plan.frames or "")},
            **apart,
        )
        self.inlet, self.outlet = cast(IO[bytes], self.process.stdin), cast(IO[bytes], self.process.stdout)
        self.tree = ProcessTree(self.process.pid, mark)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self._send_job()

    def _send_job(self) -> None:
        """Tell the worker what to do; the pipe stays open, its end means stop."""
        job = {
            "input": str(self.plan.lesson.path.absolute()),
            "output": str(self.partial.absolute()),
            "cwd": str(self.plan.lesson.path.parent.absolute()),
            "parameters": self.plan.parameters.given,
            "cell_timeout": self.plan.cell_timeout,
        }
        with suppress(OSError):  # a worker that is gone already shows in `poll`
            self.inlet.write(json.dumps(job).encode() + b"\n")
            self.inlet.flush()

    def _read(self) -> None:
        """Events from the worker to the queue, in a thread; None at the end of the pipe."""
        for line in self.outlet:
            with suppress(ValueError):
                self.events.put(json.loads(line))
        self.ended = time.monotonic()  # not when `poll` hears it: another lesson's page may be in the making
        self.events.put(None)

    @property
    def done(self) -> bool:
        """Whether the worker has ended and everything that it said was heard."""
        return self.closed and self.process.poll() is not None

    def poll(self) -> None:
        """Hear the worker, measure memory, and stop it where it is over a limit."""
        while not self.events.empty():
            event = self.events.get()
            if event is None or event["event"] == "end":  # all is said, the worker has so long to leave
                self.killed_at = min(self.killed_at, time.monotonic() + STOP_SECONDS)
            if event is None:
                self.closed = True
            elif event["event"] == "cell":
                self.cell, self.busy_since = event["number"], time.monotonic() if event["code"] else None
            elif event["event"] == "caught":
                self.caught.append((event["number"], event["error"]))
            elif event["event"] == "heard":
                self.heard.append(
                    Failure(event["kind"], event["message"], event["number"], traceback=event["traceback"])
                )
            elif event["event"] == "executed":
                self.busy_since = None
            elif event["event"] == "end":
                self.end, self.busy_since = event, None
        self.tree.sample()
        now = time.monotonic()
        if now > self.killed_at:
            self.tree.kill()
        if self.stopped is not None or self.end is not None or self.closed:
            return
        if (self.tree.peak_mb or 0.0) > self.plan.memory_mb:
            self.stop("failed", "memory")
        elif now - self.began > self.plan.lesson_timeout:
            self.stop("timeout", "lesson time-out")
        elif self.busy_since is not None and now - self.busy_since > self.plan.cell_timeout + INTERRUPT_SECONDS:
            self.stop("timeout", "cell time-out")

    def stop(self, status: Status, kind: str) -> None:
        """End the lesson before its time: the worker kills its kernel and writes what there is; a second call kills."""
        if self.end is not None:  # it is over already
            return
        if self.stopped is not None:
            self.tree.kill()
            return
        self.stopped = (status, kind)
        self.killed_at = time.monotonic() + STOP_SECONDS
        with suppress(OSError):
            self.inlet.close()
        if self.cell is None:  # no kernel yet, nothing to write
            self.tree.kill()

    def finish(self) -> Outcome:
        """Kill what is left, put the executed notebook in its place, and judge it."""
        self.process.wait()
        seconds = (self.ended or time.monotonic()) - self.began
        self.tree.kill()
        self.reader.join(timeout=1)
        for stream in (self.inlet, self.outlet):
            with suppress(OSError):
                stream.close()
        executed = read_notebook(self.partial) if self.partial.exists() else without_outputs(self.original)
        findings = collect_findings(executed, solutions=self.plan.solutions)
        found = findings.failure
        if found is None and self.caught:
            found = caught_failure(executed, *self.caught[0])
        if found is None and self.heard:
            found = self.heard[0]
        status, failure = self._verdict(found)
        if failure is not None and failure.cell is not None:
            failure = dataclasses.replace(failure, cell_id=self.original["cells"][failure.cell - 1].get("id"))
        self._keep(executed)
        self.log.close()
        return Outcome(
            lesson=self.plan.lesson.id,
            title=self.plan.lesson.title,
            status=status,
            device=self.plan.device,
            profile=self.plan.profile,
            parameters=self.plan.parameters.effective,
            seconds=seconds,
            notebook=self.notebook,
            peak_memory_mb=self.tree.peak_mb,
            default_parameters=self.plan.parameters.default,
            failure=failure,
            metrics=findings.metrics,
            verifications=findings.verifications,
            checks=findings.checks,
        )

    def _verdict(self, found: Failure | None) -> tuple[Status, Failure | None]:
        """How it ended: stopped by us, by itself, or not at all well."""
        if self.stopped is not None:
            status, kind = self.stopped
            return status, self._failure(kind, self._stop_message(kind))
        if self.end is None:
            message = f"the process that executed the lesson ended with exit status {self.process.returncode}"
            return "failed", self._failure("worker died", f"{message} in {self._where()}", self._tail())
        if self.end["error"] == "CellTimeout":
            failure = self._failure("cell time-out", self._stop_message("cell time-out"))
            if found is not None and found.cell == self.cell:  # the interrupt's traceback names the line
                failure = dataclasses.replace(failure, line=found.line, source=found.source, traceback=found.traceback)
            return "timeout", failure
        if self.end["error"] == "DeadKernelError":
            held = f"; it held up to {self.tree.peak_mb:.0f} MB" if self.tree.peak_mb else ""
            message = f"the kernel died in {self._where()} (a crash, or out of memory{held})"
            return "failed", self._failure("kernel died", message, self._tail())
        if self.end["error"] == "NoKernel":
            why = self.end["message"]
            message = f"the kernel python3 did not start ({why}): ask `sofim-lab doctor`, or {KERNEL_REMEDY}"
            return "failed", self._failure("no kernel", message, self._tail())
        if found is None and self.end["error"] is not None:
            return "failed", self._failure("runner", f"{self.end['error']}: {self.end['message']}", self._tail())
        return ("passed" if found is None else "failed"), found

    def _failure(self, kind: str, message: str, traceback: str = "") -> Failure:
        """A failure at the cell that began last."""
        return Failure(kind, message, self.cell, traceback=traceback)

    def _where(self) -> str:
        """The lesson, and the cell it was in."""
        cell = "before its first cell" if self.cell is None else f"cell {self.cell}"
        return f"{self.plan.lesson.id}, {cell}"

    def _stop_message(self, kind: str) -> str:
        """Why the lesson was ended, and where."""
        if kind == "interrupted":
            return f"interrupted in {self._where()}"
        if kind == "memory":
            return f"{self._where()}: it held {self.tree.peak_mb:.0f} MB, its limit is {self.plan.memory_mb:g} MB"
        what = kind.partition(" ")[0]
        limit = self.plan.cell_timeout if what == "cell" else self.plan.lesson_timeout
        return f"{self._where()}: the {what} took longer than its limit of {limit:g} s"

    def _tail(self) -> str:
        """The end of what worker and kernel wrote to stderr."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        return "\n".join([line for line in lines if KERNEL_NOISE not in line][-30:])

    def _keep(self, executed: dict[str, Any]) -> None:
        """Write the executed notebook under its name, without widget state and without this machine's paths."""
        metadata = executed.get("metadata", {})
        # With the state, an HTML page wants scripts from the network to draw widgets; without, it shows their pictures.
        metadata.pop("widgets", None)
        for key in ("input_path", "output_path"):
            if key in metadata.get("papermill", {}):
                metadata["papermill"][key] = self.notebook.name
        try:
            write_atomically(self.notebook, notebook_text(executed))
        finally:
            for left in (self.partial, self.partial.with_suffix(".new")):
                left.unlink(missing_ok=True)
