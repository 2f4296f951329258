"""Where Binder takes those whose address names no page, and that the pages which the lessons' links name are there."""

import contextlib
import http.client
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lab_server import START_SECONDS, address_of, private_environment, stop, wait_for

from sofim_lab.lessons.course_map import online
from sofim_lab.lessons.manifest import load_manifest
from sofim_lab.lessons.notebook import read_notebook

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [*load_manifest(ROOT / "notebooks")]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="bash, in which Binder's script is written"
)


@pytest.fixture(scope="module")
def binder(tmp_path_factory):
    """JupyterLab in the repository's folder, started as Binder starts it; answers to a path: status, Location."""
    home = tmp_path_factory.mktemp("home")
    lab = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.port=0", "--allow-root"]
    with open(home / "log.txt", "wb") as log:
        child = subprocess.Popen(
            [str(ROOT / "binder/start"), *lab],
            cwd=ROOT,
            env=private_environment(home, token="secret"),
            stdout=log,
            stderr=log,
        )

        def ask(path):
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
            connection.request("GET", path, headers={"Authorization": "token secret"})
            response = connection.getresponse()
            return response.status, response.headers.get("Location", "").rstrip("?")

        def answers():
            with contextlib.suppress(OSError):
                return ask("/api/status")[0] == 200

        try:
            address = urlsplit(wait_for(lambda: address_of(child, home), START_SECONDS, "JupyterLab's start")["url"])
            wait_for(answers, START_SECONDS, "JupyterLab's first answer")
            yield ask
        finally:
            stop(child)


def test_an_address_without_a_page_leads_to_the_first_lesson(binder):
    assert binder("/") == (302, f"/lab/tree/notebooks/{LESSONS[0].path.name}")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.id)
def test_the_page_that_a_binder_link_names_is_there(binder, lesson):
    page = online(read_notebook(lesson.path)["cells"])["Binder"].partition("?urlpath=")[2]
    assert binder(f"/{page}") == (200, "")
    name = page.removeprefix("lab/tree/")
    assert binder(f"/api/contents/{name}?content=0")[0] == 200
    assert binder(f"/api/contents/{name}x?content=0")[0] == 404
