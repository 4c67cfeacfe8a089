"""Where a run stands, from its journal alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ctmupgrade.adapters.disk.journal_file import FIRST_PREV, line_hashes, read_journal, verify_chain
from ctmupgrade.adapters.disk.progress_file import read_progress
from ctmupgrade.adapters.disk.run_store import RunFolder, runs_now
from ctmupgrade.codec import event_from_json
from ctmupgrade.commands.alive import elsewhere
from ctmupgrade.commands.choose import find
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.overview.overview import Overview, make_overview
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunStarted, RunState
from ctmupgrade.core.run.report import JournalHead, Report, make_report
from ctmupgrade.errors import JournalError
from ctmupgrade.render.news import news_of


def state(
    request: CommandRequest, cluster: str | None, run: str | None, *, going: bool = False
) -> tuple[RunFolder, RunState, bool]:
    """Return a run's folder, its state, and whether a process runs it now.

    :param going: as for :func:`ctmupgrade.commands.choose.find`.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run, going=going)
    found = folder.state()
    return folder, found, found.unfinished and runs_now(folder, found.mode)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run is: for one screen. :ivar news: the last thing that happened. :ivar running: a process runs it here."""

    report: Report
    view: Overview
    news: str
    running: bool


def standing_of(request: CommandRequest, cluster: str | None, run: str | None) -> Standing:
    """Return where a run is. :raises UsageError: no such run. :raises JournalError: its journal is broken."""
    folder = find(request, cluster, run)
    found, head = folder.state_and_head()
    running = found.unfinished and runs_now(folder, found.mode)
    view = overview_of(folder, found, running=running)
    return Standing(make_report(found, head), view, last_news(folder), running)


def report_of(request: CommandRequest, cluster: str | None, run: str | None) -> tuple[Report, RunState, bool]:
    """Return the run's report with its journal's head, its state, and whether a process runs it now.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run)
    found, head = folder.state_and_head()
    return make_report(found, head), found, found.unfinished and runs_now(folder, found.mode)


def overview_of(folder: RunFolder, found: RunState, *, running: bool) -> Overview:
    """Return where a run is, from its journal and the small file beside it.

    :param running: a process of this machine runs it.
    """
    doing = read_progress(folder.progress)
    if doing.window == Window():  # the run's own, from its first event
        doing = replace(doing, window=found.surroundings.window)
    now = datetime.now().astimezone()
    if found.mode is not Mode.LIVE:  # its time is not ours
        now = max(found.at, doing.at or found.at).astimezone(found.at.tzinfo)
    alive = running or (found.unfinished and not found.paused and elsewhere(doing, now))
    if not alive:
        now, doing = now if found.unfinished else found.at, replace(doing, activities={})
    return make_overview(found, doing, now, alive=alive)


def last_news(folder: RunFolder) -> str:
    """Return the last thing that happened in a run, as one line. :raises JournalError: its journal is broken."""
    lines, _torn = read_journal(folder.journal)
    told = ""
    state: RunState | None = None
    for line in lines:
        event = event_from_json(line.event)
        state = journal.start(event, line.at) if isinstance(event, RunStarted) else state
        if state is not None and not isinstance(event, RunStarted):
            state = journal.apply(state, event, line.at)
        news = news_of(event, state) if state is not None else None
        told = news.line if news is not None else told
    return told


def head_of(folder: Path | None) -> JournalHead | None:
    """Return what the journal in a run's folder ends in; None where it cannot be read."""
    if folder is None:
        return None
    try:
        return RunFolder(folder).state_and_head()[1]
    except JournalError:
        return None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at a journal's chain has found.

    :ivar problems: each names its line. :ivar mismatch: why it does not end in the head that was given; "" where it
        does, or none was given.
    """

    run: str
    lines: int
    head: str
    problems: tuple[str, ...]
    mismatch: str = ""
    compared: bool = False

    @property
    def good(self) -> bool:
        """Return whether the chain holds, and ends in the head that was given."""
        return not self.problems and not self.mismatch

    @property
    def vouched(self) -> str:
        """Return up to where, and by what, the journal is vouched for."""
        if self.compared and self.good:
            return f"all {self.lines} lines are those that head {self.head} was kept for"
        return (
            "each line vouches for the one before it; nothing vouches for the last line, nor that lines were not cut "
            "off behind it or all written again: compare the head that was kept elsewhere (--head HASH): the end of the "
            "run printed it, each report has it, so has this machine's syslog"
        )


def verified(folder: RunFolder, expected: str = "") -> Verified:
    """Check the journal's hash chain, and that it ends in a head that was kept elsewhere.

    :param expected: the sha256 of its last line, in hex; "": it is not compared.
    :raises JournalError: the file cannot be read.
    """
    problems = verify_chain(folder.journal)
    hashes = line_hashes(folder.journal)
    head = hashes[-1] if hashes else FIRST_PREV
    wanted = expected.strip().lower()
    mismatch = _mismatch(hashes, head, wanted) if wanted else ""
    return Verified(folder.run, len(hashes), head, tuple(problems), mismatch, bool(wanted))


def _mismatch(hashes: list[str], head: str, wanted: str) -> str:
    if wanted == head:
        return ""
    if wanted in hashes:
        line = hashes.index(wanted) + 1
        return f"the journal does not end in {wanted}: that is line {line} of {len(hashes)}; lines came behind it"
    return (
        f"the journal does not end in {wanted}: no line of it has that hash; lines of it were changed or cut off since "
        "that head was kept, or it is another journal's"
    )
