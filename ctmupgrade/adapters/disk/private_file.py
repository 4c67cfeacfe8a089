"""Files that are only the caller's: mode 0600, never written through a link, whole or not at all."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_DEVICES = Path("/dev")


def write_private(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that only its owner can read, in the place of one that is there.

    A pipe or a device (``/dev/stdout``) gets the data as it is.

    :param durable: it outlives a machine that loses its power, not only this process.

    :raises OSError: it cannot be written, or ``path`` is a link: whoever made it would choose what is overwritten.
    """
    try:
        there = path.lstat()
    except FileNotFoundError:
        there = None
    in_devices = _DEVICES in path.absolute().parents
    if there is not None and stat.S_ISLNK(there.st_mode) and not in_devices:
        raise OSError(errno.ELOOP, "it is a link: name the file itself", str(path))
    if there is not None and not stat.S_ISREG(there.st_mode):
        _write_through(path, data)
        return
    replace_private(path, data, durable=durable)


def replace_private(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that only its owner can read in the place of whatever is there: a pipe is not written to, and a link
    goes.

    :param durable: as above. :raises OSError: it cannot be written; a folder is there.
    """
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, new, no link
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(part).unlink()
        raise


def _write_through(path: Path, data: bytes) -> None:
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with path.open("wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) or 0 :]


def create_private(path: Path) -> int:
    """Return a descriptor to write a new file, 0600. :raises FileExistsError: something is there, a link too."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def not_ours(folder: Path) -> str:
    """Return why others could put files into a folder or take them away, with what to do; "" where they cannot.

    :raises OSError: it cannot be looked at.
    """
    about = folder.stat()
    if about.st_uid not in (os.geteuid(), 0):
        return f"{folder} belongs to another user (uid {about.st_uid})"
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write to {folder} (mode {stat.S_IMODE(about.st_mode):04o}): chmod go-w {shlex.quote(str(folder))}"
    return ""
