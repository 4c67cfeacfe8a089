"""Temporary folders that nobody else can read, and that do not outlive their maker for long.

A ``kill -9`` leaves the folder: a login file of a join may lie in it. A helper that outlives its maker therefore removes it
(:mod:`.remover`). That may be killed too: each folder is locked for as long as its process lives (the kernel drops the lock
with it, however it ends), and the next process that makes one removes those of its user that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctmupgrade.adapters.disk.remover import remove_after_us

PREFIX = "ctmupgrade-private-"
_LONGEST = 50  # gpg makes sockets below, whose paths are limited to about 100 bytes

_sweep = threading.Lock()
_swept: set[Path] = set()  # each place once in a process: who was killed meanwhile is the next one's to find


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a new folder, for its owner only (mode 0700), that is gone with its content after the block."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST:
        base = Path("/tmp")  # noqa: S108
    with _sweep:
        if base not in _swept:
            _swept.add(base)
            _remove_abandoned(base)
    folder, lock = _locked_new(base)
    remove_after_us(str(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_new(base: Path) -> tuple[Path, int]:
    """A folder and the descriptor that holds its lock; another one where a sweep came between the two."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with suppress(OSError):  # no locks on this file system: nobody can sweep it either
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(folder, lock):
                return folder, lock
            os.close(lock)


def _is(folder: Path, lock: int) -> bool:
    try:
        return os.path.samestat(os.lstat(folder), os.fstat(lock))
    except FileNotFoundError:
        return False


def _remove_abandoned(base: Path) -> None:
    """Removes this user's folders whose process has died. Never a reason to fail: what stays is tried again."""
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
