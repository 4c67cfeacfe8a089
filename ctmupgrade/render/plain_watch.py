"""A run as plain lines, for logs, schedulers and pipes: one per change, and one each minute while nothing changes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities
from ctmupgrade.core.overview.overview import Overview, Work, make_overview
from ctmupgrade.core.run.journal import Event, RunState, StepStarted
from ctmupgrade.core.ticks import Progress, Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.escape import ours
from ctmupgrade.render.news import event_line, is_news, since_begin
from ctmupgrade.render.overview_words import doing_words, upload_words, usual_words

HEARTBEAT_S = 60.0  # seconds of silence after which it is said that the run goes on
_NO_SOONER = timedelta(
    seconds=60
)  # after a step's last line, until it is said that it waits for something else
_MOST = 3  # steps that one line tells of


@dataclass(slots=True)
class PlainWatch:
    """A line per event; one where what is waited for changes, not at every look; and a heartbeat.

    :ivar say: writes lines. :ivar clock: tells the run's time; the heartbeat is by this machine's.
    """

    say: Callable[[Iterable[str]], None]
    clock: Callable[[], datetime]
    activities: Activities
    _state: RunState | None = None
    _view: Overview | None = None  # of another process's run
    _gists: dict[str, str] = field(default_factory=dict)
    _told: dict[str, datetime] = field(default_factory=dict)
    _uploads_told: datetime | None = None
    _last: float = field(default_factory=time.monotonic)
    _quiet: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        """Take in an event, or what a step says of itself."""
        with self._lock:
            now = self.clock()
            self._state = state
            self.activities.take(event, key, tick, now)
            if isinstance(event, StepStarted):
                self._told[event.step] = now
            if event is not None and is_news(event, state):
                self._tell([event_line(event, state)])
            elif isinstance(tick, Waiting):
                self._waits(state, key, tick, now)
            elif isinstance(tick, Progress):
                self._uploads(state, now)

    def looked(self, view: Overview) -> None:
        """Take in where a run of another process is: what its steps wait for is in the heartbeat."""
        with self._lock:
            self._view = view
            self.beat()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Say nothing while a question waits for its answer."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def beat(self) -> None:
        """Say that the run goes on, where nothing was said for a minute."""
        with self._lock:
            if self._state is None or self._quiet or time.monotonic() - self._last < HEARTBEAT_S:
                return
            now = self._view.at if self._view else self.clock()
            view = self._view or make_overview(self._state, self.activities.doing(now), now, alive=True)
            parts = [_going_on(work) for _node, work in view.waits]
            if parts and self._state.unfinished and not self._state.paused:
                more = f"; and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
                self._tell([f"{_begin(self._state, now)} goes on: {'; '.join(parts[:_MOST])}{more}"])

    def _tell(self, lines: list[str]) -> None:
        self._last = time.monotonic()
        self.say(ours(lines))

    def _waits(self, state: RunState, key: str, tick: Waiting, now: datetime) -> None:
        gist = re.sub(r"\d+", "", tick.gist or tick.what)  # a count that goes up is no news
        if self._gists.get(key) == gist or (key in self._told and now - self._told[key] < _NO_SOONER):
            return
        self._gists[key], self._told[key] = gist, now
        until = tick.until.isoformat(timespec="minutes")
        ends = f"until {until}" if key == "window" else f"gives up at {until}"
        who = "the last look at all nodes" if key == "ending" else key
        self._tell([f"{_begin(state, now)} {who} waits ({ends}): {tick.what}"])

    def _uploads(self, state: RunState, now: datetime) -> None:
        """One line a minute of the run's own time, for all uploads."""
        if self._uploads_told is None:
            self._uploads_told = now
        if now - self._uploads_told < _NO_SOONER:
            return
        self._uploads_told = now
        going = [
            (key, said) for key, said in self.activities.held.items() if said.total and said.done < said.total
        ]
        parts = [f"{key} {upload_words(said, bar=False)}" for key, said in going]
        if parts:
            more = f"; and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
            self._tell([f"{_begin(state, now)} {'; '.join(parts[:_MOST])}{more}"])


def _begin(state: RunState, now: datetime) -> str:
    passed = (now - state.started).total_seconds()
    return f"{now.isoformat(timespec='seconds')} {since_begin(state, passed)}"


def _going_on(work: Work) -> str:
    said = doing_words(work)
    return f"{work.step} for {clock_time(work.elapsed_s)}, {usual_words(work)}{f': {said}' if said else ''}"


@contextmanager
def plain_watch(
    say: Callable[[Iterable[str]], None], clock: Callable[[], datetime], window: Window
) -> Iterator[PlainWatch]:
    """Give a watcher whose heart beats for the time of a run."""
    watch, over = PlainWatch(say, clock, Activities(window)), threading.Event()

    def beat() -> None:
        while not over.wait(1.0):
            watch.beat()

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield watch
    finally:
        over.set()
