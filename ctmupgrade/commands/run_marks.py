"""A run's marks on the nodes, as the commands use them: see :mod:`ctmupgrade.commands.node_marks`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands import node_marks
from ctmupgrade.commands.node_marks import Owner
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.errors import BlockedError, JournalError


class Marks:
    """The marks of one run. In a dry run or a simulation there are none: nobody else is there.

    :param take_over: runs whose marks may be replaced. :param command: which takes over a dead run, as it was called.
    """

    def __init__(
        self, setup: Setup, run: str, take_over: Collection[str] = (), command: str = node_marks.RUN
    ) -> None:
        self._setup = setup
        self._take_over = take_over
        self._command = command
        since = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")
        self._mine = Owner(run, whoami(), since)
        self._nodes = [node.name for node in setup.cluster.nodes]

    @property
    def _real(self) -> bool:
        return self._setup.mode is Mode.LIVE

    def respect(self) -> None:
        """Respect marks. :raises LockedError: another run's mark is on a node."""
        if not self._real:
            return
        for node, owner in node_marks.standing(self._setup.fleet, self._nodes):
            if owner.run != self._mine.run and not self._is_over(owner.run):
                raise node_marks.held_by(node, owner, self._command)

    def claim(self, *, again: bool = False, spared: Collection[str] = ()) -> None:
        """Mark every node as ours. :raises LockedError: another was first.

        :param again: the run goes on after a stop; a node may be booting.
        :param spared: nodes that may be away, for the run writes them off.
        """
        if self._real:
            node_marks.claim(
                self._setup.fleet, self._nodes, self._mine, over=self._is_over, say=self._setup.request.say,
                again=again, spared=spared, command=self._command,
            )  # fmt: skip

    def rename(self) -> None:
        """Rename the marks of this run: they named another machine, and name this one from now on."""
        if self._real:
            node_marks.rename(self._setup.fleet, self._nodes, self._mine)

    def release(self) -> None:
        """Take our marks away."""
        if self._real:
            node_marks.release(self._setup.fleet, self._nodes, self._mine)

    def anchor(self, node: str, head: JournalHead) -> None:
        """Keep the journal's head on a node, right before the node is changed."""
        if self._real and node in self._nodes:
            kept = node_marks.Anchor(head.lines, head.head)
            node_marks.anchor(self._setup.fleet.shell(node), self._mine.run, kept)

    def anchor_all(self, head: JournalHead) -> None:
        """Keep the journal's head on every node, right after they are marked: from then on the plan in it is what it was."""
        if self._real:
            self._setup.tools.gather(lambda node: self.anchor(node, head), self._nodes)

    def vouch_for(self, hashes: Sequence[str]) -> bool:
        """Return whether a node keeps a head of this very journal.

        :param hashes: the sha256 of each of its lines.
        :raises CtmUpgradeError: no node answers.
        """
        if not self._real:
            return False
        node_marks.refuse_silence(self._setup.fleet, self._nodes)
        kept = node_marks.anchors(self._setup.fleet, self._nodes, self._mine.run)
        return any(_holds(hashes, one) for _, one in kept)

    def refuse_rolled_back(self, hashes: Sequence[str]) -> None:
        """Refuse to resume a run whose journal lacks a head that a node keeps of it.

        :param hashes: the sha256 of each of its lines.
        :raises BlockedError: it does not: this machine, or its state folder, was set back to an earlier time.
        """
        if not self._real:
            return
        for node, kept in node_marks.anchors(self._setup.fleet, self._nodes, self._mine.run):
            if _holds(hashes, kept):
                continue
            raise BlockedError(
                f"the journal of run {self._mine.run} was set back or changed: {node} has a head of line "
                f"{kept.lines} ({kept.head}), and the journal has {len(hashes)} lines without it",
                remedy=f"bring the newest journal of that run back (of a backup, or another machine); where there is "
                f"none: ctmupgrade check; ctmupgrade abort {self._mine.run}; then: ctmupgrade recover   # or: ctmupgrade run",
            )

    def _is_over(self, run: str) -> bool:
        """Whether a run has ended by this machine's own journals, or is named to be taken over. A run that
        these journals do not know may be alive elsewhere."""
        if not node_marks.is_run_id(run):
            return False
        if run in self._take_over:
            return True
        folder = RunFolder(self._setup.home / run)
        try:
            if not folder.journal.is_file():
                return False
            state = folder.state()
            # One that was handed over once may go on elsewhere, whatever this machine's journal says.
            return not state.unfinished and not state.custody.ticket
        except JournalError:
            return False


def _holds(hashes: Sequence[str], kept: node_marks.Anchor) -> bool:
    return len(hashes) >= kept.lines > 0 and hashes[kept.lines - 1] == kept.head
