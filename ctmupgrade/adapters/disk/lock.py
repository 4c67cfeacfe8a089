"""The lock that makes one run its cluster's only writer."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ctmupgrade.adapters.disk.bounded_file import read_text_bounded
from ctmupgrade.adapters.disk.durable import failed, make_dirs
from ctmupgrade.adapters.disk.ownership import open_ours, refuse_foreign
from ctmupgrade.core.json_text import read_json
from ctmupgrade.errors import UNFORESEEN, LockedError


class ClusterLock:
    """One run per cluster, by ``flock``: the kernel drops it with the process, however that ends."""

    def __init__(self, path: Path, what: str = "the cluster", more: str = "") -> None:
        """:param what: is locked. :param more: what else can be done by whom it keeps out."""
        self.path, self._what, self._more = path, what, more
        self._fd = -1

    def acquire(self, info: Mapping[str, str]) -> Self:
        """Take the lock without waiting for its holder. ``info`` (``run``, ...) is what others are told;
        ``by``, ``host``, ``pid`` and ``since`` are added. ``with lock.acquire(...):`` releases it.

        :raises LockedError: somebody holds it; who, for which run and since when.
        :raises JournalError: the lock file cannot be made or locked at all.
        :raises ForeignStateError: the folder or the file is not ours alone.
        """
        who = {
            "by": f"{_user()}@{socket.gethostname()}",
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
        }
        text = json.dumps({**who, "since": datetime.now(UTC).isoformat(timespec="seconds"), **info})
        try:
            make_dirs(self.path.parent)
            refuse_foreign(*self.path.parents[:2])
            self._fd = self._take()
            os.ftruncate(self._fd, 0)  # at once: a dead holder's text must not be taken for ours
            os.pwrite(self._fd, text.encode(), 0)
            os.fsync(self._fd)
        except OSError as error:
            self.release()
            raise failed(self.path, "the lock cannot be taken", error) from error
        return self

    def _take(self) -> int:
        while True:
            fd = open_ours(self.path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise self._held() from None
            except BaseException:
                os.close(fd)
                raise
            if self._same(fd):
                return fd
            os.close(fd)  # deleted between open and flock: we hold a file nobody can find

    def _same(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))  # noqa: PTH116
        except FileNotFoundError:
            return False

    def _held(self) -> LockedError:
        info: dict[str, str] = {}
        for _ in range(10):  # the holder may not have written yet; what stands there is then a dead one's
            with suppress(OSError, *UNFORESEEN):
                found = read_json(read_text_bounded(self.path))
                info = {str(key): str(value) for key, value in found.items()}
                if info.get("host") != socket.gethostname() or _alive(info.get("pid", "")):
                    break
            time.sleep(0.05)
        who = f"{info.get('by', 'unknown')} (pid {info.get('pid', '?')})"
        run = f"run {info.get('run', 'unknown')}, since {info.get('since', 'unknown')}"
        return LockedError(f"{self._what} is locked by {who}, {run}", details=f"lock file: {self.path}",
                           remedy=f"ctmupgrade watch   # shows that run\nctmupgrade pause   # stops it; or: ctmupgrade abort{self._more}")  # fmt: skip

    @property
    def intact(self) -> bool:
        """Return whether it is held, and its file is still the one others would lock. False once somebody deleted it."""
        return self._fd >= 0 and self._same(self._fd)

    def release(self) -> None:
        """Give the lock back; the (empty) file stays, as deleting it would race. May be called twice."""
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
