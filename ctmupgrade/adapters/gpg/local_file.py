"""Files of this machine, opened once: what is not a file is refused, and a change is noticed."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from ctmupgrade.errors import SignatureError, UsageError


def open_file(path: Path, what: str) -> tuple[Path, int]:
    """Open a regular file for reading; return its real path and the descriptor, which is the caller's.

    :param what: what it is to the user, at the beginning of the message: ``keyring x``.
    :raises UsageError: it cannot be read, or is a folder, a pipe or a device.
    """
    try:
        real = path.expanduser().resolve(strict=True)
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not block us
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{what} cannot be read: {why}", remedy=f"ls -l {shlex.quote(str(path))}") from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return real, fd
    os.close(fd)
    raise UsageError(
        f"{what} is not a file", remedy=f"ls -l {shlex.quote(str(path))}   # give the path of the file itself"
    )


def mark(about: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written to or replaced: size, times, inode and device."""
    return (about.st_size, about.st_mtime_ns, about.st_ino, about.st_dev, about.st_ctime_ns)


def refuse_changed(path: Path, fd: int, before: os.stat_result) -> None:
    """Refuse a changed file. :raises SignatureError: the open file was written to, or another one has its name now."""
    try:
        same = mark(before) == mark(os.fstat(fd)) == mark(path.stat())
    except OSError:
        same = False
    if not same:
        raise SignatureError(
            f"{path} was changed or replaced while it was read",
            remedy="wait until nothing writes it (lsof), then try again",
        )
