"""No network for the tests: only sockets of this machine can be reached, as in a lecture hall without Wi-Fi."""

import errno
import ipaddress
import socket
from contextlib import contextmanager


def _refuse_remote(address):
    """Raise what a machine without a network raises, unless the address is of this machine."""
    if not isinstance(address, tuple):  # a file
        return
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost", socket.gethostname()):
        return
    try:
        local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        local = False
    if not local:
        raise OSError(errno.ENETUNREACH, f"the tests have no network: {host} was asked for")


class _LocalSocket(socket.socket):
    """A socket that reaches this machine alone."""

    def connect(self, address):
        _refuse_remote(address)
        return super().connect(address)

    def connect_ex(self, address):
        _refuse_remote(address)
        return super().connect_ex(address)

    def sendto(self, data, *arguments):
        _refuse_remote(arguments[-1])
        return super().sendto(data, *arguments)


_socket, _getaddrinfo = socket.socket, socket.getaddrinfo


def _local_getaddrinfo(host, *arguments, **options):
    """Names of other machines are not even asked for."""
    _refuse_remote((host,))
    return _getaddrinfo(host, *arguments, **options)


def block():
    """From now on, in this process."""
    socket.socket, socket.getaddrinfo = _LocalSocket, _local_getaddrinfo


@contextmanager
def lifted():
    """For the rare test that needs the network."""
    socket.socket, socket.getaddrinfo = _socket, _getaddrinfo
    try:
        yield
    finally:
        block()
