"""A local file that is open: what is read is that very file, whatever has its name by then.

Whoever may rename a folder above a file can put another one under its name and back, as often as they like. So a file
is opened once, and each further reader gets the same file from the descriptor, never from the name.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class OpenFile:
    """An open file. Its readers have places of their own; thread-safe."""

    def __init__(self, descriptor: int, name: Path) -> None:
        """:param descriptor: of the file, its own from now on. :param name: for messages."""
        self.descriptor = descriptor
        self.name = name

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open what has this name now.

        :raises OSError: it cannot be read.
        """
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)

    @property
    def size(self) -> int:
        """Return bytes that it has now."""
        return os.fstat(self.descriptor).st_size

    def is_at(self, path: Path) -> bool:
        """Return whether a path leads to this file now. :raises OSError: it leads nowhere."""
        return os.path.samestat(os.fstat(self.descriptor), path.stat())

    def reader(self, *, shared: bool = False) -> BinaryIO:
        """Return an unbuffered reader of the whole file, from its beginning on.

        :param shared: also where the system could give it a descriptor of its own: for tests.
        """
        if sys.platform == "linux" and not shared:
            try:
                return Path(f"/proc/self/fd/{self.descriptor}").open("rb", buffering=0)
            except OSError:  # no /proc, or a file of a share that is not opened again
                pass
        return cast("BinaryIO", _Positioned(os.dup(self.descriptor)))

    def close(self) -> None:
        """Let go of it; its readers stay open."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Positioned(io.RawIOBase):
    """Reads by position, because the descriptor's own place is shared. It has no descriptor to hand on."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._at = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}
        self._at = start[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        piece = os.pread(self._descriptor, len(view), self._at)
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
