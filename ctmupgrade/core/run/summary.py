"""One page about a run for whoever takes it over: what is done, what is being done, what comes next, what is dangerous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctmupgrade.core.plan.step_words import after_step, step_words
from ctmupgrade.core.plan.steps import Reboot, RunUpgrade, Step, changes_node, erases
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import title_of
from ctmupgrade.core.run.remaining import versions
from ctmupgrade.core.run.report import node_state, pending_reboots
from ctmupgrade.core.timing import clock_time

_MOST_STEPS = 8  # of those that come next
_LONGEST = 300  # characters of an error


@dataclass(frozen=True, slots=True)
class Summary:
    """The page; each part is a list of sentences."""

    title: str
    run: str
    state: str
    done: tuple[str, ...]
    doing: tuple[str, ...]
    next: tuple[str, ...]
    danger: tuple[str, ...]

    @property
    def parts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return each part with its heading."""
        return (("Done", self.done), ("Doing", self.doing), ("Next", self.next), ("Danger", self.danger))


def summary_of(state: RunState) -> Summary:
    """Return the page about a run that no process drives."""
    return Summary(
        title_of(state), state.run, state.name, tuple(_done(state)), tuple(_doing(state)), tuple(_next(state)),
        tuple(_danger(state)),
    )  # fmt: skip


def _with_status(state: RunState, *statuses: Status) -> list[Step]:
    return [step for step in state.plan.steps if state.steps[step.id].status in statuses]


def _done(state: RunState) -> Iterator[str]:
    over = _with_status(state, Status.DONE, Status.SKIPPED)
    yield f"{len(over)} of {len(state.plan.steps)} steps; {versions(state)}."
    finished = [name for name in state.plan.nodes if node_state(state, name) == "done"]
    yield f"Nodes that are finished: {', '.join(finished) or 'none'}."
    yield from (f"{d.node}: decided: {d.decision}, by {d.by}: {d.reason}" for d in state.decisions)


def _doing(state: RunState) -> Iterator[str]:
    begun = _with_status(state, Status.STARTED)
    yield from (
        f"{step.id} was started and may go on by itself: {step_words(step)}. A resume looks before it repeats anything."
        for step in begun
    )
    for step in _with_status(state, Status.FAILED, Status.INCONCLUSIVE):
        held = state.steps[step.id]
        word = "FAILED" if held.status is Status.FAILED else "NOT KNOWN WHETHER DONE"
        yield f"{step.id}: {word}: {after_step(step.id, held.error)[:_LONGEST]}"
    if state.paused:
        yield f"It stands still: {state.paused}."


def _next(state: RunState) -> Iterator[str]:
    left = _with_status(state, Status.PENDING, Status.STARTED, Status.FAILED, Status.INCONCLUSIVE)
    seconds = state.plan.critical_path_s(of={step.id for step in left})
    yield f"{len(left)} steps, about {clock_time(seconds)}."
    yield from (f"{step.id}: {step_words(step)}" for step in left[:_MOST_STEPS])
    if len(left) > _MOST_STEPS:
        yield f"and {len(left) - _MOST_STEPS} more"


def _danger(state: RunState) -> Iterator[str]:
    for step in _with_status(state, Status.STARTED, Status.FAILED, Status.INCONCLUSIVE):
        if isinstance(step.action, RunUpgrade):
            yield f"{step.node}: ks_upgrade.sh may still run: do not reboot it and do not start it again by hand."
        elif isinstance(step.action, Reboot):
            yield f"{step.node} may be down, on its way through a reboot."
        elif changes_node(step.action):
            yield f"{step.node} may be half changed: {step_words(step)}."
    yield from (f"{line}." for line in pending_reboots(state, aborted=False))
    for step in _with_status(state, Status.PENDING):
        if erases(step.action):
            yield f"To come: {step_words(step)}."
    yield from (f"Waived: {check}: {reason}" for check, reason in state.waived)
    yield from state.plan.notes
    yield "Only one machine may go on with this run: the one that has taken it over last."
