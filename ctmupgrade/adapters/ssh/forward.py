"""A place that a node sees, on a port of this machine's loopback for as long as one program needs it.

The host key authenticates the node, and the node connects: no TLS name is proven besides. The port is a new one each
time, takes connections of this user's own programs alone, and is gone when the program has ended.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import paramiko

from ctmupgrade.adapters.local.peers import is_ours
from ctmupgrade.errors import CtmUpgradeError, NodeError

_PIECE = 65_536
_MOST = 32  # connections at a time; ksctl makes one or two
_RESET = struct.pack(
    "ii", 1, 0
)  # SO_LINGER: a connection that broke ends with a reset and never like a whole answer
_FOREIGN = (paramiko.SSHException, OSError, EOFError)

OpenTcp = Callable[[], AbstractContextManager[paramiko.Channel]]


class Forward:
    """An open port. Counts what became of the connections.

    :ivar authority: ``127.0.0.1:PORT``, where it is.
    :ivar taken: connections that were led to the node. :ivar strangers: those of other users, which were not.
    :ivar broken: one that the SSH connection did not bear to its end.
    :ivar trouble: why a later connection was not led to the node.
    """

    def __init__(
        self, open_tcp: OpenTcp, server: socket.socket, first: ExitStack, channel: paramiko.Channel
    ) -> None:
        """:param channel: a connection that is open already, for the first that comes; ``first`` ends it."""
        self.taken, self.strangers, self.broken = 0, 0, False
        self.trouble: CtmUpgradeError | None = None
        self._open_tcp = open_tcp
        self._lock = threading.Lock()
        self._first: tuple[ExitStack, paramiko.Channel] | None = (first, channel)
        self._live: set[socket.socket] = set()
        self._closed = False
        self._server = server
        self.authority = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End the port and its connections. Never raises."""
        with self._lock:
            self._closed = True
            unused, self._first = self._first, None
            live = tuple(self._live)
        for one in (self._server, *live):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if unused:
            unused[0].close()
        for thread in self._threads:
            thread.join(2.0)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if not is_ours(client):
                self.strangers += 1
                client.close()
                continue
            with self._lock:
                refused = self._closed or len(self._live) >= _MOST
                if not refused:
                    self._live.add(client)
            if refused:
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with ExitStack() as stack:
                channel = self._channel(stack)
                self.taken += 1
                if not _carry(client, channel) and not self._closed:
                    self.broken = True
        except CtmUpgradeError as error:
            self.trouble = error
        except _FOREIGN:
            self.broken = True
        finally:
            with self._lock:
                self._live.discard(client)
            client.close()

    def _channel(self, stack: ExitStack) -> paramiko.Channel:
        with self._lock:
            first, self._first = self._first, None
        if first:
            stack.push(first[0])
            return first[1]
        return stack.enter_context(self._open_tcp())


@contextmanager
def forwarded(open_tcp: OpenTcp) -> Iterator[Forward]:
    """Give a port that leads where ``open_tcp`` does, for the time of the block.

    :raises CtmUpgradeError: what ``open_tcp`` raises, which is tried before anything is started.
    """
    with ExitStack() as stack:
        channel = stack.enter_context(open_tcp())
        server = _new_port()
        forward = Forward(open_tcp, server, stack.pop_all(), channel)
    try:
        yield forward
    finally:
        forward.close()


def _new_port() -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", 0), backlog=_MOST)
    except OSError as error:
        raise NodeError(f"no port of 127.0.0.1 can be opened for ksctl: {error.strerror or error}") from error


def _carry(client: socket.socket, channel: paramiko.Channel) -> bool:
    """Carry bytes both ways until both ends have ended. Return whether the SSH connection lasted so long."""
    up = threading.Thread(target=_upward, args=(client, channel), daemon=True)
    up.start()
    try:
        while piece := channel.recv(_PIECE):
            client.sendall(piece)
        whole = bool(channel.eof_received)
        if whole:
            client.shutdown(socket.SHUT_WR)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.shutdown(socket.SHUT_RD)  # wakes the other thread
    except OSError:  # the program has closed its end: it had what it wanted
        whole = True
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
    up.join()
    return whole


def _upward(client: socket.socket, channel: paramiko.Channel) -> None:
    with suppress(*_FOREIGN):
        while piece := client.recv(_PIECE):
            channel.sendall(piece)
    with suppress(*_FOREIGN):
        channel.shutdown_write()
