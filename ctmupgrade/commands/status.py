"""Where a run stands, from its journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.disk.journal_file import FIRST_PREV, line_hashes, verify_chain
from ctmupgrade.adapters.disk.run_store import RunFolder, is_running, lock_place
from ctmupgrade.commands.choose import find
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.report import JournalHead, Report, make_report
from ctmupgrade.errors import JournalError


def state(
    request: CommandRequest, cluster: str | None, run: str | None, *, going: bool = False
) -> tuple[RunFolder, RunState, bool]:
    """Return a run's folder, its state, and whether a process runs it now.

    :param going: as for :func:`ctmupgrade.commands.choose.find`.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run, going=going)
    found = folder.state()
    return folder, found, found.unfinished and is_running(lock_place(folder, found.mode))


def report_of(request: CommandRequest, cluster: str | None, run: str | None) -> tuple[Report, RunState, bool]:
    """Return the run's report with its journal's head, its state, and whether a process runs it now.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run)
    found, head = folder.state_and_head()
    return make_report(found, head), found, found.unfinished and is_running(lock_place(folder, found.mode))


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
