"""The ban on the network holds in this process and in those that it starts, and lets this machine through."""

import socket
import subprocess
import sys
import urllib.request

import pytest

ASK = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)"


def test_another_machine_cannot_be_reached():
    with pytest.raises(OSError, match=r"the tests have no network: 192.0.2.1 was asked for"):
        urllib.request.urlopen("http://192.0.2.1/", timeout=5)
    with pytest.raises(OSError, match=r"the tests have no network: example.org was asked for"):
        socket.create_connection(("example.org", 80), timeout=5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, pytest.raises(OSError, match=r"192.0.2.1"):
        one.sendto(b"x", ("192.0.2.1", 9))


def test_nor_from_a_process_that_a_test_starts():
    done = subprocess.run([sys.executable, "-P", "-c", ASK], capture_output=True, text=True)
    assert "the tests have no network: 192.0.2.1 was asked for" in done.stderr


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        assert one.getpeername() == server.getsockname()


@pytest.mark.network
def test_the_mark_lifts_the_ban():
    assert socket.socket.connect is not None
    assert "no_network" not in socket.socket.__module__
