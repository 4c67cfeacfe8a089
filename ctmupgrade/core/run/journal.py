"""Events, and the state of a run as a fold over them. What is shown is always such a fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.note_codes import NoteCode, code_of_old_note

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
    kind: Literal["run-started"] = "run-started"


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A process took the run up again."""

    by: str
    pid: int
    version: str
    kind: Literal["run-resumed"] = "run-resumed"


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
    kind: Literal["node-decided"] = "node-decided"


@dataclass(frozen=True, slots=True)
class StopAsked:
    """``pause``, ``abort`` or Ctrl-C."""

    what: Literal["pause", "abort"]
    by: str
    kind: Literal["stop-asked"] = "stop-asked"


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Nothing further is started; ``resume`` goes on."""

    why: str
    code: int
    kind: Literal["run-paused"] = "run-paused"


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event: done, aborted, or dry-run."""

    outcome: Literal["done", "aborted", "dry-run", "nothing-to-do", "taken-over"]
    versions: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    kind: Literal["run-ended"] = "run-ended"


Event: TypeAlias = (
    RunStarted
    | RunResumed
    | StepStarted
    | StepNoted
    | StepDone
    | StepFailed
    | StepReopened
    | NodeDecided
    | StopAsked
    | RunPaused
    | RunEnded
)


class Status(StrEnum):
    """``started`` means: an attempt was made, and may have worked."""

    PENDING = "pending"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


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
    notes: tuple[str, ...] = ()
    codes: tuple[NoteCode, ...] = ()  # what each note means to the program


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands."""

    run: str
    mode: Mode
    plan: Plan
    by: str
    steps: Mapping[str, StepState]
    at: datetime
    started: datetime
    waived: tuple[tuple[str, str], ...] = ()
    stop: Literal["", "pause", "abort"] = ""
    paused: str = ""
    code: int = 0
    outcome: str = ""
    versions_after: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[NodeDecided, ...] = ()
    reopened: frozenset[str] = frozenset()

    @property
    def unfinished(self) -> bool:
        """Return whether the run has not ended, in one way or another."""
        return not self.outcome

    @property
    def name(self) -> str:
        """running, pausing, paused, failed, needs-operator, done or aborted."""
        if self.outcome:
            return "aborted" if self.outcome in ("aborted", "taken-over") else "done"
        statuses = {state.status for state in self.steps.values()}
        if self.paused:
            if Status.INCONCLUSIVE in statuses:
                return "needs-operator"
            return "failed" if Status.FAILED in statuses else "paused"
        return "pausing" if self.stop else "running"


def start(event: RunStarted, at: datetime) -> RunState:
    """The state after the first event."""
    steps = {step.id: StepState() for step in event.plan.steps}
    return RunState(event.run, event.mode, event.plan, event.by, steps, at, at, event.waived)


def apply(state: RunState, event: Event, at: datetime) -> RunState:  # noqa: C901 - one case a kind
    """The state after one more event. Pure; unknown steps raise KeyError."""
    state = replace(state, at=at)
    match event:
        case RunStarted():
            return start(event, at)
        case RunResumed():
            return replace(state, paused="", code=0, stop="", by=event.by)
        case StepStarted(step, before):
            held = state.steps[step]
            return _step(
                state, step,
                replace(held, status=Status.STARTED, before=before, started=held.started or at, finished=None,
                        error="", remedy=""),
            )  # fmt: skip
        case StepNoted(step, text, code):
            held = state.steps[step]
            meant = code_of_old_note(text) if code is None else code
            return _step(state, step, replace(held, notes=(*held.notes, text), codes=(*held.codes, meant)))
        case StepDone(step, evidence):
            held = state.steps[step]
            return _step(state, step, replace(held, status=Status.DONE, evidence=evidence, finished=at))
        case StepFailed(step, error, remedy, _, inconclusive):
            status = Status.INCONCLUSIVE if inconclusive else Status.FAILED
            held = state.steps[step]
            return _step(state, step, replace(held, status=status, error=error, remedy=remedy, finished=at))
        case StepReopened(step, _):
            reopened = replace(state, reopened=state.reopened | {step})
            return _step(
                reopened, step, StepState(notes=state.steps[step].notes, codes=state.steps[step].codes)
            )
        case NodeDecided():
            return _decide(state, event, at)
        case StopAsked(what, _):
            return replace(state, stop=what)
        case RunPaused(why, code):
            return replace(state, paused=why, code=code)
        case RunEnded(outcome, versions, _):
            return replace(state, outcome=outcome, versions_after=versions, paused="", code=0)


def _step(state: RunState, step: str, value: StepState) -> RunState:
    return replace(state, steps={**state.steps, step: value})


STUCK = (Status.FAILED, Status.INCONCLUSIVE, Status.STARTED)


def _decide(state: RunState, event: NodeDecided, at: datetime) -> RunState:
    """retry: the stuck step is pending again. done: it counts as done. skip: all that is left of the
    node is skipped."""
    steps = dict(state.steps)
    for step in state.plan.steps:
        held = steps[step.id]
        if step.node != event.node or held.status in (Status.DONE, Status.SKIPPED):
            continue
        if event.decision == "skip":
            steps[step.id] = replace(held, status=Status.SKIPPED, finished=at, error=event.reason)
        elif held.status in STUCK and event.decision == "retry":
            steps[step.id] = StepState(notes=held.notes, codes=held.codes)
        elif held.status in STUCK:
            proof = {"operator": f"{event.by}: {event.reason}"}
            steps[step.id] = replace(held, status=Status.DONE, evidence=proof, finished=at)
    return replace(state, steps=steps, decisions=(*state.decisions, event))


def replay(events: Iterable[tuple[Event, datetime]]) -> RunState:
    """The state after all events.

    :raises ValueError: the first is not RunStarted, or there is none.
    """
    state: RunState | None = None
    for event, at in events:
        match event, state:
            case RunStarted(), None:
                state = start(event, at)
            case _, None:
                raise ValueError("the journal does not begin with the start of a run")
            case _, RunState() as held:
                state = apply(held, event, at)
    if state is None:
        raise ValueError("the journal is empty")
    return state
