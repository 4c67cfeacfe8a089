"""A file over several connections at once, each writing chunks at their places: for long fat links.

One connection carries at most the window that the server offers (2 MiB with OpenSSH) in a round trip: 40 MB/s
at 50 ms, whatever the line could do. Chunks are begun in their order, and none is begun that lies more than
:data:`AHEAD` behind the first unfinished one: so after a crash of either side holes lie in the last
:data:`AHEAD` bytes only, and what stands before them is whole.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import paramiko

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.ssh.channel import PACKET, Exchange, SilenceError, lost, start
from ctmupgrade.adapters.ssh.connect import CHANNEL_TIMEOUT, Link
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.node_file import BLOCK, NodeFile, UnusableError
from ctmupgrade.adapters.ssh.rate_limit import Limiter, take
from ctmupgrade.errors import CtmUpgradeError, HostKeyError, UnreachableError
from ctmupgrade.ports import Sent

FAR = 0.02  # seconds of a round trip, from which on one connection does not fill a gigabit
STREAMS = 4  # more were slower on two cores
CHUNK = 32 * BLOCK  # a second's worth of one connection: its two round trips of overhead are a tenth
AHEAD = STREAMS * CHUNK
_SILENCE = 90.0
_FOREIGN = (paramiko.SSHException, OSError, EOFError)


class _Work:
    """Which chunks are to be done; ``whole`` is where the bytes end that are there without a hole."""

    def __init__(self, begin: int, size: int, streams: int) -> None:
        self.whole, self.size, self.error = begin, size, None
        self._next = begin
        self._streams = streams
        self._done: set[int] = set()
        self._change = threading.Condition()

    error: BaseException | None

    def take(self) -> int | None:
        """The next chunk's place; None when there is none, or another stream failed."""
        with self._change:
            while not self.error and self._next < self.size and self._next >= self.whole + AHEAD:
                self._change.wait()
            if self.error or self._next >= self.size:
                return None
            at, self._next = self._next, self._next + CHUNK
            return at

    def finish(self, at: int) -> None:
        with self._change:
            self._done.add(at)
            while self.whole in self._done:
                self._done.remove(self.whole)
                self.whole = min(self.whole + CHUNK, self.size)
            self._change.notify_all()

    def refused(self, error: UnreachableError) -> None:
        """A stream got no connection of its own: the others do its work, where there are any."""
        with self._change:
            self._streams -= 1
            if self._streams:
                return
        self.fail(UnusableError(f"no second connection: {error.brief}"))

    def fail(self, error: BaseException) -> None:
        with self._change:
            self.error = self.error or error
            self._change.notify_all()

    def wait(self, seconds: float) -> int:
        """Until something was finished, at most ``seconds``. :returns: ``whole``."""
        with self._change:
            if not self.error and self.whole < self.size:
                self._change.wait(seconds)
            return self.whole


def send_by_ranges(
    file: NodeFile,
    *,
    dial: Callable[[], Link],
    source: OpenFile,
    offset: int,
    size: int,
    limits: Sequence[Limiter],
) -> Iterator[Sent]:
    """Send ``source`` from ``offset`` on (or a little before). Progress is what is there without a hole.

    :param dial: a new connection, for each stream one.
    :raises Unusable: the node has no ``dd``, or lets no second connection in (MaxStartups, a firewall's limit).
    :raises NodeError: it cannot write. :raises ConnectionLostError: a connection broke.
    """
    writer = file.prepare(offset)
    if writer.argv[0] != "dd":
        raise UnusableError("only dd can write at an offset")
    streams = min(STREAMS, -(-(size - writer.start) // CHUNK))
    work = _Work(writer.start, size, streams)
    threads = [
        threading.Thread(target=_stream, args=(work, file, dial, source, limits), daemon=True)
        for _ in range(streams)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads) and not work.error:
            yield Sent(work.wait(1.0))
    finally:
        if work.whole < size:
            work.fail(GeneratorExit())
        for thread in threads:
            thread.join()
    if work.error:
        raise work.error


def _stream(
    work: _Work, file: NodeFile, dial: Callable[[], Link], source: OpenFile, limits: Sequence[Limiter]
) -> None:
    try:
        try:
            link = dial()
        except HostKeyError:
            raise
        except UnreachableError as error:
            work.refused(error)
            return
        try:
            with source.reader() as data:
                while (at := work.take()) is not None:
                    _write(work, file, link, data, at, limits)
                    work.finish(at)
        finally:
            link.close()
    except BaseException as error:
        work.fail(error)


def _write(
    work: _Work, file: NodeFile, link: Link, data: BinaryIO, at: int, limits: Sequence[Limiter]
) -> None:
    command = shlex.join(("dd", f"of={file.target}", f"bs={BLOCK}", f"seek={at // BLOCK}", "conv=notrunc"))
    try:
        channel = link.transport.open_session(timeout=CHANNEL_TIMEOUT)
        start(channel, file.place, command)
        exchange = Exchange(channel, _SILENCE, keep_err=8192)
        data.seek(at)
        _pour(work, channel, exchange, data, min(CHUNK, work.size - at), limits)
        exchange.close_stdin()
        code = exchange.status()
        channel.close()
    except CtmUpgradeError:
        raise
    except (SilenceError, *_FOREIGN) as error:
        raise lost(file.place, command, reason(error)) from error
    if code is None:
        raise lost(file.place, command, exchange.why_lost())
    if code:
        raise file.refusal(
            exchange.err.decode("utf-8", "replace").strip() or f"dd ended with {code}", work.whole
        )


def _pour(
    work: _Work,
    channel: paramiko.Channel,
    exchange: Exchange,
    data: BinaryIO,
    left: int,
    limits: Sequence[Limiter],
) -> None:
    while left and not work.error:
        piece = data.read(min(PACKET, left))
        if not piece:
            raise OSError("the local file became shorter")
        take(limits, len(piece))
        left -= len(piece)
        while piece:
            try:
                count = channel.send(piece)
            except TimeoutError:
                exchange.check()
                continue
            if not count:
                return  # dd has ended: its status tells
            exchange.touch()
            piece = piece[count:]
