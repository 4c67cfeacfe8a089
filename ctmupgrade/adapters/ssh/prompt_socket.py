"""The TCP socket under an SSH connection: it answers at once, and notices a peer that is gone."""

from __future__ import annotations

import socket
from contextlib import suppress

_USER_TIMEOUT_MS = 30_000  # unacknowledged data for so long ends the connection


class PromptSocket(socket.socket):
    """Acknowledges what it reads at once, where the kernel can (Linux). A server that waits for that before it goes
    on is OpenSSH's: after a login it tells its host keys, and holds back its answer to the first session for the
    40 ms that a kernel may take its time."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See :meth:`socket.socket.recv`."""
        data = super().recv(bufsize, flags)
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def tune(self) -> None:
        """Send at once, and find out within half a minute that nobody is there."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wishes = {
            "TCP_KEEPIDLE": 15,
            "TCP_KEEPINTVL": 5,
            "TCP_KEEPCNT": 3,
            "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS,
        }
        for name, value in wishes.items():  # not every platform has all of them
            number = getattr(socket, name, None)
            if number is not None:
                with suppress(OSError):
                    self.setsockopt(socket.IPPROTO_TCP, number, value)
