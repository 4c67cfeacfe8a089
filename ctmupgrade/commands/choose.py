"""Which run is meant: one that is named in full or by its beginning, or the latest that matters; and the list of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ctmupgrade.adapters.disk.ownership import refuse_foreign
from ctmupgrade.adapters.disk.run_store import RunFolder, folders
from ctmupgrade.commands.alive import goes_on
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import state_dir
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.near import meant
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import changed_nodes
from ctmupgrade.core.run.listed import ListedRun, listed
from ctmupgrade.errors import ForeignStateError, JournalError, UsageError

LATEST = "latest"
_SHOWN = 20  # runs in an error's text; `ctmupgrade runs` has all


def find(request: CommandRequest, cluster: str | None, run: str | None, *, going: bool = False) -> RunFolder:
    """Return the run that is meant.

    :param cluster: its name; None: the runs of all clusters. :param run: in full, as a unique beginning, or ``latest``.
        None or ``latest``: a live run that is not over, else the latest that changes nodes, not a backup, a staging or
        a dry run that came later; only where there is none of them, the latest.
    :param going: it is meant to stop it or to follow it: one of any kind that is not over comes first.
    :raises UsageError: there is none, or more than one begins so; those that are known are listed. Or all that is
        there was passed over, for others could have written it.
    """
    base = state_dir(request)
    homes = [base / cluster] if cluster else _homes(base)
    found, passed = _gathered(homes, named=cluster is not None)
    if run is not None and run != LATEST:
        if not _among(run, found):
            found, passed = _gathered(_homes(base), named=False)
        _refuse_passed(base, passed if not _among(run, found) else [])
        return named(run, found)
    if not found:
        _refuse_passed(base, passed)
        where = f" of {cluster}" if cluster else ""
        raise UsageError(
            f"no run yet{where} in {base}", remedy="ctmupgrade runs   # lists the runs of all clusters"
        )
    return _latest(found, going, bool(request.simulate))


def named(run: str, known: list[RunFolder]) -> RunFolder:
    """Return the run of that id, or the only one that begins so.

    :raises UsageError: there is none, or several; the known ones are listed.
    """
    for folder in known:
        if folder.run == run:
            return folder
    fitting = _among(run, known)
    if len(fitting) == 1:
        return fitting[0]
    near = "" if fitting else meant(run, (LATEST, *(folder.run for folder in known)))
    what = f'{len(fitting)} runs begin with "{run}"' if fitting else f'no run "{run}"{near}'
    raise UsageError(
        what, details="\n".join(_lines(fitting or known)), remedy="ctmupgrade runs   # lists all"
    )


def every_run(request: CommandRequest) -> list[ListedRun]:
    """Return every run in the state folder, of all clusters, newest first.

    :raises UsageError: there is none but those that others could have written.
    """
    base = state_dir(request)
    found, passed = _gathered(_homes(base), named=False)
    if not found:
        _refuse_passed(base, passed)
    return [_listed(folder) for folder in found]


def _lines(known: list[RunFolder]) -> Iterator[str]:
    yield "known runs:" if known else "there is no run here yet"
    for folder in known[:_SHOWN]:
        yield f"  {_listed(folder).words}"
    if len(known) > _SHOWN:
        yield f"  and {len(known) - _SHOWN} more"


def _listed(folder: RunFolder) -> ListedRun:
    try:
        found = folder.state()
        return replace(listed(found), alive=goes_on(folder, found))
    except JournalError:
        return ListedRun(folder.run, folder.path.parent.name)


def _among(run: str, known: list[RunFolder]) -> list[RunFolder]:
    return [folder for folder in known if run and folder.run.startswith(run)]


def _homes(base: Path) -> list[Path]:
    try:
        there = sorted(base.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in there if path.is_dir()]


def _gathered(homes: list[Path], *, named: bool) -> tuple[list[RunFolder], list[ForeignStateError]]:
    """The runs in these folders, newest first, and what was passed over: what others could have written counts, in a
    state folder that is shared, only where its cluster is named.

    :raises ForeignStateError: it is named.
    """
    found: list[RunFolder] = []
    passed: list[ForeignStateError] = []
    for home in homes:
        try:
            found += folders(home)
        except ForeignStateError as error:
            if named:
                raise
            passed.append(error)
    return sorted(found, key=lambda folder: folder.run, reverse=True), passed


def _refuse_passed(base: Path, passed: list[ForeignStateError]) -> None:
    """What is not used may hold the run that is meant: nobody is told that there is none.

    :raises UsageError: something was passed over; what, and why.
    """
    try:
        refuse_foreign(base)
    except ForeignStateError as error:
        passed = [error]  # which explains all that is in it
    if passed:
        why = tuple(dict.fromkeys(error.brief for error in passed))
        raise UsageError(
            f"what is in {base} is not used, for others could have written it",
            details="\n".join(why),
            remedy=passed[0].remedy,
        )


def _latest(newest_first: list[RunFolder], going: bool, simulated: bool) -> RunFolder:
    """The one that is meant where none is named. A journal that cannot be read may be the one: nothing behind it is."""
    read: list[tuple[RunFolder, RunState]] = []
    broken = None
    for folder in newest_first:
        try:
            read.append((folder, folder.state()))
        except JournalError:
            broken = folder
            break
    modes = (Mode.SIMULATED, Mode.LIVE) if simulated else (Mode.LIVE, Mode.SIMULATED)
    for mode in modes:
        of_mode = [(folder, state) for folder, state in read if state.mode is mode]
        open_ones = [(folder, state) for folder, state in of_mode if state.unfinished]
        changing = [folder for folder, state in open_ones if changed_nodes(state)]
        if changing and (mode is Mode.LIVE or going):
            return changing[0]
        if going and open_ones:
            return open_ones[0][0]
    for mode in modes:
        for folder, state in read:
            if state.mode is mode and changed_nodes(state):
                return folder
    return broken or newest_first[0]


def not_over(base: Path) -> Iterator[tuple[RunFolder, RunState]]:
    """Yield the runs of all clusters that have ended neither way; what cannot be read is passed over."""
    for folder in _gathered(_homes(base), named=False)[0]:
        with suppress(JournalError):
            state = folder.state()
            if state.unfinished:
                yield folder, state
