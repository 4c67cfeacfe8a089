"""Whose program is at the other end of a connection on this machine's loopback."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")  # a program may reach an IPv4 address by a socket of IPv6
_LOOKS, _PAUSE = 3, 0.01  # a table that changes while it is read may lack a row; seconds
_ESTABLISHED = "01"  # a socket that its program has closed is shown with root's number


def is_ours(client: socket.socket) -> bool:
    """Return whether a program of this process's own user made this connection.

    :param client: an accepted IPv4 connection. Where the system is not Linux nobody can tell: then it is taken for
        ours. On Linux what cannot be told is not ours.
    """
    if sys.platform != "linux":
        return True
    for _ in range(_LOOKS):
        if (found := owner(client)) is not None:
            return found == os.geteuid()
        time.sleep(_PAUSE)
    return False


def owner(client: socket.socket) -> int | None:
    """Return the user id of the program at the other end; None where the kernel does not tell (any more)."""
    try:
        theirs, ours = client.getpeername()[:2], client.getsockname()[:2]
    except OSError:  # it is gone already
        return None
    wanted = (_shown(*theirs), _shown(*ours))
    for table in _TABLES:
        try:
            text = Path(table).read_text(encoding="ascii")
        except OSError:
            continue
        for line in text.splitlines()[1:]:
            fields = line.split()
            seen = (_short(fields[1]), _short(fields[2]))
            if seen == wanted and fields[3] == _ESTABLISHED:
                return int(fields[7])
    return None


def _shown(address: str, port: int) -> str:
    """An IPv4 address and a port as the kernel shows them: a number in this machine's own byte order."""
    (number,) = struct.unpack("=I", socket.inet_aton(address))
    return f"{number:08X}:{port:04X}"


def _short(place: str) -> str:
    """The IPv4 part of an address of either table: of IPv6 the last four bytes."""
    address, _, port = place.partition(":")
    return f"{address[-8:]}:{port}"
