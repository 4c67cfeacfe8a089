"""``take-over FILE``: goes on with a run of another machine, from the file that it was packed into."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.disk.durable import make_dirs, write_new
from ctmupgrade.adapters.disk.handover_file import CLUSTER, JOURNAL, SUMMARY, Packed, read_packed, unpack
from ctmupgrade.adapters.disk.journal_file import chain_of, line_hashes
from ctmupgrade.adapters.disk.private_file import write_private
from ctmupgrade.adapters.disk.run_store import RunFolder, state_of
from ctmupgrade.commands import handover_marks
from ctmupgrade.commands.node_marks import is_run_id
from ctmupgrade.commands.resume import go_on
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.commands.runs import hold, nothing_begun, unfinished
from ctmupgrade.commands.same_cluster import (
    learn_of_run,
    own_node_is_last,
    own_node_is_this_machine,
    refuse_other_cluster,
)
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.summary import Summary, summary_of
from ctmupgrade.errors import BlockedError, ExitCode, JournalError, UsageError


@dataclass(frozen=True, slots=True)
class Offered:
    """A run as a hand-over file has it.

    :ivar hashes: the sha256 of each line of its journal. :ivar page: the summary as it was packed, Markdown."""

    packed: Packed
    state: RunState
    hashes: list[str]

    @property
    def summary(self) -> Summary:
        """Return the page about it, from its journal."""
        return summary_of(self.state)

    @property
    def page(self) -> str:
        """Return the page that was packed."""
        return self.packed.texts[SUMMARY].decode("utf-8", "replace")


def read_offered(file: Path) -> Offered:
    """Read a hand-over file. :raises UsageError: it is none, is damaged, or its run cannot go on."""
    packed = read_packed(file)
    try:
        lines, hashes = chain_of(packed.texts[JOURNAL])
        state = state_of(lines)
    except JournalError as error:
        raise UsageError(
            f"{file}: the journal in it cannot be used: {error.brief}", details=error.details
        ) from error
    custody, about = state.custody, packed.about
    fits = (about.get("run"), about.get("cluster"), about.get("ticket")) == (
        state.run,
        state.plan.cluster,
        custody.ticket,
    )
    if not (fits and custody.away and state.unfinished and state.mode is Mode.LIVE and is_run_id(state.run)):
        raise UsageError(f"{file}: the journal in it is not that of a run that was handed over")
    return Offered(packed, state, hashes)


def place_cluster_file(offered: Offered, target: Path) -> bool:
    """Put the packed cluster.yaml where none is. :returns: whether it was put there. :raises UsageError: it cannot be."""
    if target.exists() or target.is_symlink():
        return False
    try:
        write_new(target, offered.packed.texts[CLUSTER])
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}", remedy="name one with -c FILE") from error
    return True


def take_over(setup: Setup, wishes: RunOptions, offered: Offered) -> Outcome:
    """Take a run that was handed over, and go on with it.

    :raises LockedError: somebody else has taken it. :raises BlockedError: the nodes do not offer this very file, or
        cluster.yaml is another cluster's. :raises UnreachableError: no node that offers it answers.
    """
    if setup.request.simulate is not None:
        raise UsageError("a simulated run cannot be taken over", remedy="leave --simulate out")
    state = offered.state
    if setup.cluster.name != state.plan.cluster:
        raise UsageError(
            f"{setup.request.cluster} is that of {setup.cluster.name}, and the run is one of {state.plan.cluster}",
            remedy="name the right one with -c FILE",
        )
    with hold(setup.home, state.run):
        learn_of_run(setup, state)
        refuse_other_cluster(setup.cluster, state)
        own_node_is_this_machine(setup, state)
        own_node_is_last(setup, state)
        _refuse_unoffered(setup, offered)
        folder = RunFolder(setup.home / state.run)
        here = line_hashes(folder.journal) if folder.journal.exists() else []
        if setup.request.dry_run:
            return Outcome(ExitCode.DONE, state, only_looked=True)
        if (
            here[: len(offered.hashes)] != offered.hashes
        ):  # else it is here already, with more behind it or without
            _refuse_others(setup, offered, here)
            _bring(setup, offered, folder)
        return go_on(setup, wishes, folder)


def _refuse_unoffered(setup: Setup, offered: Offered) -> None:
    """The nodes vouch for the file: its digest stands in the offer."""
    custody, run = offered.state.custody, offered.state.run
    seen = handover_marks.look(setup.fleet, custody.nodes, run, custody.ticket)
    if wrong := sorted(name for name, digest in seen.offers.items() if digest != offered.packed.digest):
        raise BlockedError(
            f"{offered.packed.path} is not the file that {', '.join(wrong)} offer run {run} with: it was changed, or is "
            "an earlier one",
            remedy="copy it again from the machine that it was made on",
        )
    own = RunFolder(setup.home / run)
    holder = own.state().custody.holder if own.journal.exists() else ""
    if other := seen.other(holder):
        raise handover_marks.taken_by(run, other)
    if not seen.offers and not seen.taken and not seen.silent:
        raise BlockedError(
            f"run {run} is not offered by any node: the machine that handed it over goes on with it, or never did so",
            remedy=f"ctmupgrade handover FILE {run}   # there",
        )


def _refuse_others(setup: Setup, offered: Offered, here: list[str]) -> None:
    for other, state in unfinished(setup.home, Mode.LIVE):
        if other.run != offered.state.run and not state.custody.away:
            raise BlockedError(
                f"run {other.run} of {setup.cluster.name} is unfinished here ({state.name})",
                remedy=f"ctmupgrade resume {other.run}   or   ctmupgrade abort {other.run}",
            )
    if here != offered.hashes[: len(here)]:
        raise BlockedError(
            f"another journal of run {offered.state.run} is here, which that of the file does not go on from",
            remedy="name another state folder: --state-dir DIR",
        )


def _bring(setup: Setup, offered: Offered, folder: RunFolder) -> None:
    """The backups first: where they find no place nothing was taken. Then the journal, whole or not at all."""
    directory = setup.cluster.backup.directory
    need = sum(one.size for one in offered.packed.files)
    if offered.packed.files:
        if why := setup.tools.unusable_store():
            raise UsageError(why, remedy=f"ls -ld {shlex.quote(str(directory))}")
        with nothing_begun(setup.home):
            make_dirs(directory)
        if shutil.disk_usage(directory).free < need:
            raise UsageError(
                f"{directory}: the backups need {need} bytes, and so many are not free",
                remedy=f"df {shlex.quote(str(directory))}",
            )
    try:
        unpack(offered.packed, directory, f"{setup.cluster.name}-")
        make_dirs(folder.path)
        write_private(folder.journal, offered.packed.texts[JOURNAL])
    except OSError as error:
        raise UsageError(
            f"{error.filename or setup.home}: {error.strerror}", remedy=f"df {shlex.quote(str(setup.home))}"
        ) from error
