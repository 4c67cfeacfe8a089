"""What is written into a journal: one event a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.run.seen_events import NodesSeen, PortsSeen, PortsWatched
from ctmupgrade.core.run.surroundings import Surroundings

Evidence: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event of a run: who, where, in which mode, by which plan."""

    run: str
    cluster: str
    mode: Mode
    plan: Plan
    by: str  # user@host
    pid: int
    version: str  # of ctmupgrade
    waived: tuple[tuple[str, str], ...] = ()
    what: str = ""  # a RunKind; "": the plan tells it (also in journals of version 0.1.0)
    files: Mapping[str, str] = field(default_factory=dict)  # `cluster` or `simulate`: its whole path
    surroundings: Surroundings = field(default_factory=Surroundings)
    kind: Literal["run-started"] = "run-started"


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A process took the run up again."""

    by: str
    pid: int
    version: str
    kind: Literal["run-resumed"] = "run-resumed"


@dataclass(frozen=True, slots=True)
class RunHandedOver:
    """The run was packed for another machine. From here on this machine may go on only where nobody has taken it over.

    :ivar ticket: what whoever takes it over must show. :ivar nodes: those that keep the offer of it."""

    by: str
    ticket: str
    file: str
    nodes: tuple[str, ...]
    kind: Literal["run-handed-over"] = "run-handed-over"


@dataclass(frozen=True, slots=True)
class RunTakenOver:
    """The run goes on where this line was written: on another machine, or again on the one that handed it over.

    :ivar holder: what the nodes call it. :ivar files: where the run's files are on this machine."""

    by: str
    pid: int
    version: str
    ticket: str
    holder: str
    files: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["run-taken-over"] = "run-taken-over"


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Written before the act. ``before`` is what a later look compares with."""

    step: str
    before: Evidence
    kind: Literal["step-started"] = "step-started"


@dataclass(frozen=True, slots=True)
class StepNoted:
    """Something worth keeping happened while a step ran."""

    step: str
    text: str
    code: NoteCode | None = None  # None: written by version 0.1.0, which had none
    kind: Literal["step-noted"] = "step-noted"


@dataclass(frozen=True, slots=True)
class StepDone:
    """Written after the act, with the proof."""

    step: str
    evidence: Evidence
    kind: Literal["step-done"] = "step-done"


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The node said no (``inconclusive`` False), or it cannot be known what happened (True)."""

    step: str
    error: str
    remedy: str
    code: int
    inconclusive: bool = False
    refused: bool = False  # the node refused it for good, and its looks show that nothing came of it
    seen: Evidence = field(
        default_factory=dict
    )  # what its last look saw all the same: versions, a doubted log
    kind: Literal["step-failed"] = "step-failed"


@dataclass(frozen=True, slots=True)
class StepReopened:
    """A look whose result has aged is done again."""

    step: str
    why: str
    kind: Literal["step-reopened"] = "step-reopened"


@dataclass(frozen=True, slots=True)
class NodeDecided:
    """An operator's decision on a stuck node."""

    node: str
    decision: Literal["retry", "skip", "done"]
    reason: str
    by: str
    request: str = ""  # the file in which another shell left it
    kind: Literal["node-decided"] = "node-decided"


@dataclass(frozen=True, slots=True)
class StopAsked:
    """``pause``, ``abort`` or Ctrl-C."""

    what: Literal["pause", "abort"]
    by: str
    here: bool = False  # by a signal to the process that runs it
    request: str = ""  # the file in which another shell left it
    kind: Literal["stop-asked"] = "stop-asked"


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Nothing further is started; ``resume`` goes on."""

    why: str
    code: int
    step: str | None = (
        None  # the one whose failure stopped it; "": none; None: 0.1.0 wrote it, and did not say
    )
    kind: Literal["run-paused"] = "run-paused"


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event: done, partial (ended as decided, but not every node is what the plan was for), aborted, dry-run.

    :ivar successor: the run that took its place; earlier versions did not say."""

    outcome: Literal["done", "partial", "aborted", "dry-run", "nothing-to-do", "taken-over"]
    versions: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    successor: str = ""
    kind: Literal["run-ended"] = "run-ended"


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request of another shell that is none: its file was set aside, and nothing came of it."""

    file: str
    why: str
    kind: Literal["request-refused"] = "request-refused"


@dataclass(frozen=True, slots=True)
class ProgramStarted:
    """About to run a program of the operator's: a hook or a check. Written before it runs.

    :ivar what: a hook's name, or ``check NAME``. :ivar node: "" where it concerns the whole run.
    :ivar again: an earlier process started it, and how it ended is not known.
    """

    what: str
    node: str
    argv: tuple[str, ...]
    outcome: str = ""
    again: bool = False
    kind: Literal["program-started"] = "program-started"


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """It ended. :ivar code: its exit status; -1: it could not be run, or was stopped, as ``error`` says.
    :ivar output: what it printed, cut, cleaned and redacted."""

    what: str
    node: str
    code: int
    output: str = ""
    error: str = ""
    kind: Literal["program-ended"] = "program-ended"


Event: TypeAlias = (
    RunStarted
    | RunResumed
    | RunHandedOver
    | RunTakenOver
    | StepStarted
    | StepNoted
    | StepDone
    | StepFailed
    | StepReopened
    | NodeDecided
    | StopAsked
    | RequestRefused
    | ProgramStarted
    | ProgramEnded
    | NodesSeen
    | PortsWatched
    | PortsSeen
    | RunPaused
    | RunEnded
)
