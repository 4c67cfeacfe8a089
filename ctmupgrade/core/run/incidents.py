"""Keep every failure, pause, decision and resume of a run: no later success and no skip folds one of them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.events import (
    Event,
    NodeDecided,
    ProgramEnded,
    ProgramStarted,
    RequestRefused,
    RunEnded,
    RunHandedOver,
    RunPaused,
    RunResumed,
    RunTakenOver,
    StepFailed,
    StopAsked,
)
from ctmupgrade.core.timing import clock_time

Kind: TypeAlias = Literal[
    "failure", "inconclusive", "pause", "stop-asked", "decision", "resume", "request-refused", "end", "clock",
    "handed-over", "taken-over", "program",
]  # fmt: skip
_SET_BACK = timedelta(seconds=2)  # a clock that a time server steers goes back by less


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that an auditor asks about.

    :ivar at: when, by the clock of the machine that ran it. :ivar step: "" where it concerns the whole run.
    :ivar node: likewise. :ivar remedy: what was advised. :ivar who: who decided, stopped or resumed, as user@host.
    """

    at: datetime
    kind: Kind
    text: str
    node: str = ""
    step: str = ""
    remedy: str = ""
    who: str = ""


def incidents_of(
    event: Event, at: datetime, before: datetime, plan: Plan, told: tuple[Incident, ...]
) -> tuple[Incident, ...]:
    """Return what an event adds to a run's incidents.

    :param before: the time of the event before it. :param told: the incidents until then.
    """
    return (*_clock(at, before), *_of_programs(event, at), *_of(event, at, plan, told))


def stopped_by(event: RunPaused, told: tuple[Incident, ...]) -> str:
    """Return the step whose failure stopped a run, and which tells why; "" where there is none.

    :param told: the incidents before it.
    """
    if event.step is not None:
        return event.step
    return next((one.step for one in told[-3:] if one.step and one.text == event.why), "")


def _clock(at: datetime, before: datetime) -> Iterator[Incident]:
    if before - at > _SET_BACK:
        back = clock_time(round((before - at).total_seconds()))
        yield Incident(at, "clock", f"the clock of this machine was set back by about {back}")


def _of(event: Event, at: datetime, plan: Plan, told: tuple[Incident, ...]) -> Iterator[Incident]:
    match event:
        case StepFailed(step, error, remedy, _, inconclusive):
            kind: Kind = "inconclusive" if inconclusive else "failure"
            node = next((s.node for s in plan.steps if s.id == step), "")
            yield Incident(at, kind, error, node, step, remedy)
        case RunPaused(why, code):
            why = "paused for that" if stopped_by(event, told) else why  # a failure is told once
            yield Incident(at, "pause", f"{why} (exit {code})")
        case RunResumed(by=by):
            yield Incident(at, "resume", "resumed", who=by)
        case RunHandedOver(by=by, file=file):
            yield Incident(at, "handed-over", f"handed over into {file}", who=by)
        case RunTakenOver(by=by):
            yield Incident(at, "taken-over", "taken over, to go on there", who=by)
        case StopAsked(what, by):
            yield Incident(at, "stop-asked", f"{what} asked", who=by)
        case NodeDecided(node, decision, reason, by):
            yield Incident(at, "decision", f"{decision}: {reason}", node, who=by)
        case RequestRefused(file, why):
            yield Incident(at, "request-refused", f"{why} (set aside: {file})")
        case RunEnded(why=why) if why:
            yield Incident(at, "end", why)
        case _:
            pass


def _of_programs(event: Event, at: datetime) -> Iterator[Incident]:
    match event:
        case ProgramStarted(what, node, again=True):
            yield Incident(at, "program", f"{what} is run again: how it ended before is not known", node)
        case ProgramEnded(what, node, code, output, error) if code:
            yield Incident(at, "program", program_failure(what, node, code, output, error), node)
        case _:
            pass


def program_failure(what: str, node: str, code: int, output: str, error: str) -> str:
    """Return how a program of the operator's failed, with the last line that it printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = f': "{lines[-1][:200]}"' if lines else ""
    return f"{what}{f' of {node}' if node else ''} failed: {error or f'exit {code}'}{said}"
