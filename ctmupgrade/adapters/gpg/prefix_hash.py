"""SHA-256 of a file's beginnings, so that resumed uploads compare with what a node has.

Twenty nodes were interrupted at twenty places, and the archive is read once for all of them: states of the
hash are kept on the way, and a beginning is hashed from the last state before its end.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP = 32 * 2**20  # bytes between two states that are kept; the most that is read again
_PIECE = 1 << 18


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_size, about.st_mtime_ns, about.st_ino, about.st_dev, about.st_ctime_ns)


@dataclass(slots=True)
class _Known:
    """A file as it was, and the states of its hash after 0, 1, 2, ... steps."""

    mark: tuple[int, ...]
    states: list[Any] = field(default_factory=lambda: [hashlib.sha256()])
    whole: str = ""  # where all of it was read


class Recorder:
    """A SHA-256 that leaves its states on the way, for one who reads all of a file anyway."""

    def __init__(self) -> None:
        self.states = [hashlib.sha256()]
        self._hash, self._left = hashlib.sha256(), STEP

    def update(self, data: memoryview | bytes) -> None:
        """More of the file."""
        view = memoryview(data)
        while len(view) >= self._left:
            self._hash.update(view[: self._left])
            view = view[self._left :]
            self.states.append(self._hash.copy())
            self._left = STEP
        self._hash.update(view)
        self._left -= len(view)

    def hexdigest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


class PrefixHashes:
    """Beginnings of local files. Thread-safe; a file that changed is read anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, _Known] = {}
        self.bytes_read = 0  # by this object: what others recorded is not read again

    def keep(self, path: Path, about: os.stat_result, recorder: Recorder) -> None:
        """What was recorded of a file that was ``about`` both before and after it was read."""
        with self._lock:
            self._files[path.resolve()] = _Known(_mark(about), recorder.states, recorder.hexdigest())

    def prefix(self, path: Path, length: int) -> str:
        """SHA-256 (hex) of the first ``length`` bytes, or of all where there are fewer.

        :raises OSError: it cannot be read.
        """
        return str(self._until(path, length).hexdigest())

    def rest(self, path: Path, offset: int) -> tuple[str, str]:
        """SHA-256 (hex) of the bytes from ``offset`` on, and of the whole file, of which they are the end.

        :raises OSError: it cannot be read.
        """
        with path.open("rb", buffering=0) as file:
            known, mark = self._files.get(path.resolve()), _mark(os.fstat(file.fileno()))
            recorded = known.whole if known is not None and known.mark == mark else ""
            whole, tail = None if recorded else self._until(path, offset), hashlib.sha256()
            file.seek(offset)
            while piece := file.read(_PIECE):
                self.bytes_read += len(piece)
                tail.update(piece)
                if whole is not None:
                    whole.update(piece)
            if whole is None:
                same = _mark(os.fstat(file.fileno())) == mark
                return tail.hexdigest(), recorded if same else "it changed while it was read"
        return tail.hexdigest(), str(whole.hexdigest())

    def _until(self, path: Path, length: int) -> Any:
        """The hash after the first ``length`` bytes; the caller's own."""
        # One at a time: the second to ask finds what the first has read.
        with self._lock, path.open("rb", buffering=0) as file:
            known, mark = self._files.get(path.resolve()), _mark(os.fstat(file.fileno()))
            if known is None or known.mark != mark:
                known = self._files[path.resolve()] = _Known(mark)
            step = min(length // STEP, len(known.states) - 1)
            file.seek(step * STEP)
            digest, left = known.states[step].copy(), length - step * STEP
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                self.bytes_read += len(piece)
                digest.update(piece)
                left -= len(piece)
                if (length - left) == len(known.states) * STEP:
                    known.states.append(digest.copy())
            return digest
