import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

from sofim_lab.lessons.running.processes import MARK, ProcessTree

# Starts a process in a session of its own, as a kernel is, which holds 64 MB; then waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = b'x' * 2**26; print(1, flush=True); time.sleep(60)"],
                         start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


# Its child holds 64 MB and forks twice.
FORKS = PARENT.replace("import time;", "import os, time;").replace(
    "print(1, flush=True)", "os.fork() and os.fork() and print(1, flush=True)"
)


@contextmanager
def family(mark, program=PARENT):
    """A process and its child; both end with the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, MARK: mark}, text=True
    )
    child = psutil.Process(int(process.stdout.readline()))
    try:
        yield process, child
    finally:
        for one in (process, child):
            with suppress(psutil.Error):
                one.kill()
        process.communicate()


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_memory_is_that_of_the_descendants_and_nothing_survives():
    with family("mark-a") as (process, child):
        tree = ProcessTree(process.pid, "mark-a")
        tree.sample()
        assert 64 < tree.peak_mb < 64 + 60
        tree.kill()
        assert gone(child)
        assert process.wait() != 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what processes share")
def test_memory_that_processes_share_counts_once():
    """Three forks hold the same 64 MB."""
    with family("mark-d", FORKS) as (process, _):
        tree = ProcessTree(process.pid, "mark-d")
        tree.sample()
        assert len(tree.children) == 3
        assert sum(child.memory_info().rss for child in tree.children) > 3 * 64 * 2**20
        assert 64 < tree.peak_mb < 64 + 60
        tree.kill()
        assert all(gone(child) for child in tree.children)


def test_a_child_whose_parent_is_gone_is_found_by_its_mark():
    with family("mark-b") as (process, child):
        process.kill()
        process.wait()
        assert not gone(child)
        ProcessTree(process.pid, "mark-b").kill()
        assert gone(child)


def test_a_zombie_that_nobody_collects_is_not_waited_for():
    with family("mark-c") as (process, _):
        zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
        zombie.stdout.read()  # its end
        tree = ProcessTree(process.pid, "mark-c")
        tree.children.add(psutil.Process(zombie.pid))
        began = time.monotonic()
        tree.kill(wait=60)
        assert time.monotonic() - began < 50
        zombie.communicate()
