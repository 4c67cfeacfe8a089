"""The servers' side of an SSH connection."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import paramiko

ANSWERED = 99  # SSH_MSG_CHANNEL_SUCCESS


class ServerTransport(paramiko.Transport):
    """Knows which requests are answered: a server that sends before its answer is out loses the channel."""

    def __init__(self, client: socket.socket) -> None:
        super().__init__(client)
        self.answers: dict[int, int] = {}
        self.news = threading.Condition()

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]  # the stubs lack it
        text = data.asbytes()
        if text[0] == ANSWERED:
            with self.news:
                number = int.from_bytes(text[1:5], "big")
                self.answers[number] = self.answers.get(number, 0) + 1
                self.news.notify_all()

    def wait_for_answer(self, channel: paramiko.Channel, count: int = 1) -> None:
        """Until so many requests of a channel are answered."""
        with self.news:
            self.news.wait_for(lambda: self.answers.get(channel.remote_chanid, 0) >= count, timeout=5)


def carry(transport: paramiko.Transport, number: int, peer: socket.socket) -> None:
    """Carry bytes between a channel that is being opened and a connection, until both have ended."""
    end = time.monotonic() + 5
    while (channel := transport._channels.get(number)) is None:  # type: ignore[attr-defined]  # no way to wait for it
        if time.monotonic() > end or not transport.is_active():
            peer.close()
            return
        time.sleep(0.002)
    peer.settimeout(None)

    def up() -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while piece := channel.recv(65536):
                peer.sendall(piece)
        with suppress(OSError):
            peer.shutdown(socket.SHUT_WR if channel.eof_received else socket.SHUT_RDWR)

    thread = threading.Thread(target=up, daemon=True)
    thread.start()
    with suppress(OSError, EOFError, paramiko.SSHException):
        while piece := peer.recv(65536):
            channel.sendall(piece)
    with suppress(OSError, EOFError, paramiko.SSHException):
        channel.shutdown_write()
    thread.join()
    with suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()
    peer.close()
