"""A connection whose way through a jump host is gone ends like any other."""

from __future__ import annotations

import socket
import threading
import time

import paramiko
import pytest

from ctmupgrade.adapters.ssh.transport import BoundedTransport

PATIENCE = 30.0  # seconds


class _ChannelOfALostJumpHost:
    """As paramiko's: what it wants to say at its end has no connection to go through."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def close(self) -> None:
        self._inner.close()
        raise EOFError


def test_who_waits_is_told_when_the_way_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    escaped: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", escaped.append)
    ours, theirs = socket.socketpair()
    transport = BoundedTransport(_ChannelOfALostJumpHost(ours))
    theirs.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    threading.Timer(0.5, theirs.close).start()
    began = time.monotonic()
    with pytest.raises((EOFError, OSError, paramiko.SSHException)):
        transport.start_client(timeout=PATIENCE)
    transport.join(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    assert escaped == []
