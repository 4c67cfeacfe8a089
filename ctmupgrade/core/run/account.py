"""What a report tells of a run besides its bare steps: the outcome in one sentence, times, proofs, changes, checks."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.run.changes import changes_of
from ctmupgrade.core.run.headline import headline_of
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.proofs import Proof, proofs_of
from ctmupgrade.core.run.surroundings import Surroundings
from ctmupgrade.core.run.timeline import Timeline, timeline_of


@dataclass(frozen=True, slots=True)
class Account:
    """As in this module's first line.

    :ivar changes: besides the version, a sentence each. :ivar archive: its file's name.
    """

    headline: str
    timeline: Timeline
    proofs: tuple[Proof, ...]
    changes: tuple[str, ...]
    surroundings: Surroundings
    archive: str = ""

    @property
    def seconds(self) -> int:
        """Return how long the run has taken, pauses too."""
        return round((self.timeline.ends - self.timeline.begins).total_seconds())


def account_of(state: RunState) -> Account:
    """Return it, of a run at any moment."""
    timeline = timeline_of(state)
    return Account(
        headline_of(state, timeline), timeline, proofs_of(state), changes_of(state), state.surroundings,
        state.plan.target.archive,
    )  # fmt: skip
