"""The child process that executes one notebook with papermill.

It is run as a script and imports nothing of sofim_lab that needs PyTorch. It reads one line of JSON from stdin, the
job, and writes events as lines of JSON to stdout. When stdin ends, because the parent closed it or is gone, it kills
its kernel; papermill then writes what there is. Whatever the lesson started ends with it.
"""

import json
import math
import os
import queue
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from sofim_lab.lessons.running.listening import Listener
from sofim_lab.lessons.running.processes import adopt_orphans, end_descendants

# jsonschema's IRI grammar: 1.2 s to import, and no notebook needs it; None says that it cannot be imported.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

STOP_SECONDS = 3.0  # from the end of stdin: time for papermill to see the dead kernel and write the notebook
END_SECONDS = 5.0  # for the kernel's exit handlers, and for threads that Python waits for
SAVE_SECONDS = 2  # in long cells, the notebook is written about so often


class CellTimeout(Exception):
    """A cell that ran longer than it may, whatever it made of the interrupt."""


class AtomicFile:
    """Writes for papermill: whoever kills us, the file is whole."""

    @staticmethod
    def write(content: str, path: str) -> None:
        """Replace the file in one step."""
        fresh = Path(path).with_suffix(".new")
        fresh.write_text(content, encoding="utf-8")
        os.replace(fresh, path)

    @staticmethod
    def pretty_path(path: str) -> str:
        """What papermill logs."""
        return path


class Events:
    """Tells the parent where we are, and watches the time of each cell."""

    def __init__(self, stream: Any, cell_timeout: float) -> None:
        self.stream, self.cell_timeout = stream, cell_timeout
        self.numbers: list[int] = []
        self.cell = 0
        self.began = math.inf
        self.listener = Listener()

    def send(self, event: str, **data: Any) -> None:
        """One line of JSON."""
        self.stream.write(json.dumps({"event": event, **data}) + "\n")
        self.stream.flush()

    def notebook_start(self, notebook: Any, **_: Any) -> None:
        """Number the cells as their author did, without the one that papermill puts in."""
        number = 0
        for cell in notebook.cells:
            number += "injected-parameters" not in cell.metadata.get("tags", [])
            self.numbers.append(number)
        self.send("start")

    def cell_start(self, cell: Any, cell_index: int) -> None:
        """A cell begins; a text cell ends at once."""
        self.began, self.cell = time.monotonic(), self.numbers[cell_index]
        self.listener.cell = self.cell
        self.send("cell", number=self.numbers[cell_index], code=cell.cell_type == "code")

    def cell_executed(self, cell: Any, cell_index: int, **_: Any) -> None:
        """Stop the notebook if the time-out interrupted this cell, even where the cell caught the interrupt."""
        self.send("executed", number=self.numbers[cell_index])
        self.tell_findings()
        if time.monotonic() - self.began >= self.cell_timeout:
            raise CellTimeout

    def tell_findings(self) -> None:
        """What went wrong in this cell without stopping it."""
        for finding in self.listener.findings():
            self.send("heard", number=self.cell, **finding)


def main() -> None:
    """Execute the job on stdin."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")  # not inherited by the kernel, whose own output
    os.dup2(2, 1)  # would come between the events
    job = json.loads(sys.stdin.readline())
    adopt_orphans()
    threading.Thread(target=stop_when_input_ends, daemon=True).start()
    events = Events(stream, job["cell_timeout"])
    try:
        execute(job, events)
    except Exception as error:
        end: dict[str, str | None] = {"error": type(error).__name__, "message": str(error)}
        if events.cell == 0 and passed_through("jupyter_client", error):
            end = {"error": "NoKernel", "message": f"{type(error).__name__}: {error}"}
    else:
        end = {"error": None, "message": ""}
    end_descendants()  # now, while we can still tell whose they are
    events.tell_findings()
    events.send("end", **end)


def execute(job: dict[str, Any], events: Events) -> None:
    """Run papermill; a time-out interrupts the kernel, so that the traceback names the line."""
    from papermill.execute import execute_notebook
    from papermill.iorw import papermill_io

    papermill_io.register(job["output"], AtomicFile)
    report_caught_errors(events)
    hear_everything(events.listener)
    hear_the_end(events.listener)
    execute_notebook(
        _literal(job["input"]),
        _literal(job["output"]),
        parameters=job["parameters"],
        kernel_name="python3",
        language="python",
        progress_bar=False,
        cwd=job["cwd"],
        execution_timeout=events.cell_timeout,
        interrupt_on_timeout=True,
        autosave_cell_every=SAVE_SECONDS,
        store_widget_state=True,  # the parent looks for swallowed errors in it, then takes it out of the file
        on_notebook_start=events.notebook_start,
        on_cell_start=events.cell_start,
        on_cell_executed=events.cell_executed,
    )


def report_caught_errors(events: Events) -> None:
    """Tell the parent of each error that an `Output` widget catches: the next good callback would clear it away."""
    from nbclient.output_widget import OutputWidget

    output = OutputWidget.output

    def watched(widget: OutputWidget, outs: Any, message: dict[str, Any], *rest: Any) -> None:
        if message["msg_type"] == "error":
            content = message["content"]
            error = {key: content.get(key, "") for key in ("ename", "evalue", "traceback")}
            events.send("caught", number=events.cell, error=error)
        output(widget, outs, message, *rest)

    OutputWidget.output = watched  # type: ignore[method-assign, assignment]  # there is no hook for it
    # Telling the kernel what an Output holds sends on the shell channel while a reply is awaited there; the reply is
    # then missed now and then, and the cell seems to run until its time-out. Nothing in a lesson reads it back.
    OutputWidget.sync_state = lambda widget: None  # type: ignore[method-assign, assignment]


def hear_everything(listener: Listener) -> None:
    """Let each message of the kernel pass the listener first; nbclient drops those of cells that have ended."""
    from jupyter_client.channels import AsyncZMQSocketChannel

    get = AsyncZMQSocketChannel.get_msg

    async def heard(channel: AsyncZMQSocketChannel, *arguments: Any, **named: Any) -> dict[str, Any]:
        message = await get(channel, *arguments, **named)
        listener.hear(message)
        return message

    AsyncZMQSocketChannel.get_msg = heard  # type: ignore[method-assign, assignment]  # there is no hook for it


def hear_the_end(listener: Listener) -> None:
    """After the last cell ask the kernel to end, and listen until it has; nbclient would end it and hear nothing."""
    from jupyter_core.utils import ensure_async, run_sync
    from papermill.clientwrap import PapermillNotebookClient

    keep_widgets = PapermillNotebookClient.set_widgets_metadata

    async def end(client: PapermillNotebookClient) -> None:
        listener.ending = True
        await ensure_async(client.kc.shutdown())
        until, alive = time.monotonic() + END_SECONDS, True
        while alive and time.monotonic() < until:
            alive = await ensure_async(client.km.is_alive())
            with suppress(queue.Empty):
                while time.monotonic() < until:
                    await client.kc.iopub_channel.get_msg(timeout=0.05)
        if alive:
            await ensure_async(client.km.shutdown_kernel(now=True))

    def last(client: PapermillNotebookClient) -> None:
        keep_widgets(client)
        run_sync(end)(client)

    PapermillNotebookClient.set_widgets_metadata = last  # there is no hook for it


def stop_when_input_ends() -> None:
    """Kill the kernel when the parent closes the pipe; leave for good if that does not end us."""
    sys.stdin.read()
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        end_descendants(wait=0)
        time.sleep(0.1)
    os._exit(1)


def passed_through(package: str, error: Exception) -> bool:
    """Whether an error was raised by a package, or by what it called."""
    return any(package in Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__))


def _literal(path: str) -> str:
    """A path that papermill's formatting leaves as it is."""
    return path.replace("{", "{{").replace("}", "}}")


if __name__ == "__main__":
    main()
