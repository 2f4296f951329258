"""For all tests: one thread each for the numerical libraries, before PyTorch is imported, and no network.

The tests' tensors are small, and two threads that wait for each other on a busy machine take five times as long.
A test marked `network` may use the network; what it starts may not.

Properties are tried on the same examples each time, so that a change is judged by what it changed. The search for new
ones is `--hypothesis-profile=search`, which `dev.py test --all` takes.
"""

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True)
hypothesis.settings.load_profile("steady")

OFFLINE = str(Path(__file__).parent / "offline")
sys.path.insert(0, OFFLINE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH")]))

import no_network  # noqa: E402

no_network.block()

if "PYTEST_XDIST_WORKER" in os.environ:  # there coverage is measured, and everything gets imported anyway
    from unmeasured import look_away_from_libraries

    look_away_from_libraries()


@pytest.hookimpl(wrapper=True)
def _unwatched(item):
    """Has coverage look away from a test marked `unmeasured`, and from what is set up for it first."""
    if not item.get_closest_marker("unmeasured"):
        return (yield)
    watching = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(watching)


pytest_runtest_setup = pytest_runtest_call = _unwatched


def pytest_collection_modifyitems(config, items):
    """Where several processes share the files, the run of all lessons begins first: last, it would be waited for.

    What is marked `gpu` is skipped where there is none.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.name != "test_course_runs.py")
    on_a_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_a_gpu and not importlib.import_module("torch").cuda.is_available():
        for item in on_a_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _network(request):
    """Lifts the ban for a test that is marked so."""
    if request.node.get_closest_marker("network") is None:
        yield
    else:
        with no_network.lifted():
            yield


@pytest.fixture
def time_does_not_count(monkeypatch):
    """Lets lessons run beside other tests: how long they may take is judged by `run`, when it has the machine."""
    from sofim_lab.lessons.judging import verdict

    monkeypatch.setitem(verdict.FAR_BEYOND, "time", math.inf)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)
