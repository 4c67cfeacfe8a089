"""A child process that ends in time, or is ended with all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ctmupgrade.errors import UsageError


@contextmanager
def ended_in_time(name: str, limit: float, stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` when what is done inside takes longer than ``limit`` seconds, or is left by an error: Ctrl-C does
    not reach a child that is not of our terminal's group.

    :param name: of the program, for the message.
    :raises UsageError: it took longer.
    """
    overdue = threading.Event()

    def give_up() -> None:
        overdue.set()
        stop()

    timer = threading.Timer(limit, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BaseException:
        stop()
        raise
    finally:
        timer.cancel()
    if overdue.is_set():
        raise UsageError(
            f"{name} has not finished within {limit:.0f} s and was stopped",
            remedy=f"{name} --version   # must answer at once",
        )


def end_session(child: subprocess.Popen[bytes] | None) -> None:
    """End a child that leads a session of its own, with all that it has started; nothing where it has ended."""
    if child is not None and child.poll() is None:
        with suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
