"""The state of a run as a fold over its events. What is shown is always such a fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.asked import asked_after
from ctmupgrade.core.run.attempts import Attempt, attempts_after
from ctmupgrade.core.run.custody import UNMOVED, Custody, custody_after
from ctmupgrade.core.run.events import (
    Event,
    Evidence,
    NodeDecided,
    ProgramEnded,
    ProgramStarted,
    RequestRefused,
    RunEnded,
    RunHandedOver,
    RunPaused,
    RunResumed,
    RunStarted,
    RunTakenOver,
    StepDone,
    StepFailed,
    StepNoted,
    StepReopened,
    StepStarted,
    StopAsked,
)
from ctmupgrade.core.run.incidents import Incident, incidents_of, stopped_by
from ctmupgrade.core.run.note_codes import code_of_old_note
from ctmupgrade.core.run.observed import UNOBSERVED, Observed, observed_after
from ctmupgrade.core.run.program_runs import ProgramRun, programs_after, touched_after
from ctmupgrade.core.run.seen_events import NodesSeen, PortsSeen, PortsWatched
from ctmupgrade.core.run.step_state import BEGUN, Status, StepState, said_only
from ctmupgrade.core.run.surroundings import Surroundings
from ctmupgrade.core.run.versions_fold import versions_after

PARTIAL = 9  # the exit code of a run that ended as decided, but not with every node of its plan at the target


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
    paused_by: str = ""  # the step whose failure paused it
    code: int = 0
    outcome: str = ""
    successor: str = ""  # the run that took its place
    versions_after: Mapping[str, str] = field(default_factory=dict)
    versions_seen: Mapping[str, str] = field(default_factory=dict)  # see versions_after
    decisions: tuple[NodeDecided, ...] = ()
    reopened: frozenset[str] = frozenset()
    incidents: tuple[Incident, ...] = ()
    what: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    custody: Custody = UNMOVED
    programs: tuple[ProgramRun, ...] = ()  # hooks and checks of the operator's
    touched: frozenset[str] = frozenset()  # see touched_after
    observed: Observed = UNOBSERVED  # the cluster and its clients' ports, before and since
    attempts: tuple[Attempt, ...] = ()
    asked: frozenset[str] = frozenset()  # see asked_after
    surroundings: Surroundings = field(default_factory=Surroundings)

    @property
    def unfinished(self) -> bool:
        """Return whether the run has not ended, in one way or another."""
        return not self.outcome

    @property
    def name(self) -> str:
        """Return running, pausing, paused, failed, needs-operator, done or aborted."""
        if self.outcome:
            return "aborted" if self.outcome in ("aborted", "taken-over") else "done"
        statuses = {state.status for state in self.steps.values()}
        if self.paused:
            if Status.INCONCLUSIVE in statuses:
                return "needs-operator"
            return "failed" if Status.FAILED in statuses else "paused"
        return "pausing" if self.stop else "running"


def start(event: RunStarted, at: datetime) -> RunState:
    """Return the state after the first event."""
    steps = {step.id: StepState() for step in event.plan.steps}
    return RunState(
        event.run, event.mode, event.plan, event.by, steps, at, at, event.waived, what=event.what,
        files=event.files, surroundings=event.surroundings,
    )  # fmt: skip


def apply(state: RunState, event: Event, at: datetime) -> RunState:  # noqa: C901 - one case a kind
    """Return the state after one more event. Pure; unknown steps raise KeyError."""
    state = _with_event(state, event, at)
    match event:
        case RunStarted():
            return start(event, at)
        case RunResumed():
            return replace(state, paused="", paused_by="", code=0, stop="", by=event.by)
        case RunHandedOver() | RunTakenOver():
            return _moved(state, event, at)
        case StepStarted(step, before):
            held = state.steps[step]
            return _step(
                state, step,
                replace(held, status=Status.STARTED, before=before, started=held.started or at, finished=None,
                        error="", remedy="", starts=held.starts + 1, refused=False, noted_before=len(held.codes),
                        seen={}),
            )  # fmt: skip
        case StepNoted(step, text, code):
            held = state.steps[step]
            meant = code_of_old_note(text) if code is None else code
            return _step(state, step, replace(held, notes=(*held.notes, text), codes=(*held.codes, meant)))
        case StepDone(step, evidence):
            held, finished = state.steps[step], _not_before(state.steps[step].started, at)
            return _step(state, step, replace(held, status=Status.DONE, evidence=evidence, finished=finished))
        case StepFailed(step, error, remedy, _, inconclusive, refused, seen):
            status = Status.INCONCLUSIVE if inconclusive else Status.FAILED
            held = state.steps[step]
            finished = _not_before(held.started, at)
            failed = replace(held, status=status, error=error, remedy=remedy, finished=finished, refused=refused, seen=seen)  # fmt: skip
            return _step(state, step, failed)
        case StepReopened(step, _):
            held, reopened = state.steps[step], replace(state, reopened=state.reopened | {step})
            return _step(reopened, step, StepState(notes=held.notes, codes=held.codes))
        case NodeDecided():
            return _decide(state, event, at)
        case StopAsked(what, _):
            return replace(state, stop=what)
        case RequestRefused() | ProgramStarted() | ProgramEnded() | NodesSeen() | PortsWatched() | PortsSeen():  # fmt: skip
            return state
        case RunPaused(why, code):
            return replace(state, paused=why, code=code, paused_by=stopped_by(event, state.incidents[:-1]))
        case RunEnded(outcome, versions, _, successor):
            code = PARTIAL if outcome == "partial" else 0
            return replace(state, outcome=outcome, versions_after=versions, successor=successor, paused="", paused_by="",
                           code=code)  # fmt: skip


def _with_event(state: RunState, event: Event, at: datetime) -> RunState:
    """The state with what every event may add to: incidents, programs, looks."""
    told = incidents_of(event, at, state.at, state.plan, state.incidents)
    return replace(state, at=at, incidents=(*state.incidents, *told) if told else state.incidents,
                   touched=touched_after(state.touched, event, state.plan),
                   programs=programs_after(state.programs, event, at),
                   attempts=attempts_after(state.attempts, event, at, state.plan),
                   asked=asked_after(state.asked, event),
                   versions_seen=versions_after(state.versions_seen, event, state.plan, state.steps),
                   observed=observed_after(state.observed, event, at, state.at))  # fmt: skip


def _moved(state: RunState, event: RunHandedOver | RunTakenOver, at: datetime) -> RunState:
    custody = custody_after(state.custody, event, at)
    if isinstance(event, RunTakenOver):
        return replace(state, custody=custody, files=event.files or state.files)
    return replace(state, custody=custody, paused=custody.words, stop="")


def _not_before(started: datetime | None, at: datetime) -> datetime:
    """When a step ended. This machine's clock may be set back meanwhile, and no step ends before it began."""
    return at if started is None else max(started, at)


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
            steps[step.id] = replace(
                held, status=Status.SKIPPED, finished=_not_before(held.started, at), error=event.reason
            )
        elif held.status in STUCK and event.decision == "retry":
            earlier = held.before or held.earlier or (BEGUN if held.starts else {})
            steps[step.id] = StepState(notes=held.notes, codes=held.codes, earlier=earlier, seen=held.seen)
        elif held.status in STUCK:
            proof = {"operator": f"{event.by}: {event.reason}"}
            steps[step.id] = replace(
                held, status=Status.DONE, evidence=proof, finished=_not_before(held.started, at)
            )
    return replace(state, steps=steps, decisions=(*state.decisions, event))


def _out_of_order(plan: Plan) -> str:
    """The id of the first step that comes after one which does not stand before it; "" where all is in order, as in our own plans.
    A plan that was read from outside need not be."""
    before: set[str] = set()
    for step in plan.steps:
        if not before.issuperset(step.after):
            return step.id
        before.add(step.id)
    return ""


def replay(events: Iterable[tuple[Event, datetime]]) -> RunState:
    """Return the state after all events.

    :raises ValueError: the first is not RunStarted, or there is none, or its plan's steps are in no order to go through.
    """
    state: RunState | None = None
    for event, at in events:
        match event, state:
            case RunStarted(), None:
                if wrong := _out_of_order(event.plan):
                    raise ValueError(
                        f"step {wrong} of its plan comes after one that does not stand before it"
                    )
                state = start(event, at)
            case _, None:
                raise ValueError("the journal does not start with the start of a run")
            case _, RunState() as held:
                state = apply(held, event, at)
    if state is None:
        raise ValueError("the journal is empty")
    return state


__all__ = [  # the events are part of this module for its users
    "PARTIAL", "STUCK", "Event", "Evidence", "NodeDecided", "NodesSeen", "PortsSeen", "PortsWatched", "ProgramEnded", "ProgramStarted", "RequestRefused", "RunEnded",
    "RunHandedOver", "RunPaused", "RunResumed", "RunStarted", "RunState", "RunTakenOver", "Status", "StepDone", "StepFailed",
    "StepNoted", "StepReopened", "StepStarted", "StepState", "StopAsked", "apply", "replay", "said_only", "start",
]  # fmt: skip
