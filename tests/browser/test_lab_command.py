"""`sofim-lab lab`, and with it `dev.py lab`: on loopback, behind a token that it makes itself."""

import ipaddress
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest
from lab_server import START_SECONDS, address_of, private_environment, stop, wait_for

COMMAND = "import sys; from sofim_lab.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def lab(tmp_path):
    """A running `sofim-lab lab`: what it says of itself, and its process."""
    folder, home = tmp_path / "lessons", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    environment = private_environment(home, token="")
    del environment["JUPYTER_TOKEN"]  # as it is on a person's machine
    options = ["--notebooks", str(folder), "--no-browser", "--ServerApp.port=0", "--allow-root"]
    with open(home / "log.txt", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "lab", *options], env=environment, stdout=log, stderr=log
        )
        try:
            yield wait_for(lambda: address_of(child, home), START_SECONDS, "the start of `sofim-lab lab`"), child
        finally:
            stop(child)


def ask(url):
    """The status of a request without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_lab_listens_on_loopback_and_wants_its_token(lab):
    info, child = lab
    assert len(info["token"]) >= 32
    wait_for(lambda: ask(f"{info['url']}api") == 200, START_SECONDS, "the first answer")  # its version, open to all
    assert ask(f"{info['url']}api/contents") == 403
    assert ask(f"{info['url']}api/contents?token=guessed") == 403
    assert ask(f"{info['url']}api/contents?token={info['token']}") == 200
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    listening = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert all(ipaddress.ip_address(address).is_loopback for address in listening), listening


def test_a_termination_ends_the_server_too(lab):
    _, child = lab
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(family) > 1
    child.terminate()
    _, left = psutil.wait_procs(family, timeout=START_SECONDS)
    assert left == []
