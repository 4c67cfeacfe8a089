"""Removes our private folders should we be killed: a helper (:mod:`ctmupgrade.adapters.own_program`) that outlives us.

It learns of each folder through its standard input, whose end is our end, however that comes. What we removed by then
ourselves is not there any more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress

from ctmupgrade.adapters.own_program import REMOVE_AFTER_US, helper

_lock = threading.Lock()
_started: list[subprocess.Popen[bytes]] = []  # one for a process, from its first private folder on


def remove_after_us(folder: str) -> None:
    """Have a folder removed when this process has ended. Never a reason to fail: the next process sweeps too."""
    with _lock, suppress(OSError):
        if not _started:
            _started.append(
                subprocess.Popen(
                    helper(REMOVE_AFTER_US), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/",
                    stderr=subprocess.DEVNULL, start_new_session=True, env={},
                )
            )  # fmt: skip
        pipe = _started[0].stdin
        if pipe is not None:
            os.write(pipe.fileno(), f"{_mark(folder)} ".encode() + os.fsencode(folder) + b"\0")


def remover() -> int:
    """Be that helper: read folders until the end of standard input, then remove them. Returns 0, whatever stays."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    told = b""
    while piece := os.read(0, 65_536):
        told += piece
    for line in told.split(b"\0"):
        mark, _, folder = line.partition(b" ")
        with suppress(OSError):
            if folder and _mark(os.fsdecode(folder)).encode() == mark:
                import shutil  # noqa: PLC0415 - it waits for hours, and mostly there is nothing to do at the end

                shutil.rmtree(os.fsdecode(folder), ignore_errors=True)
    return 0


def _mark(folder: str) -> str:
    """What says that a folder is still the same one."""
    about = os.lstat(folder)
    return f"{about.st_dev}:{about.st_ino}"
