"""Fixtures: one JupyterLab and one headless Chromium for all tests of a file, a fresh page for each test."""

import contextlib

import pytest
from chromium import MISSING, find_chromium, flags
from lab_page import LabPage
from lab_server import running_lab
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium.

    Not longer than a file's tests: while Playwright is on, an asyncio loop counts as running in this thread, and
    tests that start one of their own, such as those that execute notebooks, would fail.
    """
    executable = find_chromium()
    if executable is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=flags())
        yield running
        running.close()


@pytest.fixture(scope="module")
def lab_server(browser, tmp_path_factory):
    """JupyterLab with an empty folder to serve; it asks for `browser` so that without one nothing is started."""
    root, home = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("jupyter")
    with running_lab(root, home) as server:
        yield server


@contextlib.contextmanager
def _window(browser, lab_server):
    """A `LabPage` in a window of its own, and the end of its kernel."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    yield LabPage(context.new_page(), lab_server)
    context.close()
    for session in lab_server.request("/api/sessions"):
        with contextlib.suppress(OSError):
            lab_server.request(f"/api/sessions/{session['id']}", "DELETE")


@pytest.fixture
def lab(browser, lab_server):
    """A fresh `LabPage`; its kernel ends with the test."""
    with _window(browser, lab_server) as page:
        yield page


@pytest.fixture(scope="module")
def shared_lab(browser, lab_server):
    """One `LabPage` for all tests of a file, each of which has to leave it as it wants to find it."""
    with _window(browser, lab_server) as page:
        yield page
