"""A program on a node that writes what we send it: how it is fed, acknowledges, and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

import paramiko

from ctmupgrade.adapters.ssh.channel import PACKET, Exchange, SilenceError
from ctmupgrade.adapters.ssh.connect import Link
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.node_file import NodeFile, UnusableError
from ctmupgrade.adapters.ssh.rate_limit import Limiter, take
from ctmupgrade.errors import ConnectionLostError
from ctmupgrade.ports import Sent

FOREIGN = (paramiko.SSHException, paramiko.sftp.SFTPError, OSError, EOFError)  # what paramiko raises
SILENCE = 90.0  # seconds in which the node takes nothing
_REPORT_EVERY = 64  # packets between two reports: 2 MiB


class ChannelWriter:
    """A program that writes a file on a node, on a channel of its own connection."""

    def __init__(
        self,
        link: Link,
        channel: paramiko.Channel,
        file: NodeFile,
        lost: Callable[[str], ConnectionLostError],
        limits: Sequence[Limiter],
    ) -> None:
        self._link, self._channel, self._file, self._lost, self._limits = link, channel, file, lost, limits
        self._exchange = Exchange(channel, SILENCE, keep_err=8192)

    def __enter__(self) -> ChannelWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._link.close()
        if isinstance(error, SilenceError):
            raise self._lost(f"the node took nothing for {SILENCE:g} s") from error

    def discard(self) -> None:
        """Read and forget standard output."""
        with suppress(SilenceError):
            for _ in self._exchange.pieces():
                pass

    def pour(self, data: BinaryIO, at: int, size: int) -> Iterator[Sent]:
        """Send ``data`` up to ``size``; return early where the writer stops reading. Progress is
        what the server has handed to the writer, which it tells by opening its window again."""
        window = self._channel.out_window_size
        packets = 0
        while at < size:
            piece = data.read(min(PACKET, size - at))
            if not piece:
                raise self._file.refusal("the local file became shorter", at)
            take(self._limits, len(piece))
            while piece:
                try:
                    count = self._channel.send(piece)
                except TimeoutError:
                    self._exchange.check()
                    count = 0
                    if self._channel.closed:
                        return
                except (paramiko.SSHException, OSError, EOFError):
                    return
                else:
                    if not count:
                        return
                    self._exchange.touch()
                at += count
                piece = piece[count:]
            packets += 1
            if packets % _REPORT_EVERY == 0:
                yield Sent(at - max(0, window - self._channel.out_window_size))

    def say(self, data: bytes) -> None:
        """Send a few bytes of a protocol."""
        try:
            self._channel.sendall(data)
        except FOREIGN as error:
            raise self._lost(reason(error)) from error

    def acknowledged(self) -> None:
        """Read scp's answer to what was said.

        :raises Unusable: it is not scp that answers. :raises NodeError: it says no.
        """
        answer = next(self._exchange.pieces(), b"")
        if answer[:1] == b"\0":
            return
        if not answer and not self._link.alive:
            raise self._lost(self._exchange.why_lost())
        said = (
            f"{answer[1:].decode('utf-8', 'replace')} {self._exchange.err.decode('utf-8', 'replace')}".strip()
        )
        if answer[:1] in (b"\1", b"\2"):
            raise self._file.refusal(said)
        raise UnusableError(said or "no answer")

    def finish(self, name: str) -> None:
        """End of input, and the writer's verdict."""
        self._exchange.close_stdin()
        code = self._exchange.status()
        said = self._exchange.err.decode("utf-8", "replace").strip()
        if code is None:
            raise self._lost(self._exchange.why_lost())
        if code:
            raise self._file.refusal(said or f"{name} ended with {code}")
