"""Read a file that somebody else may have written: a regular one, of a bounded size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MIB = 2**20


def read_bounded(path: Path, most: int = MIB) -> bytes:
    """Return all bytes of a file.

    :param most: bytes that it may have.
    :raises OSError: it cannot be read, is longer (EFBIG), or is no regular file (EINVAL): a pipe would be waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most} bytes", str(path))
    return data


def read_text_bounded(path: Path, most: int = MIB) -> str:
    """Return a file's text.

    :raises OSError: see :func:`read_bounded`. :raises ValueError: it is no UTF-8.
    """
    return read_bounded(path, most).decode("utf-8")
