"""Ctrl-C and its like, for the time of a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from ctmupgrade.commands.wiring import whoami
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.errors import Interrupted


@dataclass(slots=True)
class _Signals:
    """First Ctrl-C: pause after the step in hand. Second: leave now, the appliance's work goes on."""

    asked: list[Event] = field(default_factory=list)

    def on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise Interrupted
        self.asked.append(journal.StopAsked("pause", f"{whoami()} (Ctrl-C)", here=True))

    def on_end(self, _number: int, _frame: FrameType | None) -> None:
        raise Interrupted


@contextmanager
def leaving() -> Iterator[None]:
    """Let Ctrl-C leave a run at once while it waits for an answer. Nothing is in hand then that it would cut."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted from None


@contextmanager
def attended() -> Iterator[Callable[[], list[Event]]]:
    """Signal handlers for the time of a run; a callable that tells each first Ctrl-C once."""
    if threading.current_thread() is not threading.main_thread():
        yield list
        return
    held = _Signals()
    told: list[bool] = []

    def news() -> list[Event]:
        if held.asked and not told:
            told.append(True)
            return list(held.asked)
        return []

    before = {signal.SIGINT: signal.signal(signal.SIGINT, held.on_interrupt)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked for it to be ignored
            before[number] = signal.signal(number, held.on_end)
    try:
        yield news
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
