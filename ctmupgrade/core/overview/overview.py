"""One value of all that is shown of a run while it goes: a fold over its journal and what its steps say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ctmupgrade.core.overview.activity import Activity, Doing
from ctmupgrade.core.overview.forecast import OVER, Forecast, Span, forecast
from ctmupgrade.core.overview.health import ClusterHealth, health_of
from ctmupgrade.core.overview.phases import phase_of
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.step_words import after_step
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import kind_of, title_of
from ctmupgrade.core.run.report import node_state
from ctmupgrade.core.run.seen_versions import version_after
from ctmupgrade.core.run.timeline import timeline_of

Group: TypeAlias = Literal["in work", "stuck", "waiting", "done", "skipped", "unchanged"]


@dataclass(frozen=True, slots=True)
class Work:
    """A step in hand.

    :ivar phase: what is done, in words. :ivar usual_s: seconds that it usually takes. :ivar worst_s: at worst.
    :ivar activity: what it said last; None: nothing yet.
    """

    step: str
    phase: str
    since: datetime
    elapsed_s: int
    usual_s: int
    worst_s: int
    activity: Activity | None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node. :ivar phase: what happens to it, or its state, in words. :ivar span: of what is left to do on it.
    :ivar took_s: seconds for which it was out of service at most, where that is over; None: it was not, or is not known.
    :ivar why: why it is stuck or was skipped."""

    name: str
    version: str
    state: str
    group: Group
    phase: str
    work: tuple[Work, ...]
    span: Span | None
    took_s: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """Where a run is.

    :ivar at: the moment that it is of. :ivar alive: a process runs it. :ivar step: number of the step in hand, from 1.
    :ivar over: steps that are done or skipped. :ivar span: of all that is left; None: nothing is left.
    :ivar work: steps in hand of no node.
    """

    state: RunState
    at: datetime
    alive: bool
    title: str
    kind: str
    versions_before: tuple[str, ...]
    over: int
    rows: tuple[NodeRow, ...]
    work: tuple[Work, ...]
    span: Span | None
    health: ClusterHealth
    doing: Doing

    @property
    def steps(self) -> int:
        """Return how many steps the plan has."""
        return len(self.state.plan.steps)

    @property
    def step(self) -> int:
        """Return the number of the step in hand."""
        return min(self.over + 1, self.steps)

    @property
    def elapsed_s(self) -> int:
        """Return the seconds since the run began; of one that has ended, until it did."""
        until = self.at if self.state.unfinished else self.state.at
        return _seconds(self.state.started, until)

    def group(self, group: Group) -> tuple[NodeRow, ...]:
        """Return the nodes of a group, in the plan's order."""
        return tuple(row for row in self.rows if row.group == group)

    @property
    def waits(self) -> tuple[tuple[str, Work], ...]:
        """Return the steps in hand, each with its node; "" where it has none."""
        return (
            *(("", work) for work in self.work),
            *((row.name, work) for row in self.rows for work in row.work),
        )


def make_overview(state: RunState, doing: Doing, now: datetime, *, alive: bool) -> Overview:
    """Return where a run is.

    :param doing: what its steps said last. :param now: of the run's clock. :param alive: a process runs it.
    """
    ahead = forecast(state, now, doing.window) if state.unfinished else Forecast()
    works = {
        step.id: work for step in state.plan.steps if (work := _work(state, step, doing, now, alive=alive))
    }
    took = {away.node: away.seconds for away in timeline_of(state).away if away.until is not None}
    rows = tuple(_row(state, name, works, ahead, took.get(name)) for name in state.plan.versions)
    before = tuple(dict.fromkeys(version for version in state.plan.versions.values() if version))
    return Overview(
        state, now, alive, title_of(state), kind_of(state).value, before,
        sum(state.steps[step.id].status in OVER for step in state.plan.steps), rows,
        (*_beside_the_steps(doing, now), *(works[s.id] for s in state.plan.steps if not s.node and s.id in works)),
        ahead.whole(), health_of(state), doing,
    )  # fmt: skip


def _work(state: RunState, step: Step, doing: Doing, now: datetime, *, alive: bool) -> Work | None:
    held, said = state.steps[step.id], doing.activities.get(step.id)
    begun = held.status is Status.STARTED
    if not alive or not state.unfinished or held.status in OVER or not (begun or said):
        return None
    since = held.started if begun and held.started else said.since if said else now
    return Work(step.id, phase_of(step), since, _seconds(since, now), step.estimate_s, worst_of(step), said)


_BESIDE = {"window": "waiting for the window", "ending": "making sure that all is still well"}


def _beside_the_steps(doing: Doing, now: datetime) -> Iterator[Work]:
    """The waits that are of no step."""
    for key, words in _BESIDE.items():
        if (said := doing.activities.get(key)) is not None:
            left = _seconds(now, said.gives_up) if said.gives_up else 0
            yield Work(key, words, said.since, _seconds(said.since, now), left, left, said)


def _row(state: RunState, name: str, works: dict[str, Work], ahead: Forecast, took_s: int | None) -> NodeRow:
    mine = [step for step in state.plan.steps if step.node == name]
    work = tuple(works[step.id] for step in mine if step.id in works)
    word = node_state(state, name)
    group = _group(word, work)
    phase = ", ".join(dict.fromkeys(one.phase for one in work)) or _PHASES.get(word, "waiting")
    return NodeRow(
        name, version_after(state, name), word, group, _between(state, mine, word, work) or phase, work,
        ahead.whole(frozenset(step.id for step in mine)), took_s if group == "done" else None,
        _why(state, mine),
    )  # fmt: skip


_PHASES = {
    "done": "done", "skipped": "skipped", "unchanged": "not in this run", "failed": "FAILED",
    "needs-operator": "NEEDS YOUR DECISION",
}  # fmt: skip


def _group(word: str, work: tuple[Work, ...]) -> Group:
    match word:
        case "failed" | "needs-operator":
            return "stuck"
        case "done":
            return "done"
        case "skipped":
            return "skipped"
        case "unchanged":
            return "unchanged"
        case _:
            return "in work" if work else "waiting"


def _between(state: RunState, mine: list[Step], word: str, work: tuple[Work, ...]) -> str:
    """What a node is called that nothing is done to, but something was left half done on."""
    if work or word not in ("running", "interrupted"):
        return ""
    left = [step for step in mine if state.steps[step.id].status is Status.STARTED]
    return f"left while {phase_of(left[0])}" if left else ""


def _why(state: RunState, mine: list[Step]) -> str:
    for step in mine:
        held = state.steps[step.id]
        if held.status in (Status.FAILED, Status.INCONCLUSIVE):
            return after_step(step.id, held.error)
    return next(
        (
            held.error
            for step in mine
            if (held := state.steps[step.id]).status is Status.SKIPPED and held.error
        ),
        "",
    )


def _seconds(since: datetime, until: datetime) -> int:
    return max(0, int((until - since).total_seconds()))
