"""Keeps ``escape.md`` in a run's folder: the commands to finish or to back out by hand, written again at every step."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ctmupgrade.adapters.disk.private_file import replace_private
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.redact import known_hidden
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.ticks import Tick
from ctmupgrade.render.by_hand import by_hand_markdown

ESCAPE = "escape.md"
_STANDS_STILL = (journal.StepFailed, journal.RunPaused, journal.RunEnded)
Watch = Callable[[RunState, Event | None, str, Tick | None], None]
# Events after which there is nothing else to type than before.
_NOTHING_NEW = (
    journal.StepNoted, journal.StopAsked, journal.RequestRefused, journal.ProgramStarted, journal.ProgramEnded,
)  # fmt: skip


class EscapeFile:
    """The file of one run.

    :param cluster: gives cluster.yaml with the new instances of the run. :param place: see :func:`place_of`.
    :param every: so many events pass between two writes: in virtual time hours are over in a second.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Callable[[], Cluster],
        place: str,
        *,
        durable: bool = True,
        every: int = 1,
    ) -> None:
        self._path, self._cluster, self._place, self._durable = folder / ESCAPE, cluster, place, durable
        self._every, self._passed = every, 0

    def before(self, watch: Watch) -> Watch:
        """Return a watcher that writes the file, and then watches."""

        def seen(state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
            self.after(state, event)
            watch(state, event, key, tick)

        return seen

    def after(self, state: RunState, event: Event | None) -> None:
        """Write it after an event, and before the act that follows it; nothing where it would be the same."""
        if event is None or isinstance(event, _NOTHING_NEW):
            return
        self._passed += 1
        if isinstance(event, _STANDS_STILL) or self._passed % self._every == 1 % self._every:
            self.write(state)

    def write(self, state: RunState) -> None:
        """Write it. A run is never stopped for it: where it cannot be written it goes, for an old one would mislead."""
        text = known_hidden(by_hand_markdown(state, self._cluster(), self._place))
        try:
            replace_private(self._path, text.encode(), durable=self._durable)
        except OSError:
            with suppress(OSError):
                self._path.unlink()


def place_of(request: CommandRequest) -> str:
    """Return the options with which our commands find the run's files from any folder, a blank before each."""
    given = [("--simulate", request.simulate) if request.simulate else ("-c", request.cluster)]
    if request.state_dir is not None:
        given.append(("--state-dir", request.state_dir))
    return "".join(f" {option} {shlex.quote(str(value.absolute()))}" for option, value in given)


def escape_of(folder: Path, request: CommandRequest, cluster: Callable[[], Cluster]) -> EscapeFile:
    """Return the file of a run in its folder."""
    simulated = request.mode is Mode.SIMULATED
    fast = simulated and not request.pace
    return EscapeFile(folder, cluster, place_of(request), durable=not simulated, every=25 if fast else 1)
