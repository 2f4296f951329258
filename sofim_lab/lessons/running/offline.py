"""Running a program without a network: on Linux, where the system lets a user make a namespace of its own.

As a script, `python offline.py PROGRAM ARGUMENTS...` leaves the network and becomes that program. Only the loopback
interface is left, a new one that nobody else is on; a notebook's kernel is reached over it.
"""

import ctypes
import functools
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
_SET_INTERFACE_FLAGS, _UP = 0x8914, 1  # of netdevice(7)


def offline_command(*command: str) -> list[str]:
    """The command line that runs `command` without a network."""
    return [sys.executable, "-I", __file__, *command]


@functools.cache
def can_go_offline() -> bool:
    """Whether `offline_command` works here; tried once."""
    if sys.platform != "linux":
        return False
    trial = offline_command(sys.executable, "-I", "-c", "")
    return subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def leave_network() -> None:
    """Put this process, and all that it starts, into a new namespace with a loopback interface and nothing else.

    Raises:
        OSError: The system does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no namespace of its own for this user")
    # Who we are stays as it is; without this the files would seem to belong to nobody.
    for name, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(content, encoding="ascii")
    import fcntl  # not on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sh22x", b"lo", _UP))


if __name__ == "__main__":
    leave_network()
    os.execv(sys.argv[1], sys.argv[1:])
