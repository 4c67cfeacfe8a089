"""SHA-256 of a file's beginnings, so that resumed uploads compare with what a node has.

Twenty nodes were interrupted at twenty places, and the archive is read once for all of them: states of the
hash are kept on the way, and a beginning is hashed from the last state before its end.

A file that was verified is kept open, and what is hashed later is read from there: its name may lead to another
file by then, and back again a moment later, as often as somebody renames a folder above it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.gpg.local_file import mark
from ctmupgrade.errors import NodeError

STEP = 32 * 2**20  # bytes between two states that are kept; the most that is read again
_PIECE = 1 << 18


@dataclass(slots=True)
class _Known:
    """A file as it was, and the states of its hash after 0, 1, 2, ... steps.

    :ivar fd: of the verified file; None where it was not verified, or not here.
    """

    mark: tuple[int, ...]
    states: list[Any] = field(default_factory=lambda: [hashlib.sha256()])
    whole: str = ""  # where all of it was read
    fd: int | None = None


class Recorder:
    """A SHA-256 that leaves its states on the way, for one who reads all of a file anyway."""

    def __init__(self) -> None:
        self.states = [hashlib.sha256()]
        self._hash, self._left = hashlib.sha256(), STEP

    def update(self, data: memoryview | bytes) -> None:
        """Take more of the file."""
        view = memoryview(data)
        while len(view) >= self._left:
            self._hash.update(view[: self._left])
            view = view[self._left :]
            self.states.append(self._hash.copy())
            self._left = STEP
        self._hash.update(view)
        self._left -= len(view)

    def hexdigest(self) -> str:
        """Return the hash of all so far."""
        return self._hash.hexdigest()


class PrefixHashes:
    """Beginnings of local files. Thread-safe; a file that changed is read again, a verified one refused."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._files: dict[Path, _Known] = {}
        self.bytes_read = 0  # by this object: what others recorded is not read again

    def keep(self, path: Path, about: os.stat_result, recorder: Recorder, fd: int | None = None) -> None:
        """Remember what was recorded of a file that was ``about`` both before and after it was read.

        :param fd: of the file, where it was verified; it stays the caller's.
        """
        with self._lock:
            self._forget(path.resolve())
            held = None if fd is None else os.dup(fd)
            self._files[path.resolve()] = _Known(mark(about), recorder.states, recorder.hexdigest(), held)

    def close(self) -> None:
        """Let go of the verified files."""
        with self._lock:
            for path in list(self._files):
                self._forget(path)

    def _forget(self, path: Path) -> None:
        known = self._files.pop(path, None)
        if known is not None and known.fd is not None:
            os.close(known.fd)

    def opened(self, path: Path) -> OpenFile:
        """Return the file that was verified under this name in this process, opened then; what has its name now is not
        looked at. The caller closes it.

        :raises NodeError: none was, or it was written to since.
        """
        with self._lock:
            known = self._files.get(path.resolve())
            if known is None or known.fd is None:
                raise NodeError(
                    f"{path} was not verified by this process, so it is not uploaded",
                    remedy="ctmupgrade resume",
                )
            if mark(os.fstat(known.fd)) != known.mark:
                raise _changed(path)
            return OpenFile(os.dup(known.fd), path)

    def prefix(self, path: Path, length: int) -> str:
        """Return the SHA-256 (hex) of the first ``length`` bytes, or of all where there are fewer.

        :raises OSError: it cannot be read. :raises NodeError: it is not the file any more that was verified.
        """
        with self._open(path) as (fd, known):
            return str(self._until(fd, known, length).hexdigest())

    def rest(self, path: Path, offset: int) -> tuple[str, str]:
        """Return the SHA-256 (hex) of the bytes from ``offset`` on, and of the whole file that they end.

        :raises OSError: it cannot be read. :raises NodeError: it is not the file any more that was verified.
        """
        with self._open(path) as (fd, known):
            recorded, tail = known.whole, hashlib.sha256()
            whole = None if recorded else self._until(fd, known, offset)
            for piece in self._pieces(fd, offset, os.fstat(fd).st_size - offset):
                tail.update(piece)
                if whole is not None:
                    whole.update(piece)
            if whole is None:
                same = mark(os.fstat(fd)) == known.mark
                return tail.hexdigest(), recorded if same else "it changed while it was read"
        return tail.hexdigest(), str(whole.hexdigest())

    @contextmanager
    def _open(self, path: Path) -> Iterator[tuple[int, _Known]]:
        """The file, and what is known of it as it is now."""
        key = path.resolve()
        with self._lock:
            known = self._files.get(key)
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                now = mark(os.fstat(fd))
                if known is not None and known.fd is not None:
                    if not known.mark == now == mark(os.fstat(known.fd)):
                        raise _changed(path)
                    os.dup2(known.fd, fd, inheritable=False)
                elif known is None or known.mark != now:
                    known = self._files[key] = _Known(now)
            except BaseException:
                os.close(fd)
                raise
        try:
            yield fd, known
        finally:
            os.close(fd)

    def _until(self, fd: int, known: _Known, length: int) -> Any:
        """The hash after the first ``length`` bytes; the caller's own."""
        # One at a time: the second to ask finds what the first has read.
        with self._lock:
            step = min(length // STEP, len(known.states) - 1)
            at, digest = step * STEP, known.states[step].copy()
            for piece in self._pieces(fd, at, length - at):
                digest.update(piece)
                at += len(piece)
                if at == len(known.states) * STEP:
                    known.states.append(digest.copy())
            return digest

    def _pieces(self, fd: int, at: int, left: int) -> Iterator[bytes]:
        while left > 0 and (piece := os.pread(fd, min(left, _PIECE), at)):
            self.bytes_read += len(piece)
            at, left = at + len(piece), left - len(piece)
            yield piece


def _changed(path: Path) -> NodeError:
    return NodeError(
        f"{path} has changed since it was verified",
        remedy="find out who writes to it; then put the verified file back, or abort the run and begin a new one",
    )
