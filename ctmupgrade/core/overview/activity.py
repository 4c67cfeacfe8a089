"""What the steps in hand say of themselves between two lines of the journal: what they wait for, how far an upload is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ctmupgrade.core.model import Window
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.ticks import Progress, Tick, Waiting

_RATE_OVER_S = 20.0  # seconds that an upload's rate is the mean of


@dataclass(frozen=True, slots=True)
class Activity:
    """What a step said last.

    :ivar what: what it waits for, with the last answer; for an upload what it does.
    :ivar since: when the wait or the upload began. :ivar seen: when it was said.
    :ivar gives_up: the wait's time-out, which is no expected end; None: it has none.
    :ivar done: bytes of ``total``; both 0 where nothing is uploaded. :ivar rate: bytes a second, of late.
    """

    what: str
    since: datetime
    seen: datetime
    gives_up: datetime | None = None
    done: int = 0
    total: int = 0
    rate: float = 0.0

    @property
    def left_s(self) -> int | None:
        """Return the seconds that an upload will still take; None where that is not known."""
        if self.rate <= 0 or self.done >= self.total:
            return None
        return round((self.total - self.done) / self.rate)


@dataclass(frozen=True, slots=True)
class Doing:
    """All that is known of a run beside its journal.

    :ivar activities: by step; a wait for the window's begin is called ``window``.
    :ivar at: when it was written down; None: nothing is known. :ivar by: by whom, as user@host.
    """

    activities: Mapping[str, Activity] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    at: datetime | None = None
    by: str = ""


@dataclass(slots=True)
class Activities:
    """Takes in what steps say, as the process does that runs them."""

    window: Window
    held: dict[str, Activity] = field(default_factory=dict)
    _sent: dict[str, deque[tuple[datetime, int]]] = field(default_factory=dict)

    def take(self, event: Event | None, key: str, tick: Tick | None, now: datetime) -> None:
        """Take in an event, or what the step of that key says."""
        match event, tick:
            case journal.StepDone(step=step) | journal.StepFailed(step=step), _:
                self._forget(step)
            case journal.RunPaused() | journal.RunEnded(), _:
                for step in tuple(self.held):
                    self._forget(step)
            case None, Waiting(what=what, since=since, until=until):
                self.held[key] = Activity(what, since, now, until)
            case None, Progress(what=what, done=done, total=total):
                self._upload(key, what, done, total, now)
            case _:
                pass

    def _forget(self, step: str) -> None:
        self.held.pop(step, None)
        self._sent.pop(step, None)

    def _upload(self, key: str, what: str, done: int, total: int, now: datetime) -> None:
        sent = self._sent.setdefault(key, deque())
        if sent and done < sent[-1][1]:
            sent.clear()  # begun again
        sent.append((now, done))
        while len(sent) > 2 and (now - sent[1][0]).total_seconds() >= _RATE_OVER_S:
            sent.popleft()
        took = (now - sent[0][0]).total_seconds()
        rate = (done - sent[0][1]) / took if took > 0 else 0.0
        before = self.held.get(key)
        since = before.since if before is not None and before.total else now
        self.held[key] = Activity(what, since, now, None, done, total, rate)

    def doing(self, now: datetime, by: str = "") -> Doing:
        """Return what is known now."""
        return Doing(dict(self.held), self.window, now, by)
