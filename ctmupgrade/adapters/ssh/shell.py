"""A node's shell over paramiko: commands, terminals and uploads, and what became of them.

Looks and short changes share one connection. A terminal and an upload each have their own: a look that times out then never takes a
running upgrade's terminal with it."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.locks import if_soon
from ctmupgrade.adapters.ssh.channel import (
    EndlessError,
    Exchange,
    SilenceError,
    lost,
    shown,
    silent,
    start,
)
from ctmupgrade.adapters.ssh.connect import Link, Log, Login
from ctmupgrade.adapters.ssh.dialler import Dialler
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.greeting import QUESTION, Greeting
from ctmupgrade.adapters.ssh.node_file import UnusableError
from ctmupgrade.adapters.ssh.rate_limit import Limiter
from ctmupgrade.adapters.ssh.sessions import (
    FOREIGN,
    FullError,
    NobodyThereError,
    Shared,
    session_of_several,
    session_with_pty,
    tcp_from_node,
)
from ctmupgrade.adapters.ssh.terminal import SshTerminal, held_by_ssh
from ctmupgrade.adapters.ssh.upload import Uploads
from ctmupgrade.core.model import Node
from ctmupgrade.errors import (
    AuthenticationError,
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    NodeError,
    TooMuchError,
    UnreachableError,
)
from ctmupgrade.ports import MOST_ANSWER, Reply, Sent, Terminal, most_time

_Opener = Callable[[Link, str], paramiko.Channel]  # opens a channel on a connection; the node, for errors
_NOT_FOUND = 127  # the shell's exit status for a program that it does not have


class SshShell:
    """Implements :class:`ctmupgrade.ports.Shell`. Thread-safe."""

    def __init__(
        self,
        node: Node,
        *,
        log: Log | None = None,
        rate_limit: int | None = None,
        limiter: Limiter | None = None,
        opened: Callable[[Path], OpenFile] = OpenFile.at,
        withheld: Collection[str] = (),
    ) -> None:
        """:param log: gets a line for each choice made (key, way of uploading).
        :param rate_limit: bytes per second of this node's uploads; None is unlimited.
        :param limiter: a limit shared with other nodes, besides ``rate_limit``.
        :param opened: how a file to be uploaded is opened.
        :param withheld: names of variables that no program of the SSH configuration gets."""
        self._node = node
        self._log: Callable[[str], None] = log or (lambda _line: None)
        self._dial = Dialler(node, self._log, withheld).dial
        self._lock = threading.Lock()
        self._shared: Shared | None = None
        self._missing: dict[str, Reply] = {}
        self._greeting = Greeting(lambda: self._answer(QUESTION, 15.0))
        limits = [one for one in (Limiter(rate_limit) if rate_limit else None, limiter) if one]
        self._uploads = Uploads(
            self, node, dial=self._dial_beside, logins=self._logins, away=self._away, log=self._log, limits=limits,
            opened=opened,
        )  # fmt: skip

    @property
    def place(self) -> str:
        """Return the node's name with its address, for errors."""
        return f"{self._node.name} ({self._node.host}:{self._node.ssh.port})"

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`; ``timeout`` in seconds of silence.

        :raises UnreachableError: no connection (its children: host key, authentication).
        :raises ConnectionLostError: the answer did not come whole.
        :raises NodeError: the SSH server runs no commands.
        :raises TooMuchError: the answer has no end.
        """
        if argv[0] in self._missing:  # a look that polls does not ask again for what the shell has not
            return self._missing[argv[0]]
        reply = self._greeting.off(self._answer(argv, timeout), self._shared)
        if reply.code == _NOT_FOUND:
            self._missing[argv[0]] = reply
        return reply

    def _answer(self, argv: tuple[str, ...], timeout: float) -> Reply:
        try:
            return self._run(argv, timeout, b"")
        except EndlessError as why:
            words = shown(shlex.join(argv))
            raise TooMuchError(f"{self.place}: no end of the answer to {words}: {why}") from None

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Shell.change`; same errors as :meth:`read`."""
        try:
            return self._run(argv, timeout, stdin or b"")
        except EndlessError as why:
            raise self._lost(shlex.join(argv), f"its answer has no end: {why}") from None

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`; same errors as :meth:`read`."""
        command = shlex.join(argv)
        with self._translated(command), self._channel() as channel:
            start(channel, self.place, command)
            exchange = Exchange(channel, timeout, b"", keep_err=65_536)
            with self._verdict(command, timeout):
                yield from self._greeting.off_pieces(exchange.pieces())
                code = exchange.status()
            if code is None:
                raise self._lost(command, exchange.why_lost())
        if code:
            said = exchange.err.decode("utf-8", "replace").strip()
            raise NodeError(f"{self.place}: {command} ended with {code}", details=said)

    def terminal(self, *argv: str) -> Terminal:
        """See :meth:`ctmupgrade.ports.Shell.terminal`. It has a connection of its own, which outlives
        this process where an OpenSSH client is here that can hold it.

        :raises NodeError: the node refuses a pseudo-terminal.
        """
        command = shlex.join(argv)
        with self._translated(command):
            return self._terminal(command)

    def _terminal(self, command: str) -> Terminal:
        link, _ = self._with_pty()  # a client that is refused a terminal would go on without one
        link.close()
        try:
            held = held_by_ssh(link.logins, command)
        except UnusableError as error:
            why = str(error)
            self._log(f"{self._node.name}: the terminal would end with this process ({why})")
        else:
            self._log(f"{self._node.name}: the terminal is held by process {held.process.pid}")
            return held
        link, channel = self._with_pty()
        try:
            start(channel, self.place, command)
        except BaseException:
            link.close()
            raise
        return SshTerminal(link, channel, why)

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """See :meth:`ctmupgrade.ports.Shell.upload`; ``offset`` in bytes.

        :raises UsageError: ``source`` cannot be read, or is shorter than ``offset``.
        :raises NodeError: the node cannot take it.
        :raises ConnectionLostError: the link broke.
        """
        with self._translated(f"upload of {target}"):
            yield from self._uploads.send(source, target, offset)

    @contextmanager
    def tcp(self, host: str, port: int) -> Iterator[paramiko.Channel]:
        """Give a connection of the node's own to ``host:port``, as it sees them, over the connection for looks.

        :raises UnreachableError: no connection to the node, or nothing answers it there; nothing was sent.
        :raises ForwardingRefusedError: its SSH server forbids it.
        """

        def opened(link: Link, place: str) -> paramiko.Channel:
            return tcp_from_node(link, place, host, port)

        with self._translated(f"connection to port {port}"), self._channel(opened) as channel:
            yield channel

    def disconnect(self) -> None:
        """Drop the connection of looks and changes; terminals and uploads keep their own."""
        with self._lock:
            shared = self._dropped()
        if shared:
            shared.link.close()

    def abandon(self) -> None:
        """Drop the connection because all is over. One that is being made is not waited for: a silent server takes its time."""
        with if_soon(self._lock) as free:
            shared = self._dropped() if free else None
        if shared:
            shared.link.close()

    def _dropped(self) -> Shared | None:
        shared, self._shared = self._shared, None
        self._missing = {}  # an upgrade may bring programs
        return shared

    # -- one command -----------------------------------------------------------------------------

    def _run(self, argv: tuple[str, ...], timeout: float, stdin: bytes) -> Reply:
        command = shlex.join(argv)
        with self._translated(command), self._channel() as channel:
            start(channel, self.place, command)
            total = None if stdin else most_time(timeout)  # an upload may take its time
            exchange = Exchange(channel, timeout, stdin, most=MOST_ANSWER, total=total)
            with self._verdict(command, timeout):
                out = b"".join(exchange.pieces())
                code = exchange.status()
            if code is None:
                raise self._lost(command, exchange.why_lost())
        return Reply(code, out.decode("utf-8", "replace"), exchange.err.decode("utf-8", "replace"))

    @contextmanager
    def _verdict(self, command: str, timeout: float) -> Iterator[None]:
        try:
            yield
        except SilenceError:
            raise silent(self.place, command, timeout) from None

    @contextmanager
    def _translated(self, command: str) -> Iterator[None]:
        """What a library makes of a node's or the operator's surroundings is no bug of ours, whatever its class."""
        try:
            yield
        except (CtmUpgradeError, EndlessError):  # ours: who asked says what it means
            raise
        except Exception as error:
            raise self._lost(command, f"{type(error).__name__}: {reason(error)}") from error

    def _lost(self, command: str, why: str) -> ConnectionLostError:
        return lost(self.place, command, why)

    # -- connections -----------------------------------------------------------------------------

    def _dial_beside(self) -> Link:
        """A connection besides the one for looks, which gives way where the node lets no second one in."""
        try:
            return self._dial()
        except (HostKeyError, AuthenticationError):
            raise
        except UnreachableError as error:
            if not self._give_way():
                raise
            self._log(f"{error.brief}; closing the connection for probes")
        return self._dial()

    def _give_way(self) -> bool:
        with self._lock:
            shared = self._shared
            if shared is None or shared.users or not shared.link.alive:
                return False
            self._shared = None
        shared.link.close()
        return True

    def _logins(self) -> list[Login]:
        with self._lock:
            if self._shared is None or not self._shared.link.alive:
                self._shared = Shared(self._dial())
            return self._shared.link.logins

    def _away(self) -> float:
        """Seconds until the node answers to something small: the best of three, for a busy machine is not far."""
        times = []
        for _ in range(3):
            with self._lock:
                if self._shared is None or not self._shared.link.alive:
                    self._shared = Shared(self._dial())
                began = time.monotonic()
                session_of_several(self._shared.link, self.place).close()
                times.append(time.monotonic() - began)
        return min(times)

    def _with_pty(self) -> tuple[Link, paramiko.Channel]:
        link = self._dial_beside()
        try:
            channel = session_with_pty(link, self.place)
        except BaseException:
            link.close()
            raise
        return link, channel

    @contextmanager
    def _channel(self, opened: _Opener = session_of_several) -> Iterator[paramiko.Channel]:
        """A channel on the shared connection. Whatever breaks inside gives the connection up."""
        shared, channel = self._lease(opened)
        try:
            yield channel
        except (ConnectionLostError, NodeError, EndlessError):
            self._give_up(shared)
            raise
        except CtmUpgradeError:
            raise
        except Exception:
            self._give_up(shared)
            raise
        finally:
            with suppress(*FOREIGN):
                channel.close()
            with self._lock:
                shared.users -= 1
                idle = shared.users == 0 and shared is not self._shared
            if idle:
                shared.link.close()

    def _lease(self, opened: _Opener) -> tuple[Shared, paramiko.Channel]:
        # One lock over connecting and opening: paramiko keeps a refused channel's error in a single
        # place per connection, where channels opened at the same time would take each other's.
        with self._lock:
            if self._shared is None or not self._shared.link.alive:
                self._shared = Shared(self._dial())
                fresh = True
            else:
                fresh = False
            try:
                channel = opened(self._shared.link, self.place)
            except NobodyThereError:  # the connection is alive: the node has answered
                raise
            except (UnreachableError, FullError):
                # Nothing was sent. An old connection may be dead without our knowing, or full.
                old = self._shared
                self._shared = None
                if old.users == 0:
                    old.link.close()
                if fresh:
                    raise
                self._shared = Shared(self._dial())
                channel = opened(self._shared.link, self.place)
            self._shared.users += 1
            return self._shared, channel

    def _give_up(self, shared: Shared) -> None:
        with self._lock:
            if self._shared is shared:
                self._shared = None
