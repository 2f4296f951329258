"""Ctrl-C, a polite and a rude kill in the middle of a run: no process stays, what was finished is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

# Runs the notebooks of a folder and prints what an interrupt hands over.
CHILD = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_lessons import write_lesson
from sofim_lab.lessons.running.runner import Interrupted, run_lessons
folder = Path(sys.argv[2])
first = write_lesson(folder, "01_first", "print('finished')")
second = write_lesson(folder, "02_second", '''
import pathlib, subprocess, sys, time
print("partial", flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
pathlib.Path("begun").touch()
time.sleep(300)
''')
third = write_lesson(folder, "03_third", "print('never')")
try:
    run_lessons([first, second, third], output=folder / "out", device="cpu")
except Interrupted as interrupted:
    print(json.dumps([outcome.to_json() for outcome in interrupted.outcomes]))
    sys.exit(130)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@contextmanager
def running(folder):
    """The child in the middle of its second lesson, and all processes below it."""
    arguments = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(folder)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while not (folder / "begun").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) >= 3  # worker, kernel, and what the cell started
        yield process, below
    finally:
        process.kill()
        process.communicate()


def wait_until_gone(processes, seconds):
    """Those that still run after so long."""
    end = time.monotonic() + seconds
    while True:
        left = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_what_is_finished_and_leaves_no_process(tmp_path, number):
    with running(tmp_path) as (process, below):
        process.send_signal(number)
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        assert not wait_until_gone(below, 0)
    first, second = json.loads(printed)
    assert (first["status"], second["status"]) == ("passed", "interrupted")
    assert second["failure"]["kind"] == "interrupted"
    assert second["failure"]["message"] == "interrupted in 02_second, cell 3"
    assert "finished" in (tmp_path / "out" / "01_first.ipynb").read_text(encoding="utf-8")
    partial = json.loads((tmp_path / "out" / "02_second.ipynb").read_text(encoding="utf-8"))
    assert "partial" in json.dumps(partial["cells"][-1]["outputs"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "01_first.ipynb", "02_second.ipynb"]


def test_workers_end_themselves_when_the_run_is_killed(tmp_path):
    with running(tmp_path) as (process, below):
        process.kill()
        process.wait()
        assert not wait_until_gone(below, 60)
