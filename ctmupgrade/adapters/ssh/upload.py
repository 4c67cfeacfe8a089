"""Uploads: the ways of writing a file on a node, fastest first, and which one a node was found to offer."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import paramiko

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.ssh.channel import bounded, start
from ctmupgrade.adapters.ssh.channel_writer import FOREIGN, SILENCE, ChannelWriter
from ctmupgrade.adapters.ssh.connect import CHANNEL_TIMEOUT, Link, Log, Login
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.node_file import ABSENT, NodeFile, UnusableError
from ctmupgrade.adapters.ssh.openssh import send_by_child
from ctmupgrade.adapters.ssh.parallel_upload import CHUNK, FAR, send_by_ranges
from ctmupgrade.adapters.ssh.rate_limit import Limiter, take
from ctmupgrade.core.manual_commands import upload
from ctmupgrade.core.model import Node
from ctmupgrade.errors import ConnectionLostError, NodeError, UnreachableError, UsageError
from ctmupgrade.ports import Sent, Shell

__all__ = ["Limiter", "Uploads"]

_GROUP = 128  # SFTP writes under way at once: 4 MiB
_SFTP_WRITE = 32_768


@dataclass(frozen=True, slots=True)
class _Job:
    source: OpenFile
    file: NodeFile
    offset: int
    size: int


class Uploads:
    """One node's uploads. The way that worked is tried first the next time."""

    def __init__(
        self,
        shell: Shell,
        node: Node,
        *,
        dial: Callable[[], Link],
        logins: Callable[[], Sequence[Login]],
        away: Callable[[], float],
        log: Log,
        limits: Sequence[Limiter],
        opened: Callable[[Path], OpenFile] = OpenFile.at,
    ) -> None:
        """:param dial: a new connection of its own. :param logins: how the node was entered.
        :param away: seconds of a round trip. :param opened: how the file of a path is opened, once for an upload.
        """
        self._shell = shell
        self._node = node
        self._place = node.name
        self._dial = dial
        self._logins = logins
        self._away = away
        self._log = log
        self._limits = limits
        self._opened = opened
        self._ways: list[tuple[str, Callable[[_Job], Iterator[Sent]]]] = [
            ("several connections", self._by_ranges),
            ("the ssh program", self._by_child),
            ("an SSH channel", self._by_exec),
            ("SFTP", self._by_sftp),
            ("scp", self._by_scp),
        ]
        self._chosen = ""

    def send(self, source: Path, target: str, offset: int) -> Iterator[Sent]:
        """See :meth:`ctmupgrade.ports.Shell.upload`."""
        try:
            file = self._opened(source)
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}") from error
        with file:
            yield from self._begun(file, target, offset)

    def _begun(self, source: OpenFile, target: str, offset: int) -> Iterator[Sent]:
        size = source.size
        if offset > size:
            raise UsageError(f"{source.name} has only {size} bytes, the upload should go on at {offset}")
        file = NodeFile(self._shell, self._place, target)
        have = file.size() if offset else None
        if have is not None and have < offset:
            # Writing behind the end would leave a hole that has the right size.
            have = max(have, 0)
            raise NodeError(
                f"{self._place}: {target} has only {have} bytes, the upload should go on at {offset}",
                remedy="Start again from what is there.",
            )
        yield Sent(offset)
        yield from self._send(_Job(source, file, offset, size))

    def _send(self, job: _Job) -> Iterator[Sent]:
        refused = []
        for name, way in sorted(self._ways, key=lambda pair: pair[0] != self._chosen):
            highest = job.offset
            try:
                for sent in way(job):
                    highest = max(highest, sent.done)
                    yield Sent(highest)
            except UnusableError as why:
                refused.append(f"{name}: {why}")
                self._log(f"{self._place}: no upload by {name}: {why}")
                continue
            self._verify(job)
            if self._chosen != name:
                self._log(f"{self._place}: uploads go by {name}")
            self._chosen = name
            yield Sent(job.size, way=name)
            return
        raise NodeError(
            f"{self._place}: the node has no way to write {job.file.target}",
            details="\n".join(refused),
            remedy=f"Copy it by hand, then run the same command again:\n  {upload(self._node, str(job.source.name))}",
        )

    def _verify(self, job: _Job) -> None:
        try:
            have = job.file.size()
        except UnreachableError as error:
            raise self._lost(job, str(error)) from error
        if have not in (None, job.size):
            what = "is not there" if have == ABSENT else f"has {have} bytes"
            raise job.file.refusal(f"sent {job.size} bytes, but the file {what}")

    def _lost(self, job: _Job, why: str) -> ConnectionLostError:
        return ConnectionLostError(
            f"{self._place}: the connection was lost while {job.file.target} was uploaded: {why}",
            remedy="The node keeps what it has of it: run the command again, it continues from there.",
        )

    # -- ways ------------------------------------------------------------------------------------

    def _by_ranges(self, job: _Job) -> Iterator[Sent]:
        if job.size - job.offset < 2 * CHUNK:
            raise UnusableError("too small for it")
        try:
            away = self._away()
        except NodeError as error:
            raise UnusableError(str(error)) from error
        if away < FAR:
            raise UnusableError(f"{away * 1000:.0f} ms away: one connection fills the line")
        yield from send_by_ranges(
            job.file,
            dial=self._dial,
            source=job.source,
            offset=job.offset,
            size=job.size,
            limits=self._limits,
        )

    def _by_child(self, job: _Job) -> Iterator[Sent]:
        writer = job.file.prepare(job.offset)
        logins = self._logins()
        yield from send_by_child(
            job.file, writer, source=job.source, size=job.size, logins=logins, limits=self._limits
        )

    def _by_exec(self, job: _Job) -> Iterator[Sent]:
        writer = job.file.prepare(job.offset)
        with self._on_channel(job, shlex.join(writer.argv)) as run:
            # tee says back everything it gets.
            threading.Thread(target=run.discard, daemon=True).start()
            with job.source.reader() as data:
                data.seek(writer.start)
                yield from run.pour(data, writer.start, job.size)
            run.finish(writer.argv[0])

    def _by_scp(self, job: _Job) -> Iterator[Sent]:
        name = Path(job.file.target).name
        with self._on_channel(job, shlex.join(("scp", "-t", "--", job.file.target))) as run:
            try:
                run.acknowledged()
            except (UnusableError, NodeError) as error:
                raise UnusableError(str(error)) from error
            run.say(f"C0644 {job.size} {name}\n".encode())
            run.acknowledged()
            with job.source.reader() as data:
                for sent in run.pour(data, 0, job.size):
                    yield Sent(max(job.offset, sent.done))
            run.say(b"\0")
            run.acknowledged()
            run.finish("scp")

    def _on_channel(self, job: _Job, command: str) -> ChannelWriter:
        link = self._dial()
        try:
            channel = link.transport.open_session(timeout=CHANNEL_TIMEOUT)
            start(channel, self._place, command)
        except NodeError as error:
            link.close()
            raise UnusableError(str(error)) from error
        except FOREIGN as error:
            link.close()
            raise UnreachableError(f"{self._place}: no session for the upload: {reason(error)}") from error
        except BaseException:
            link.close()
            raise
        return ChannelWriter(link, channel, job.file, partial(self._lost, job), self._limits)

    def _by_sftp(self, job: _Job) -> Iterator[Sent]:
        link = self._dial()
        safe = job.offset
        try:
            sftp = self._sftp(link)
            try:
                with sftp.open(job.file.target, "r+b" if job.offset else "wb") as remote:
                    remote.truncate(job.offset)
                    remote.seek(job.offset)
                    with job.source.reader() as data:
                        data.seek(job.offset)
                        for safe in self._groups(data, remote, job.offset, job.size):
                            yield Sent(safe)
            except FOREIGN as error:
                if not link.alive or isinstance(error, (TimeoutError, EOFError, paramiko.SSHException)):
                    raise self._lost(job, reason(error)) from error
                said = "Permission denied" if isinstance(error, PermissionError) else reason(error)
                refused = job.file.refusal(said, safe)  # asks df, while the disk is still full
                # Writes under way have left holes behind the first failure.
                with suppress(*FOREIGN):
                    sftp.truncate(job.file.target, safe)
                raise refused from error
        finally:
            link.close()

    def _sftp(self, link: Link) -> paramiko.SFTPClient:
        try:
            with bounded(link.transport):
                sftp = paramiko.SFTPClient.from_transport(link.transport)
        except FOREIGN as error:
            raise UnusableError(f"no SFTP: {reason(error)}") from error
        channel = sftp.get_channel() if sftp else None
        if sftp is None or channel is None:
            raise UnusableError("no SFTP")
        channel.settimeout(SILENCE)
        return sftp

    def _groups(self, data: BinaryIO, remote: paramiko.SFTPFile, at: int, size: int) -> Iterator[int]:
        """Writes in groups; yields where each ends, when the node has confirmed all of it."""
        while at < size:
            for number in range(_GROUP):
                piece = data.read(min(_SFTP_WRITE, size - at))
                if not piece:
                    raise OSError("the local file became shorter")
                take(self._limits, len(piece))
                at += len(piece)
                last = number == _GROUP - 1 or at == size
                # paramiko forgets the failures of pipelined writes when the file is closed; a write
                # that is not pipelined hears all answers that are due.
                remote.set_pipelined(not last)
                remote.write(piece)
                if last:
                    break
            yield at
