"""A JupyterLab of our own: on loopback, behind a token, with no settings of the person who runs the tests."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

# Every cell is put into the page, also those out of sight, so that a test finds what it looks for.
NOTEBOOK_SETTINGS = {"windowingMode": "none"}
PAGE_CONFIG = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # asks about news
START_SECONDS, STOP_SECONDS = 60, 15


@dataclass(frozen=True)
class LabServer:
    """A running server: its address, its token, its process, and the folder that it serves."""

    url: str
    token: str
    process: psutil.Process
    root: Path

    def request(self, path: str, method: str = "GET") -> object:
        """Call the REST API; the answer's JSON, or None where there is none. No proxy is asked."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            body = response.read()
        return json.loads(body) if body else None

    def processes(self) -> list[psutil.Process]:
        """The server and its kernels."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Ask every 50 ms until `condition()` is true, and return that value; TimeoutError names what was awaited."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
    return value


def private_environment(home: Path, token: str) -> dict[str, str]:
    """The environment of a server that knows nothing of this machine's user; its files go under `home`.

    The kernelspec of this Python stays reachable: `sys.prefix`/share/jupyter is always searched.
    """
    settings = home / "settings"
    notebook_settings = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    page_config = home / "config" / "labconfig" / "page_config.json"
    for path, content in [(notebook_settings, NOTEBOOK_SETTINGS), (page_config, PAGE_CONFIG)]:
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_TOKEN": token,
        "OMP_NUM_THREADS": "1",
    }


@contextlib.contextmanager
def running_lab(root: Path, home: Path) -> Iterator[LabServer]:
    """Serve the folder `root`; afterwards the server and all its kernels are gone.

    Args:
        root: the folder with the notebooks.
        home: an empty folder for the server's own files; its log is `home/log.txt`.
    """
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    command += [f"--ServerApp.root_dir={root}", "--expose-app-in-browser", "--LabApp.extension_manager=readonly"]
    command += ["--allow-root"] if sys.platform != "win32" and os.geteuid() == 0 else []
    with open(home / "log.txt", "wb") as log:
        child = subprocess.Popen(command, env=private_environment(home, token), stdout=log, stderr=log)
        try:
            process = psutil.Process(child.pid)
            info = wait_for(lambda: address_of(child, home), START_SECONDS, "JupyterLab's start")
            server = LabServer(info["url"].rstrip("/"), token, process, root)
            wait_for(lambda: _answers(server), START_SECONDS, "JupyterLab's first answer")
            yield server
        finally:
            stop(child)


def address_of(child: subprocess.Popen, home: Path) -> dict | None:
    """What the server wrote about itself, once it is there and whole."""
    if child.poll() is not None:
        log = (home / "log.txt").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"JupyterLab ended with status {child.returncode}:\n{log[-2000:]}")
    for path in (home / "runtime").glob("jpserver-*.json"):
        with contextlib.suppress(ValueError):
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def _answers(server: LabServer) -> bool:
    """Whether the server takes our token."""
    with contextlib.suppress(OSError):
        return server.request("/api/status") is not None
    return False


def stop(child: subprocess.Popen) -> None:
    """Ask the server to end, which ends its kernels; what is still there after a while is killed."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.pid)
        family = [process, *process.children(recursive=True)]
    child.terminate()
    _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
