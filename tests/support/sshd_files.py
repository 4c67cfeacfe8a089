"""The SFTP subsystem of the test servers: a node's virtual files."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import paramiko
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK

from ctmupgrade.sim import active_faults, files, programs
from ctmupgrade.sim.shell import SimShell
from ctmupgrade.sim.state import File

if TYPE_CHECKING:
    from typing_extensions import Buffer


class SftpFiles(paramiko.SFTPServerInterface):
    """Answers for one connection."""

    def __init__(self, server: paramiko.ServerInterface, shell: SimShell, lock: threading.RLock) -> None:
        super().__init__(server)
        self.shell, self.lock = shell, lock

    def data(self, path: str) -> bytes | None:
        """A file's bytes; None where it is not there."""
        file = programs.find(self.shell.node, path)
        return None if file is None else files.content(self.shell.world, self.shell.node, file) or b""

    def save(self, path: str, data: bytes) -> int:
        """Stores it; FAILURE, without a word why, where the disk does not take it."""
        world, node = self.shell.world, self.shell.node
        if active_faults.lasting(world, "disk_full", node.name) or active_faults.lasting(
            world, "read_only", node.name
        ):
            return SFTP_FAILURE
        try:
            files.store(node, path, File(len(data), data=data), world.now)
        except files.NoSpaceError:
            return SFTP_FAILURE
        return SFTP_OK

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        with self.lock:
            old = self.data(path)
            if old is None and not flags & os.O_CREAT:
                return SFTP_NO_SUCH_FILE
            if flags & (os.O_WRONLY | os.O_RDWR):
                self.shell.world.record(self.shell.name, "change", f"sftp open {path}")
                failed = self.save(path, b"" if flags & os.O_TRUNC or old is None else old)
                if failed != SFTP_OK:
                    return failed
            return OpenFile(self, path, flags)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        with self.lock:
            data = self.data(path)
        if data is None:
            return SFTP_NO_SUCH_FILE
        attributes = paramiko.SFTPAttributes()
        attributes.st_size, attributes.st_mode = len(data), 0o100644
        return attributes

    lstat = stat

    def remove(self, path: str) -> int:
        with self.lock:
            files.store(self.shell.node, path, None, self.shell.world.now)
        return SFTP_OK

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        with self.lock:
            data = self.data(path)
            if data is None:
                return SFTP_NO_SUCH_FILE
            size = len(data) if attr.st_size is None else attr.st_size
            return self.save(path, data[:size].ljust(size, b"\0"))

    def canonicalize(self, path: str) -> str:
        return files.absolute(path)


class OpenFile(paramiko.SFTPHandle):
    """An open file; written bytes are kept at once, as a disk would."""

    def __init__(self, owner: SftpFiles, path: str, flags: int) -> None:
        super().__init__(flags)
        self.owner, self.path = owner, path
        self.buffer = bytearray(owner.data(path) or b"")
        self.dirty = 0

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.buffer[offset : offset + length])

    def write(self, offset: int, data: Buffer) -> int:
        piece = bytes(data)
        self.buffer[len(self.buffer) :] = b"\0" * max(0, offset - len(self.buffer))
        self.buffer[offset : offset + len(piece)] = piece
        self.dirty += len(piece)
        return self._flush() if self.dirty > 2**20 else SFTP_OK

    def stat(self) -> paramiko.SFTPAttributes | int:
        attributes = paramiko.SFTPAttributes()
        attributes.st_size, attributes.st_mode = len(self.buffer), 0o100644
        return attributes

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        if attr.st_size is not None:
            self.buffer = self.buffer[: attr.st_size].ljust(attr.st_size, b"\0")
        return self._flush()

    def close(self) -> None:
        if self.dirty:
            self._flush()

    def _flush(self) -> int:
        self.dirty = 0
        with self.owner.lock:
            return self.owner.save(self.path, bytes(self.buffer))
