"""This machine's own shell (``host: local``: ctmupgrade runs on the appliance itself)."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.local.answers import CANNOT, answer_for, processes
from ctmupgrade.adapters.local.held_terminal import HeldTerminal
from ctmupgrade.adapters.local.ksctl import KsctlControl
from ctmupgrade.adapters.local.process import StoppedError, login_environ, started
from ctmupgrade.core.model import Node
from ctmupgrade.errors import ConnectionLostError, NodeError, SilentError, TooMuchError, UsageError
from ctmupgrade.ports import MOST_ANSWER, Reply, Sent, most_time

__all__ = ["KsctlControl", "LocalShell", "disk_free", "processes"]

_SAID = 256 * 1024  # bytes of what a stream says besides that are kept
_BLOCK = 1 << 20
_SYNC_EVERY = 64  # blocks: 64 MiB


def disk_free(path: Path) -> int:
    """Return bytes an ordinary account can still write where ``path`` is, or would be.

    :raises NodeError: neither it nor a folder above it can be looked at.
    """
    for place in (path, *path.parents):
        with suppress(OSError):
            return int(psutil.disk_usage(str(place)).free)
    raise NodeError(f"the free space at {path} is not known")


class LocalShell:
    """Implements :class:`ctmupgrade.ports.Shell` on this machine. Commands run in the home folder,
    as they would over SSH. Thread-safe."""

    def __init__(
        self,
        node: Node,
        *,
        log: Callable[[str], None] | None = None,
        opened: Callable[[Path], OpenFile] = OpenFile.at,
    ) -> None:
        """:param log: gets a line for what is worth knowing. :param opened: how a file to be copied is opened."""
        self._opened = opened
        self._place = f"{node.name} (this machine)"
        self._log: Callable[[str], None] = log or (lambda _line: None)
        try:
            self._home = Path.home()
        except RuntimeError:  # a user without a name has none; a login starts in / then
            self._home = Path("/")

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`; a program that is missing replies 127. What this machine tells
        without a program is not asked of one.

        :raises ConnectionLostError: it was silent for ``timeout`` seconds, or killed by a signal.
        :raises TooMuchError: its answer has no end.
        """
        with suppress(*CANNOT):
            if (known := answer_for(argv, self._home)) is not None:
                return Reply(0, known, "")
        try:
            return self._run(argv, timeout, b"", spare=False)
        except StoppedError as why:
            if why.endless:
                what = shlex.join(argv)[:200]
                raise TooMuchError(f"{self._place}: no end of the answer to {what}: {why.endless}") from None
            raise self._lost(argv, f"silence for {timeout:g} s", SilentError) from None

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Shell.change`; it goes on when we are interrupted."""
        try:
            return self._run(argv, timeout, stdin or b"", spare=True)
        except StoppedError as why:
            raise self._lost(argv, why.endless or f"silence for {timeout:g} s") from None

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`.

        :raises NodeError: it ended with another status than 0, or cannot be started.
        """
        said = bytearray()
        try:
            with started(argv, environ=login_environ(), folder=self._home) as running:
                for name, piece in running.pieces(silence=timeout):
                    if name == "out":
                        yield piece
                    else:
                        said = (said + piece)[-_SAID:]
                code = running.process.returncode
        except OSError as error:
            raise NodeError(f"{self._place}: {argv[0]} cannot be started: {error.strerror}") from error
        except StoppedError:
            raise self._lost(argv, f"silence for {timeout:g} s") from None
        if code < 0:
            raise self._lost(argv, f"killed by signal {-code}")
        if code:
            text = said.decode("utf-8", "replace").strip()
            raise NodeError(f"{self._place}: {shlex.join(argv)} ended with {code}", details=text)

    def terminal(self, *argv: str) -> HeldTerminal:
        """See :meth:`ctmupgrade.ports.Shell.terminal`. It outlives us, and what runs there too.

        :raises NodeError: there is no pseudo-terminal, or it cannot be held.
        """
        if sys.platform == "win32":
            raise NodeError(f"{self._place}: no pseudo-terminals on Windows")
        try:
            return HeldTerminal(argv, environ=login_environ(), folder=self._home)
        except OSError as error:
            raise NodeError(f"{self._place}: no terminal for {argv[0]}: {error.strerror}") from error

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """See :meth:`ctmupgrade.ports.Shell.upload`: a copy, on the disk before it ends.

        Where ``target`` is ``source`` itself nothing is copied.

        :raises UsageError: ``source`` cannot be read.
        :raises NodeError: ``target`` cannot be written.
        """
        try:
            file = self._opened(source)
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}") from error
        with file:
            yield from self._copied(file, self._home / target, offset)

    def _copied(self, source: OpenFile, path: Path, offset: int) -> Iterator[Sent]:
        if path.exists() and source.is_at(path):
            yield Sent(source.size)
            return
        if offset > (path.stat().st_size if path.exists() else 0):
            raise NodeError(f"{self._place}: {path} is shorter than {offset} bytes, where to go on")
        try:
            yield from _copy(source, path, offset)
        except OSError as error:
            free = f"{disk_free(path)} bytes are free there"
            brief = f"{self._place}: {path} cannot be written: {error.strerror}"
            raise NodeError(
                brief,
                details=free,
                remedy=f"df -h {shlex.quote(str(path.parent))}; ls -ld {shlex.quote(str(path.parent))}",
            ) from error

    def disconnect(self) -> None:
        """Do nothing: there is nothing to drop."""

    def _run(self, argv: tuple[str, ...], timeout: float, stdin: bytes, *, spare: bool) -> Reply:
        heard = {"out": bytearray(), "err": bytearray()}
        try:
            total = None if stdin else most_time(timeout)
            with started(
                argv, environ=login_environ(), folder=self._home, stdin=stdin, spare=spare
            ) as running:
                for name, piece in running.pieces(silence=timeout, total=total, most=MOST_ANSWER):
                    heard[name] += piece
                code = running.process.returncode
        except FileNotFoundError:
            return Reply(127, "", f"{argv[0]}: command not found")
        except OSError as error:
            return Reply(126, "", f"{argv[0]}: {error.strerror}")
        if code < 0:
            raise self._lost(argv, f"killed by signal {-code}")
        out, err = (bytes(heard[name]).decode("utf-8", "replace") for name in ("out", "err"))
        return Reply(code, out, err)

    def _lost(
        self, argv: tuple[str, ...], why: str, kind: type[ConnectionLostError] = ConnectionLostError
    ) -> ConnectionLostError:
        return kind(
            f"{self._place}: no whole answer from a command: {why}",
            details=f"command: {shlex.join(argv)[:200]}",
            remedy="It may have done its work: check before you repeat it.",
        )


def _copy(source: OpenFile, path: Path, offset: int) -> Iterator[Sent]:
    with source.reader() as data, path.open("r+b" if offset else "wb", buffering=0) as copy:
        copy.truncate(offset)
        data.seek(offset)
        copy.seek(offset)
        done, blocks = offset, 0
        yield Sent(done)
        while piece := data.read(_BLOCK):
            view = memoryview(piece)
            while view:
                view = view[copy.write(view) :]
            done += len(piece)
            blocks += 1
            if blocks % _SYNC_EVERY == 0:
                os.fsync(copy.fileno())  # otherwise the last one waits for gigabytes, silently
            yield Sent(done)
        os.fsync(copy.fileno())
