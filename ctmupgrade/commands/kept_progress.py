"""Keeps beside a run's journal what its steps do, for ``status``, ``watch`` and the live page in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ctmupgrade.adapters.disk.progress_file import write_progress
from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands.wiring import whoami
from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities
from ctmupgrade.core.run.journal import Event, RunEnded, RunPaused, RunState
from ctmupgrade.core.ticks import Tick

EVERY = 1.0  # seconds between two writings, by this machine's clock


@dataclass(slots=True)
class KeptProgress:
    """A watcher that writes what it sees, at most once a second, and passes all of it on.

    :ivar clock: tells the run's time. :ivar on: the next watcher.
    """

    folder: RunFolder
    clock: Callable[[], datetime]
    window: Window
    on: Callable[[RunState, Event | None, str, Tick | None], None]
    _activities: Activities = field(init=False)
    _written: float = -EVERY
    _by: str = field(default_factory=whoami)

    def __post_init__(self) -> None:
        self._activities = Activities(self.window)

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        """Take in an event, or what a step says of itself."""
        now = self.clock()
        self._activities.take(event, key, tick, now)
        over = isinstance(event, RunPaused | RunEnded)
        if over or time.monotonic() - self._written >= EVERY:
            self._written = time.monotonic()
            write_progress(self.folder.progress, self._activities.doing(now, self._by))
        self.on(state, event, key, tick)
