"""Lessons that go wrong, each in its own way: the outcome says what, in which cell, at which line."""

import json
import os
import signal
import sys
import time

import psutil
import pytest
from small_lessons import write_lesson

from sofim_lab.lessons.parameters import Parameters
from sofim_lab.lessons.running import execution
from sofim_lab.lessons.running.execution import Execution, Plan
from sofim_lab.lessons.running.runner import run_lessons

RECORD = """
from IPython.display import display
payload = {"name": "x", "value": 1.0, "unit": "", "better": None, "compare": True}
display({"application/vnd.sofim-lab.metric+json": payload, "text/plain": "x"}, raw=True)
"""

SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider()
def redraw(change):
    raise RuntimeError("no picture")
slider.observe(redraw, "value")
slider
"""

INTERACT = """
import ipywidgets
def draw(x):
    if x > 2:
        raise KeyError("no such x")
explorer = ipywidgets.interactive(draw, x=(0, 5))
display(explorer)
"""

CLEARED = """
import ipywidgets
shown = ipywidgets.Output()
with shown:
    raise KeyError("cleared away")
"""

# Waits, and lets no interrupt through; as native code does that never looks at signals.
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(60)
"""

PATIENT = """
import time
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("caught")
"""

# Raises when its cell has ended long ago.
THREAD = """
import threading, time
def late():
    time.sleep(0.5)
    raise ValueError("late")
threading.Thread(target=late, name="T").start()
"""

TASK = """
import asyncio
async def work():
    raise ValueError("in a task")
asyncio.create_task(work())
await asyncio.sleep(0.1)
"""

KEPT = TASK.replace("asyncio.create", "task = asyncio.create")  # nobody ever asks it for its error

FORGOTTEN = """
async def work():
    raise ValueError("never run")
work()
None
"""

FINALIZER = """
def steps():
    try:
        yield 1
    finally:
        raise ValueError("in a finalizer")
walk = steps()
next(walk)
del walk
"""

# These two go wrong when the last cell has ended.
EXIT = """
import atexit
@atexit.register
def farewell():
    raise ValueError("at the end")
"""

SHOWN = """
import ipywidgets, threading, time
shown = ipywidgets.Output()
def late():
    time.sleep(1)
    with shown:
        raise ValueError("late")
threading.Thread(target=late).start()
shown
"""

PROCESS = """
import multiprocessing
def work():
    raise ValueError("in a process")
child = multiprocessing.get_context("fork").Process(target=work, name="P")
child.start()
child.join()
"""

# Sleeps in C without letting Python run, deaf to every signal that can be blocked.
NATIVE = """
import ctypes, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
print("begun", flush=True)
time.sleep(0.5)  # until the thread that sends it has had its turn
ctypes.PyDLL(None).sleep(60)
"""

FORK = """
import os, time
child = os.fork()
if child == 0:
    time.sleep(60)
os.waitpid(child, 0)
"""

# name: (cells, limits, status, kind, cell, line, part of the message)
FAULTS = {
    "raises": (["def half(x):\n    return 1 / x", "a = 0\n\nhalf(a)", "print('after')"], {},
               "failed", "error", 4, 3, "ZeroDivisionError: division by zero"),
    "syntax": (["x = 1\ny = = 2"], {}, "failed", "error", 3, 2, "SyntaxError: invalid syntax"),
    "leaves": (["import sys; sys.exit(0)", "print('after')"], {}, "failed", "error", 3, None, "SystemExit"),
    "twice": ([RECORD, "print('between')", RECORD], {},
              "failed", "duplicate", 5, None, "metric 'x' is recorded in cell 3 and in cell 5"),
    "slider": ([SLIDER, "slider.value = 3"], {}, "failed", "error", 4, 1, "RuntimeError: no picture"),
    "interact": ([INTERACT, "explorer.children[0].value = 4", "print('after')"], {},
                 "failed", "widget", 3, 5, "caught by a widget: KeyError: 'no such x'"),
    "cleared": ([CLEARED, "shown.clear_output()", "print('after')"], {},
                "failed", "widget", 3, 4, "caught by a widget: KeyError: 'cleared away'"),
    "group": (["raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])"], {},
              "failed", "error", 3, None, "ExceptionGroup: two (2 sub-exceptions)"),
    "dies": (["print('alive', flush=True)\nimport os, time; time.sleep(0.5); os._exit(7)"], {},
             "failed", "kernel died", 3, None, "the kernel died in 01_dies, cell 3"),
    "cell": (["print('partial', flush=True)\nimport time\ntime.sleep(60)", "print('after')"], {"cell_timeout": 5},
             "timeout", "cell time-out", 3, 3, "01_cell, cell 3: the cell took longer than its limit of 5 s"),
    "patient": ([PATIENT, "print('after')"], {"cell_timeout": 5}, "timeout", "cell time-out", 3, None, "limit of 5 s"),
    "stubborn": ([STUBBORN], {"cell_timeout": 5}, "timeout", "cell time-out", 3, None, "limit of 5 s"),
    "thread": ([THREAD, "time.sleep(1.5)"], {}, "failed", "background", 4, None, "in thread T: ValueError: late"),
    "task": ([TASK], {}, "failed", "background", 3, None, "never retrieved: ValueError: in a task"),
    "kept": ([KEPT], {}, "failed", "background", 3, None, "after the last cell: Task exception was never retrieved: "
             "ValueError: in a task"),
    "forgotten": ([FORGOTTEN], {}, "failed", "background", 3, None, "by the cell: coroutine 'work' was never awaited"),
    "finalizer": ([FINALIZER, "print('after')"], {}, "failed", "background", 3, None,
                  "Exception ignored in: <generator object steps>: ValueError: in a finalizer"),
    "logging": (["import logging\nlogging.warning('%d', 'x')"], {}, "failed", "background", 3, None,
                "--- Logging error ---: TypeError: %d format: a real number is required"),
    "exit": ([EXIT], {}, "failed", "background", 3, None, "after the last cell: Exception ignored in atexit callback"),
    "after": ([THREAD], {}, "failed", "background", 3, None, "after the last cell: Exception in thread T: ValueError"),
    "shown": ([SHOWN], {}, "failed", "background", 3, None, "after the last cell: ValueError: late"),
    "process": ([PROCESS], {}, "failed", "background", 3, None, "Process P: ValueError: in a process"),
    "native": ([NATIVE], {"cell_timeout": 5}, "timeout", "cell time-out", 3, None, "limit of 5 s"),
    "fork": ([FORK], {"cell_timeout": 5}, "timeout", "cell time-out", 3, 6, "limit of 5 s"),
    "prints": (["print('x' * 50_000_000)", "print('after')"], {}, "failed", "flood", 3, None, "may print 1 MB of text"),
    "shows": (["from IPython.display import HTML\nHTML('x' * 50_000_000)", "print('after')"], {},
              "failed", "flood", 3, None, "20 MB of pictures and pages"),
    "lesson": (["print('partial', flush=True)\nimport time\ntime.sleep(60)"], {"lesson_timeout": 12},
               "timeout", "lesson time-out", 3, None, "01_lesson, cell 3: the lesson took longer than its limit of 12"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All of them in one run, several at a time: none disturbs the others."""
    folder = tmp_path_factory.mktemp("faults")
    lessons = [
        write_lesson(folder / "notebooks", f"01_{name}", *cells, **limits)
        for name, (cells, limits, *_) in FAULTS.items()
    ]
    patience, execution.INTERRUPT_SECONDS = execution.INTERRUPT_SECONDS, 2.0
    try:
        run = run_lessons(lessons, output=folder / "out", device="cpu", jobs=4, progress=False)
    finally:
        execution.INTERRUPT_SECONDS = patience
    return {outcome.lesson.removeprefix("01_"): outcome for outcome in run}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_placed(outcomes, name):
    cells, _, status, kind, cell, line, words = FAULTS[name]
    outcome = outcomes[name]
    failure = outcome.failure
    assert (outcome.status, failure.kind, failure.cell, failure.line) == (status, kind, cell, line)
    assert failure.cell_id == f"code-{cell - 2}"
    assert words in failure.message
    if line is not None:
        assert failure.source == cells[cell - 3].splitlines()[line - 1]


@pytest.mark.parametrize(
    ("name", "kept"), [("cell", "partial"), ("lesson", "partial"), ("dies", "alive"), ("stubborn", "begun"),
                       ("patient", "caught"), ("raises", "ZeroDivisionError"), ("interact", "after"),
                       ("native", "begun"), ("thread", "ValueError: late"), ("prints", "after"),
                       ("shows", "[cut: more than 20 MB]")]
)  # fmt: skip
def test_what_was_written_before_is_kept(outcomes, name, kept):
    content = outcomes[name].notebook.read_text(encoding="utf-8")
    assert any(kept in json.dumps(cell.get("outputs", [])) for cell in json.loads(content)["cells"])


@pytest.mark.parametrize("name", ["prints", "shows"])
def test_a_flood_is_cut_and_never_fills_the_disk(outcomes, name):
    assert outcomes[name].notebook.stat().st_size < 1_100_000


@pytest.mark.parametrize("name", ["raises", "leaves", "cell", "patient"])
def test_nothing_is_executed_after_a_failure(outcomes, name):
    notebook = json.loads(outcomes[name].notebook.read_text(encoding="utf-8"))
    assert notebook["cells"][-1]["outputs"] == []


def test_the_first_record_of_a_duplicate_is_kept(outcomes):
    assert [metric.name for metric in outcomes["twice"].metrics] == ["x"]


def test_a_worker_that_is_killed_takes_its_kernel_with_it(make_lesson, tmp_path):
    lesson = make_lesson("01_a", "import time\ntime.sleep(60)")
    (tmp_path / "out").mkdir()
    plan = Plan(lesson, tmp_path / "out", "cpu", "quick", Parameters({}, {}, True), False, 30, 60)
    run = Execution(plan, dict(os.environ))
    while run.busy_since is None or run.cell != 3:
        run.poll()
        time.sleep(0.05)
    kernels = psutil.Process(run.process.pid).children(recursive=True)
    assert kernels
    run.process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    while not run.done:
        run.poll()
        time.sleep(0.05)
    outcome = run.finish()
    assert (outcome.status, outcome.failure.kind, outcome.failure.cell) == ("failed", "worker died", 3)
    assert "ended with exit status -9 in 01_a, cell 3" in outcome.failure.message
    assert outcome.notebook.exists()
    assert not any(kernel.is_running() and kernel.status() != psutil.STATUS_ZOMBIE for kernel in kernels)


# Forks twice and drops its environment: no parent, no session, no mark leads to it.
DAEMON = """
import os, pathlib, sys, time
note = pathlib.Path("daemon")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note.write_text(str(os.getpid()))
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)"], {})
    os._exit(0)
os.wait()
while not note.exists() or not note.read_text():
    time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt the orphans below it")
@pytest.mark.parametrize(
    "end", ["", "time.sleep(1.5); os.kill(os.getppid(), 9); time.sleep(60)"], ids=["passes", "is killed"]
)
def test_a_daemon_ends_with_its_lesson(make_lesson, tmp_path, end):
    lesson = make_lesson("01_a", DAEMON + end)
    (outcome,) = run_lessons([lesson], output=tmp_path / "out", device="cpu", progress=False)
    assert outcome.status == ("failed" if end else "passed"), outcome.failure
    pid = int((lesson.path.parent / "daemon").read_text(encoding="utf-8"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_printing_into_an_output_widget_never_hangs(tmp_path):
    # nbclient's own synchronisation of such a widget lost a reply now and then; the cell then ran into its time-out.
    cells = ["import ipywidgets\nshown = ipywidgets.Output()", *["with shown:\n    print('line')"] * 100]
    lesson = write_lesson(tmp_path / "notebooks", "01_output", *cells, cell_timeout=60)
    (outcome,) = run_lessons([lesson], output=tmp_path / "out", device="cpu", progress=False)
    assert outcome.status == "passed", outcome.failure
