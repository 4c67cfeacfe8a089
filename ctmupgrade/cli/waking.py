"""Ctrl-C and its like are dealt with at once, whichever thread takes them and whatever this process waits for.

Python deals with a signal in the main thread, and only while that one runs. A wait without end (for a node's answer, for
gpg) is ended by a signal that the main thread itself takes during the wait: not by one that another thread takes, nor
by one of the moment before the wait begins, which a busy machine makes long.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

NUDGE = signal.SIGURG  # nobody else sends it, and a program that does not know it ignores it
_EVERY = 0.1  # seconds
_LOST = 0  # no signal has this number


_wakers: list[_Waker] = []  # one for the process


class _Waker:
    """A thread that interrupts the main thread's wait after each signal, until its handler has run.

    The nudge's handler runs after those of all signals that came before: they are looked at in the order of their numbers,
    and SIGURG's is higher than those of SIGINT, SIGTERM and SIGHUP.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._main = threading.main_thread().ident or 0
        self._dealt = 0  # runs of the nudge's handler; a lock in it could be taken twice by one thread

    def start(self) -> None:
        """Begin. :raises RuntimeError: there is no thread left for it. :raises ValueError: not the main thread."""
        signal.signal(NUDGE, self._nudged)
        threading.Thread(target=self._go_on, name="waker", daemon=True).start()
        signal.set_wakeup_fd(
            self._writer, warn_on_full_buffer=False
        )  # from here on somebody reads what it tells
        sys.unraisablehook = self._unraisable

    def _nudged(self, _number: int, _frame: FrameType | None) -> None:
        self._dealt += 1

    def _go_on(self) -> None:
        last = signal.SIGINT
        while came := os.read(self._reader, 4096):
            if numbers := [number for number in came if number not in (NUDGE, _LOST)]:
                last = signal.Signals(numbers[-1])
                self._wake()
            if _LOST in came:
                time.sleep(_EVERY)  # what lost it is over by then
                os.kill(os.getpid(), last)

    def _wake(self) -> None:
        """Twice: a look at the signals that had begun before this one came may pass it over."""
        for _ in range(2):
            before = self._dealt
            while self._dealt == before:
                signal.pthread_kill(self._main, NUDGE)
                time.sleep(_EVERY)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Ctrl-C that came while an object was cleared away has nobody to go to: it comes again."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            with suppress(OSError):
                os.write(self._writer, bytes([_LOST]))
        else:
            sys.__unraisablehook__(lost)


def wake_for_signals() -> None:
    """Let no signal wait for what the main thread waits for, from now on. Again: nothing happens."""
    if _wakers:
        return
    with suppress(OSError, RuntimeError, ValueError):  # without threads a wait has no company
        waker = _Waker()
        waker.start()
        _wakers.append(waker)
