"""One command on one SSH channel: started, heard out, and its end judged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

from ctmupgrade.adapters.ssh.connect import CHANNEL_TIMEOUT
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.errors import ConnectionLostError, NodeError, SilentError

PACKET = 32_704  # bytes; fills paramiko's largest packet exactly, other sizes cost a tenth
_TICK = 0.5  # seconds between two looks at the clock
_DYING = 1.0  # seconds in which a connection whose channel closed may say that it is dead
_CHUNK = 65_536
_FOREIGN = (paramiko.SSHException, OSError, EOFError)


class SilenceError(Exception):
    """Nothing was heard for the agreed time."""


class EndlessError(Exception):
    """More was heard, or for longer, than agreed; its text says which."""


@contextmanager
def bounded(transport: paramiko.Transport, seconds: float = CHANNEL_TIMEOUT) -> Iterator[None]:
    """End the connection when the block takes longer: some of paramiko's waits have no timeout."""
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def outlives(transport: paramiko.Transport) -> bool:
    """Return whether the connection is alive although something on it failed. A dying one closes its channels a moment
    before it says that it is dead, so this moment is waited for."""
    transport.join(_DYING)
    return bool(transport.is_active())


def start(channel: paramiko.Channel, place: str, command: str) -> None:
    """Ask the server to run ``command``.

    :raises NodeError: it answered that it does not.
    :raises ConnectionLostError: no answer; it may have started.
    """
    transport = channel.get_transport()
    try:
        # English messages where the server lets us ask for them; it need not, and does not answer.
        channel.set_environment_variable("LC_ALL", "C")
        with bounded(transport):
            channel.exec_command(command)
    except _FOREIGN as error:
        if outlives(transport):
            raise NodeError(
                f"{place}: the SSH server does not run commands",
                details=f"asked for: {shown(command)}",
                remedy="Log in by hand and check whether the account's shell is restricted.",
            ) from error
        raise lost(place, command, reason(error)) from error


def shown(command: str) -> str:
    """Return a command for an error text, cut to a readable length."""
    return command if len(command) <= 200 else f"{command[:200]}..."


def lost(place: str, command: str, why: str) -> ConnectionLostError:
    """Return the error for a command whose answer did not come whole."""
    return ConnectionLostError(
        f"{place}: the connection was lost while a command ran: {why}",
        details=f"command: {shown(command)}",
        remedy="It may have run: check the node before you repeat it.",
    )


def silent(place: str, command: str, seconds: float) -> SilentError:
    """Return the error for a command that said nothing for so long."""
    error = lost(place, command, f"silence for {seconds:g} s")
    return SilentError(error.brief, details=error.details, remedy=error.remedy)


class Exchange:
    """The traffic of a started command. Both streams are read at once: with one of them unread
    the server stops when 2 MiB are under way. SilenceError is measured over everything."""

    def __init__(
        self,
        channel: paramiko.Channel,
        timeout: float,
        stdin: bytes | None = None,
        keep_err: int | None = None,
        *,
        most: int | None = None,
        total: float | None = None,
    ) -> None:
        """:param most: bytes of each stream that end it; None is any.
        :param total: seconds in all that end it; None is any.
        :param timeout: seconds of silence that end it.
        :param stdin: sent, then closed; None leaves standard input to the caller.
        :param keep_err: bytes of standard error that are kept; None is all."""
        self.err = bytearray()
        self._channel = channel
        self._timeout = timeout
        self._keep = keep_err
        self._heard = time.monotonic()
        self._silent = False
        self._most, self._total, self._began = most, total, time.monotonic()
        self._endless = ""  # why it was too much
        self._out = 0  # bytes of standard output
        channel.settimeout(min(timeout, _TICK))
        self._threads = [threading.Thread(target=self._read_err, daemon=True)]
        if stdin is not None:
            if stdin:
                self._threads.append(threading.Thread(target=self._write, args=(stdin,), daemon=True))
            else:
                self.close_stdin()
        for thread in self._threads:
            thread.start()

    def touch(self) -> None:
        """Take in that something was heard."""
        self._heard = time.monotonic()

    def check(self) -> None:
        """Refuse silence. :raises SilenceError: for longer than agreed nothing was heard.
        :raises EndlessError: it goes on for longer than agreed, or has said more."""
        if self._total is not None and time.monotonic() - self._began >= self._total:
            self._endless = self._endless or f"it did not end within {self._total:g} s"
        if self._endless:
            raise EndlessError(self._endless)
        # Once silent, always silent: the two readers must come to the same verdict.
        self._silent = self._silent or time.monotonic() - self._heard >= self._timeout
        if self._silent:
            raise SilenceError

    def close_stdin(self) -> None:
        """End of input for the command."""
        with suppress(*_FOREIGN):
            self._channel.shutdown_write()

    def pieces(self) -> Iterator[bytes]:
        """Yield standard output as it comes, until its end (which a lost connection also looks like).

        :raises SilenceError:
        :raises EndlessError:
        """
        while piece := self._receive(self._channel.recv):
            self._out += len(piece)
            self._count(self._out)
            self.check()
            yield piece

    def _count(self, length: int) -> None:
        if self._most is not None and length > self._most:
            self._endless = f"it is longer than {self._most} bytes"

    def status(self) -> int | None:
        """Return the exit status; None when the connection or the command ended without one.

        :raises SilenceError:
        :raises EndlessError:
        """
        for thread in self._threads[:1]:
            thread.join()
        if self._endless:
            raise EndlessError(self._endless)
        # Never recv_exit_status(): it has no timeout.
        while not self._channel.status_event.wait(min(self._timeout, _TICK)):
            self.check()
        # A server may close without saying EOF first; an orderly close on a living connection says as much.
        # A dying transport closes its channels too, but has saved its reason before that.
        transport = self._channel.get_transport()
        orderly = self._channel.eof_received or (
            self._channel.closed and transport.is_active() and transport.saved_exception is None
        )
        return self._channel.exit_status if orderly and self._channel.exit_status >= 0 else None

    def why_lost(self) -> str:
        """Return why there is no exit status, in words."""
        transport = self._channel.get_transport()
        if transport.is_active():
            return "it ended without a status (killed by a signal?)"
        error = transport.saved_exception
        return reason(error) if error else "the other side closed the connection"

    def _receive(self, receive: Callable[[int], bytes]) -> bytes:
        while True:
            try:
                piece = receive(_CHUNK)
            except TimeoutError:
                self.check()
                continue
            except _FOREIGN:
                return b""  # a closed socket while we acknowledge: the status tells
            self.touch()
            return piece

    def _read_err(self) -> None:
        with suppress(SilenceError, EndlessError):  # the main thread notices it too, and raises
            while piece := self._receive(self._channel.recv_stderr):
                self.err += piece
                self._count(len(self.err))
                self.check()
                if self._keep is not None:
                    del self.err[: -self._keep]

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                sent = self._channel.send(bytes(view[:PACKET]))
            except TimeoutError:
                if self._silent or self._channel.closed:
                    return
                continue
            except _FOREIGN:
                return  # the command ended without reading everything: its status tells
            if not sent:
                return
            self.touch()
            view = view[sent:]
        self.close_stdin()
