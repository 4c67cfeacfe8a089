"""A run's report that follows its journal: for a file that is kept fresh, and for a page that is served."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ctmupgrade.adapters.disk.run_store import RunFolder, runs_now
from ctmupgrade.commands.choose import find
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.report import Report, make_report
from ctmupgrade.errors import CtmUpgradeError

LOOK_EVERY = 1.0  # seconds
_OVER_AFTER = (
    2  # looks in a row that find no process: between its journal's first line and its lock it has none either
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at a journal has shown.

    :ivar number: counts what was different: with the same number nothing has changed. :ivar report: the last that could
        be read. :ivar problem: why it is not newer. :ivar over: no process goes on with the run now.
    """

    number: int
    report: Report | None
    problem: str = ""
    over: bool = False


@dataclass(slots=True)
class Follower:
    """Reads a journal again when its file has changed. It may grow, be replaced, be broken, or be gone for a while.

    :ivar shaped: the report as it is shown here. May be asked from several threads.
    """

    folder: RunFolder
    shaped: Callable[[Report, RunState], Report] = lambda report, _state: report
    _last: Sight = Sight(0, None)
    _seen: tuple[object, ...] = ()
    _state: RunState | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> Sight:
        """Return what is there now. Raises nothing: what is wrong is in it."""
        with self._lock:
            there = self._stamp()
            if (*there, self._over()) != self._seen:
                self._last = self._read()
                self._seen = (*there, self._over())
            return self._last

    def _read(self) -> Sight:
        number = self._last.number + 1
        try:
            self._state, head = self.folder.state_and_head()
            report = self.shaped(make_report(self._state, head), self._state)
        except CtmUpgradeError as error:
            return Sight(
                number, self._last.report, f"The journal cannot be used now: {error.brief}", self._last.over
            )
        return Sight(number, report, "", self._over())

    def _stamp(self) -> tuple[object, ...]:
        try:
            there = self.folder.journal.stat()
        except OSError as error:
            return (error.errno,)
        return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns

    def _over(self) -> bool:
        state = self._state
        if state is None:
            return False
        return not state.unfinished or bool(state.paused) or not runs_now(self.folder, state.mode)


def follower_of(
    request: CommandRequest,
    cluster: str | None,
    run: str | None,
    shaped: Callable[[Report, RunState], Report],
) -> Follower:
    """Return what follows a run: one that is going on, else as :func:`ctmupgrade.commands.choose.find` says.

    :raises UsageError: no such run.
    """
    return Follower(find(request, cluster, run, going=True), shaped)


def keep_fresh(
    follower: Follower, write: Callable[[Report, bool], None], sleep: Callable[[float], None]
) -> Sight:
    """Write a report again whenever its journal has changed, until no process goes on with the run.

    :param write: takes the report, and whether it is the last one.
    """
    written, idle = -1, 0
    while True:
        sight = follower.look()
        idle = idle + 1 if sight.over else 0
        if _has_ended(sight) or idle >= _OVER_AFTER:
            if sight.report is not None:
                write(sight.report, True)
            return sight
        if sight.report is not None and sight.number != written:
            write(sight.report, False)
            written = sight.number
        sleep(LOOK_EVERY)


def _has_ended(sight: Sight) -> bool:
    return sight.report is not None and sight.report.state in ("done", "aborted")
