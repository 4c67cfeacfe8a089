"""One step's part of a run's state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ctmupgrade.core.run.events import Evidence
from ctmupgrade.core.run.note_codes import NoteCode


class Status(StrEnum):
    """``started`` means: an attempt was made, and may have worked."""

    PENDING = "pending"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


# What stands for what was seen before a start where the journal has nothing of it, as earlier versions wrote of some steps.
BEGUN: Evidence = {"begun": "before"}
SCRIPT_ENDED = "script_ended"  # in what a failed look saw: ks_upgrade.sh works no more


@dataclass(frozen=True, slots=True)
class StepState:
    """One step's part of the state."""

    status: Status = Status.PENDING
    before: Evidence = field(default_factory=dict)
    evidence: Evidence = field(default_factory=dict)
    started: datetime | None = None
    finished: datetime | None = None
    error: str = ""
    remedy: str = ""
    starts: int = 0  # how often it was begun, since it last was new
    refused: bool = False  # its last start was refused for good
    notes: tuple[str, ...] = ()
    codes: tuple[NoteCode, ...] = ()  # what each note means to the program
    noted_before: int = 0  # so many of the notes are older than its last start
    earlier: Evidence = field(default_factory=dict)  # what was seen before a start that is to be made again
    seen: Evidence = field(default_factory=dict)  # what the last look saw of a step that failed

    @property
    def script_ended(self) -> bool:
        """Return whether the look that failed has seen the end of ks_upgrade.sh, so that it works no more."""
        return SCRIPT_ENDED in self.seen

    @property
    def last_codes(self) -> tuple[NoteCode, ...]:
        """Return what the notes since its last start mean."""
        return self.codes[self.noted_before :]


def said_only(step: StepState) -> bool:
    """Return whether a step is done by an operator's word alone: no look has proven it."""
    return step.status is Status.DONE and "operator" in step.evidence
