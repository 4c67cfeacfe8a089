"""The runs of a cluster on this machine: their folders, journals and the lock."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import MIB, read_text_bounded
from ctmupgrade.adapters.disk.lock import ClusterLock
from ctmupgrade.adapters.disk.private_file import write_private
from ctmupgrade.adapters.disk.run_store import SIMULATIONS, RunFolder, cluster_place, folders
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.boot import BootMark, Unbooted
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.past_times import PastTimes
from ctmupgrade.core.plan.steps import MakeBackup, StageArchive, changes_node
from ctmupgrade.core.run import past_runs
from ctmupgrade.core.run.again import again_command
from ctmupgrade.core.run.journal import Evidence, RunState, Status
from ctmupgrade.core.run.past_steps import past_times
from ctmupgrade.errors import UNFORESEEN, ForeignStateError, JournalError, LockedError, UsageError

_STAMP = re.compile(r"(\d{8}T\d{6})-(\d{3})", re.ASCII)  # what a run's id begins with


def new_run_id(home: Path, now: datetime | None = None) -> str:
    """Sort behind every run that is there, by its time to the millisecond: ``stage`` and ``run`` may begin in the
    same second, and the later one is meant by who names none. UTC, so that the clock's change in autumn does not
    reorder runs; and where this machine's clock was set back, the time of the run before and a little more.

    :param home: the cluster's state folder. :param now: None: this machine's clock.
    """
    moment = max(now or datetime.now(UTC), _latest(home) + timedelta(milliseconds=1))
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03}{secrets.token_hex(2)}"


def _latest(home: Path) -> datetime:
    """The time in the id of the run that sorts last; long ago where there is none."""
    found = [match for folder in folders(home) if (match := _STAMP.match(folder.run))]
    for last in reversed(found):
        with suppress(ValueError, OverflowError):
            at = datetime.strptime(last[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            return at + timedelta(milliseconds=int(last[2]))
    return datetime(2000, 1, 1, tzinfo=UTC)


def unfinished(home: Path, mode: Mode) -> Iterator[tuple[RunFolder, RunState]]:
    """Return the runs of this mode that ended neither way, newest first, and that change nodes."""
    for folder in reversed(folders(home)):
        state = folder.state()
        if state.mode is mode and state.unfinished and any(changes_node(s.action) for s in state.plan.steps):
            yield folder, state


def to_go_on(home: Path, mode: Mode) -> str:
    """Return the run that a resume without a name goes on with, for those whom the lock keeps out; "unknown" where none is."""
    with suppress(JournalError, OSError):
        return next((folder.run for folder, _ in unfinished(home, mode)), "unknown")
    return "unknown"


def left_unbooted(setup: Setup) -> dict[str, Unbooted]:
    """Return what the live runs on this machine know of reboots that are still to come; a journal that does not hold
    together tells nothing. A simulated cluster starts afresh each time, with the boots it always has."""
    return {} if setup.request.simulate else past_runs.unbooted(_live_states(setup))


def upgraded_in(setup: Setup) -> dict[str, tuple[str, BootMark]]:
    """Return what the live runs on this machine know of upgrades that have had their reboot; see :func:`left_unbooted`."""
    return {} if setup.request.simulate else past_runs.upgraded_in(_live_states(setup))


def took_before(setup: Setup) -> PastTimes:
    """Return how long steps took in the latest runs of this cluster: live ones; for a simulation those of the same fixture, and
    where that was recorded of a live cluster, the live ones too."""
    fixture = setup.request.simulate
    states = [s for folder in folders(setup.home)[-_LEARN_FROM:] for s in _state_of(folder)]
    if fixture is None:
        return past_times(s for s in states if s.mode is Mode.LIVE)
    recorded = (fixture / "transcript.jsonl").is_file()
    same = str(fixture.absolute())
    return past_times(
        s for s in states
        if (s.mode is Mode.SIMULATED and s.files.get("simulate") == same) or (s.mode is Mode.LIVE and recorded)
    )  # fmt: skip


_LEARN_FROM = 20  # runs


def _live_states(setup: Setup) -> Iterator[RunState]:
    for folder in folders(setup.home):
        yield from (state for state in _state_of(folder) if state.mode is Mode.LIVE)


def _state_of(folder: RunFolder) -> Iterator[RunState]:
    """A run's state; nothing where its journal does not hold together."""
    with suppress(JournalError):
        yield folder.state()


def staged(home: Path, mode: Mode) -> dict[str, Evidence]:
    """Return what the runs of this mode, ``stage`` among them, have proven of each node's archive; the latest counts.

    ``hashed_in`` names the run that hashed it; a journal that does not hold together proves nothing."""
    found: dict[str, Evidence] = {}
    for folder in folders(home):
        with suppress(JournalError):
            state = folder.state()
            for step in state.plan.steps if state.mode is mode else ():
                held = state.steps[step.id]
                if isinstance(step.action, StageArchive) and held.status is Status.DONE:
                    hashed_in = held.evidence.get("unchanged_since") or state.run
                    found[step.node] = {**held.evidence, "hashed_in": hashed_in}
    return found


def place_of(setup: Setup) -> Path:
    """Return the folder of the lock that keeps others out of what this command works on."""
    return cluster_place(setup.home, simulated=setup.request.simulate is not None)


def hold_cluster(setup: Setup, run: str) -> AbstractContextManager[object]:
    """Keep others out of the cluster that a command changes, from before its first look; out of the simulated one only those
    who simulate it too. A dry run changes nothing and keeps nobody out.

    :raises LockedError: another process works on it. :raises UsageError: the state folder cannot be written to.
    """
    return nullcontext() if setup.mode is Mode.DRY_RUN else hold(place_of(setup), run)


@contextmanager
def locked(setup: Setup, folder: RunFolder) -> Iterator[None]:
    """Hold a simulated run's own lock, which tells others that it runs; a live one holds its cluster's."""
    if setup.mode is not Mode.SIMULATED:
        yield
        return
    with hold(folder.path, folder.run):
        yield


def hold(home: Path, run: str) -> ClusterLock:
    """Take the lock in a folder; it dies with its process. ``with hold(...):``

    :param home: of a cluster's state, see :func:`place_of`, or of one simulated run.

    :raises LockedError: another process holds it: who, which run, since when.
    :raises UsageError: the state folder cannot be written to.
    """
    simulated = ("the simulated cluster", _ANOTHER) if home.name == SIMULATIONS else ()
    lock = ClusterLock(home / "lock", *simulated)
    with nothing_begun(home):
        for _ in range(3):  # a `status` that looks whether it is held may hold it for an instant
            try:
                return lock.acquire({"run": run})
            except LockedError:
                time.sleep(0.1)
        return lock.acquire({"run": run})


@contextmanager
def nothing_begun(home: Path) -> Iterator[None]:
    """Say of a failure in this block that nothing is journaled or touched, so that there is nothing to resume.

    :raises UsageError: instead of what the disk said.
    """
    try:
        yield
    except ForeignStateError:
        raise
    except JournalError as error:
        home = next(place for place in (home, *home.parents) if place.exists())
        raise UsageError(
            f"the state folder cannot be written to, and nothing was begun: {error.brief}",
            remedy=f"fix that (ls -ld {shlex.quote(str(home))}; df {shlex.quote(str(home))}), or use another: --state-dir DIR or CTMUPGRADE_STATE_DIR",
        ) from error


_ANOTHER = "\nctmupgrade run --state-dir DIR   # a rehearsal of its own, at the same time"
BACKUPS = "backups"  # of a simulated run, in its folder


def save_world(folder: RunFolder, setup: Setup) -> None:
    """Keep a simulated world and the backups that were made in it, so that a simulated run can be resumed in another
    process."""
    if setup.world is None:
        return
    write_private(folder.path / "world.json", setup.world.saved().encode(), durable=False)
    made = setup.cluster.backup.directory
    for file in made.rglob("*") if made.is_dir() else ():
        kept = folder.path / BACKUPS / file.relative_to(made)
        if file.is_file() and not kept.exists():
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(kept, file.read_bytes(), durable=False)


def restore_world(folder: RunFolder, setup: Setup) -> None:
    """Bring back the world as the run left it, in place of the fixture's.

    :raises UsageError: the process was killed, and its world with it.
    """
    if setup.world is None:
        return
    file = folder.path / "world.json"
    if not file.is_file():
        raise UsageError(
            f"run {folder.run} was simulated as fast as it goes and its process was killed: its world is gone",
            remedy=f"{again_command(folder.state())}   # begins again; the world of a run with --pace is kept at every step",
        )
    try:
        setup.world.take_over(read_text_bounded(file, 64 * MIB))
    except (OSError, *UNFORESEEN) as error:
        raise UsageError(
            f"{file}: not a simulated world: {error}", remedy=again_command(folder.state())
        ) from None


def restore_backups(folder: RunFolder, setup: Setup, state: RunState) -> None:
    """Bring back the backups that a paused simulated run has made, for the process that resumes it. An earlier version did not keep
    them: what its journal says is simulated again."""
    if not setup.request.simulate:
        return
    if (folder.path / BACKUPS).is_dir():
        shutil.copytree(folder.path / BACKUPS, setup.cluster.backup.directory, dirs_exist_ok=True)
        return
    for step in state.plan.steps:
        made = state.steps[step.id].evidence.get("backup", "")
        if made and isinstance(step.action, MakeBackup):
            file, key_file = setup.tools.store.paths(step.node, made)
            for path in (file, key_file):
                path.write_text("simulated", encoding="utf-8")
            setup.tools.store.keep(
                Manifest(step.node, "", made, "", state.started, str(file), str(key_file), "", state.started)
            )


__all__ = ["ClusterLock", "RunFolder", "folders"]
