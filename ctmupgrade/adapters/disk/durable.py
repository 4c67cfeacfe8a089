"""Files and folders that are on disk before a call returns, and the error for a disk that does not take them."""

from __future__ import annotations

import errno
import os
import shlex
from contextlib import suppress
from pathlib import Path

from ctmupgrade.errors import JournalError

_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = "make space (df {0}), then: ctmupgrade resume"
_SICK = "look at the file system of {0} (dmesg, mount), then: ctmupgrade resume"


# What file systems say that cannot sync a folder (CIFS, some of FUSE): they have nothing to be lost there, or no way
# to keep it.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)


def sync_dir(path: Path) -> None:
    """Put a folder's entries on disk, where the file system can. :raises OSError: the disk does not take them."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(fd)


def make_dirs(path: Path) -> None:
    """Make ``path`` and its missing parents, 0700 each, durable. (``mkdir -p``'s mode is the last one's only.)"""
    if path.is_dir():
        return
    make_dirs(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    sync_dir(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a new 0600 file with ``data``, on disk before this returns. :raises FileExistsError: it is there."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    sync_dir(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data`` to the descriptor, however few bytes the system takes at a time."""
    while data:
        data = data[os.write(fd, data) :]


def failed(path: Path, doing: str, error: OSError) -> JournalError:
    """Return the error of this program for the disk's: a full disk, or a sick one, each with its remedy."""
    remedy = (_FULL if error.errno in _SPACE else _SICK).format(shlex.quote(str(path.parent)))
    return JournalError(f"{path}: {doing}: {error.strerror}", details=repr(error), remedy=remedy)
