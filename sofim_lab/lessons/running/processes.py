"""A lesson's processes: how much memory they hold, and that none of them outlives the lesson.

Kernels live in a session of their own, so no signal to a process group reaches them. They are found as descendants
of the worker, are remembered (a killed worker's children change their parent), and carry a mark in their environment.
On Linux the worker also adopts what loses its parent, so that a daemon, which forks twice and may have dropped the
mark, stays among its descendants.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

MARK = "SOFIM_LAB_RUN"  # environment variable, inherited by everything that a lesson starts
_LOOK_AGAIN = 0.5  # seconds between two searches for new processes; memory is read in every sample
_PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl


class ProcessTree:
    """The worker `pid` and all that descends from it, marked `mark`."""

    def __init__(self, pid: int, mark: str) -> None:
        self.mark = mark
        self.root = _process(pid)
        self.children: set[psutil.Process] = set()
        self.peak_mb: float | None = None
        self._shared: dict[psutil.Process, int] = {}  # bytes of each that are counted with another process
        self._looked = -_LOOK_AGAIN

    def sample(self) -> None:
        """Read the memory of the kernel and its children now; remember the largest sum.

        Pages that several processes share, such as the code of PyTorch, count once, where Linux says how many they are.
        """
        now = time.monotonic()
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._look()
            several = len(self.children) > 1
            self._shared = {process: _shared(process) for process in self.children} if several else {}
        total = 0
        for process in self.children:
            with suppress(psutil.Error):
                total += max(0, process.memory_info().rss - self._shared.get(process, 0))
        if total:
            self.peak_mb = max(self.peak_mb or 0.0, total / 2**20)

    def kill(self, wait: float = 3.0) -> None:
        """End the worker and everything that it started, and wait until it is gone.

        The worker is held still first, that it may start nothing more; it is killed last, since as long as it is there
        all the others are its descendants.
        """
        if self.root is not None:
            with suppress(psutil.Error):
                self.root.suspend()
        _end_all(self._found, wait)
        if self.root is not None:
            with suppress(psutil.Error):
                self.root.kill()
        _end_all(self._found, wait)

    def _found(self) -> set[psutil.Process]:
        """All that is known of, and what carries the mark."""
        self._look()
        return self.children | self._marked()

    def _look(self) -> None:
        """Add the descendants that there are now."""
        if self.root is not None:
            with suppress(psutil.Error):
                self.children.update(self.root.children(recursive=True))

    def _marked(self) -> set[psutil.Process]:
        """Processes that carry the mark, wherever they hang in the tree of processes."""
        found = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get(MARK) == self.mark:
                    found.add(process)
        return found


def adopt_orphans() -> None:
    """Make this process the parent of every descendant that loses its own; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(wait: float = 3.0) -> None:
    """Kill everything that this process started, and what that has started."""
    _end_all(lambda: set(psutil.Process().children(recursive=True)), wait)


def _end_all(find: Callable[[], set[psutil.Process]], wait: float) -> None:
    """Kill what is found until nothing is; not longer than `wait` seconds."""
    end = time.monotonic() + wait
    while found := {process for process in find() if _alive(process)}:
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if time.monotonic() > end:  # in the kernel's hands, for example on a dead network drive
            break
        time.sleep(0.02)


def _process(pid: int) -> psutil.Process | None:
    """The process, unless it is gone already."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _shared(process: psutil.Process) -> int:
    """Bytes of its resident memory that fall to others, were each page shared out evenly among those who have it.

    To count them takes 10 ms for half a gigabyte, 100 times as long as to read the resident memory.
    """
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(memory.rss - getattr(memory, "pss", memory.rss))
    return 0


def _alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie that waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
