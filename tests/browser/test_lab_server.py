"""The server of the browser tests: behind its token, blind to this user's settings, gone without a trace."""

import os
import urllib.error
from dataclasses import replace

import pytest
from chromium import VARIABLE, find_chromium
from lab_server import private_environment, running_lab, wait_for


def test_server_is_closed_to_strangers_and_leaves_no_process(tmp_path):
    root, home = tmp_path / "served", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    with running_lab(root, home) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            replace(server, token="guessed").request("/api/contents")
        assert server.request("/api/contents")["content"] == []
        server.request("/api/kernels", method="POST")
        family = wait_for(lambda: len(server.processes()) > 1 and server.processes(), 10, "a kernel's process")
    assert [process for process in family if process.is_running()] == []


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="no-such-folder"), running_lab(tmp_path / "no-such-folder", tmp_path):
        pass


def test_everything_the_server_writes_goes_into_its_own_folder(tmp_path):
    ours = private_environment(tmp_path, "secret")
    changed = {k: v for k, v in ours.items() if os.environ.get(k) != v}
    assert len([k for k in changed if k.startswith("JUPYTER")]) == 6
    assert all(v.startswith(str(tmp_path)) for k, v in changed.items() if k.endswith(("DIR", "DIRS")))


def test_chromium_named_by_the_variable_comes_first(tmp_path, monkeypatch):
    program = tmp_path / ("my-chromium.exe" if os.name == "nt" else "my-chromium")
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    assert find_chromium() == str(program)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=f"{VARIABLE}=.*absent"):
        find_chromium()


def test_without_chromium_nothing_is_found(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("chromium.PLACES", [])
    assert find_chromium() is None
