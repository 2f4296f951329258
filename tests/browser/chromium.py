"""The system's Chromium; Playwright's own download is not used."""

import os
import shutil
import sys
from pathlib import Path

VARIABLE = "SOFIM_LAB_CHROMIUM"
MISSING = f"Chromium is not installed: apt-get install chromium (or set {VARIABLE})"
COMMANDS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
PLACES = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
]
# A browser that looks at loopback only: nothing is fetched, looked up or synchronised behind the test's back.
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
]


def find_chromium() -> str | None:
    """Path of a Chromium or one of its kin; what SOFIM_LAB_CHROMIUM names comes first, and has to exist then."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"{VARIABLE}={named!r} is not a program that can be started")
    found = [path for command in COMMANDS if (path := shutil.which(command))]
    return next(iter(found + [place for place in PLACES if Path(place).is_file()]), None)


def flags() -> list[str]:
    """The command-line options; root, as in a container, may not use Chromium's sandbox."""
    is_root = sys.platform != "win32" and os.geteuid() == 0
    return [*FLAGS, *(["--no-sandbox"] if is_root else [])]
