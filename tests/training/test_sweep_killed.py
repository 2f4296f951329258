"""A sweep that is ended at a random point and called again gives the table of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sweep_cases import assert_same, run

from sofim_lab.training.sweep_result import Sweep

HERE = Path(__file__).parent
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from sweep_cases import run
if __name__ == "__main__":
    run(seeds=range(4), store=sys.argv[2], n_jobs=int(sys.argv[3]))
"""
RUNS = 16

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def alone():
    return run(seeds=range(4))


@pytest.fixture
def begin(tmp_path):
    """Starts the sweep in a program of its own; whatever is left of those ends with the test."""
    started = []
    (tmp_path / "program.py").write_text(CODE, encoding="utf-8")

    def go(store, n_jobs):
        command = [sys.executable, tmp_path / "program.py", HERE, store, str(n_jobs)]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        started.append(program)
        return program

    yield go
    for program in started:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)  # its workers, too
        program.communicate()


def lines_in(store):
    return store.read_bytes().count(b"\n") if store.exists() else 0


def wait_for(program, store, lines):
    """Until the store has so many lines, or the program has ended."""
    end = time.monotonic() + 120
    while lines_in(store) < lines and program.poll() is None:
        assert time.monotonic() < end, f"{lines_in(store)} lines after two minutes"
        time.sleep(0.002)


@pytest.mark.parametrize(("n_jobs", "times"), [(1, 2), (2, 1)])
def test_killed_at_random_points(alone, begin, tmp_path, n_jobs, times):
    store, chance, found = tmp_path / "runs.jsonl", random.Random(), []
    for _ in range(times):
        program = begin(store, n_jobs)
        wait_for(program, store, lines_in(store) + chance.randint(1, 4))
        time.sleep(chance.random() * 0.05)
        program.kill()
        program.wait()
        found.append(lines_in(store))
    assert 0 < found[0] < RUNS, "it was not killed in between"
    done = {run["run"]: run for run in Sweep.read(store).runs}
    result = run(seeds=range(4), store=store)
    assert_same(result, alone)
    again = [one for one in result.runs if one != done.get(one["run"], one)]
    assert not again, "a finished run was computed again"
    assert lines_in(store) == RUNS


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupted_from_the_keyboard(alone, begin, tmp_path, n_jobs):
    store = tmp_path / "runs.jsonl"
    program = begin(store, n_jobs)
    wait_for(program, store, 2)
    program.send_signal(signal.SIGINT)
    _, error = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert "\nKeyboardInterrupt" in error
    assert 2 <= len(Sweep.read(store)) < RUNS
    assert_same(run(seeds=range(4), store=store), alone)
