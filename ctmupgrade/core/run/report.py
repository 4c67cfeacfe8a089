"""What happened, as a document: a fold over the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctmupgrade.core.plan.steps import RunUpgrade, Step, in_service
from ctmupgrade.core.run.account import Account, account_of
from ctmupgrade.core.run.before_after import compared, worse_findings
from ctmupgrade.core.run.client_ports import clients_line, port_findings
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import kind_of, title_of
from ctmupgrade.core.run.left_running import scripts_left
from ctmupgrade.core.run.outcome import is_of, left_undone
from ctmupgrade.core.run.pending_reboots import pending_reboots
from ctmupgrade.core.run.report_lines import (
    NO_TIMES,
    ClientsLine,
    ComparedLine,
    FindingLine,
    IncidentLine,
    ProgramLine,
    TimesLine,
    incident_line,
    iso_time,
    program_line,
)
from ctmupgrade.core.run.seen_versions import NOT_SEEN, is_seen, version_after
from ctmupgrade.core.run.still_to_do import still_to_do
from ctmupgrade.core.run.times_taken import node_times, run_times, step_times
from ctmupgrade.core.version import Version


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step in a report. Times are ISO 8601, "" where it has none."""

    id: str
    status: str
    started: str
    finished: str
    evidence: Mapping[str, str]
    error: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()
    times: TimesLine = NO_TIMES


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node in a report. ``state``: done, pending, running, waiting (between two of its
    steps, or for another node), interrupted (running when the run ended), failed, needs-operator, skipped, unchanged."""

    name: str
    version_before: str
    version_after: str
    state: str
    seen: bool = True  # the version is one that a look has proven since its upgrade began
    times: TimesLine = NO_TIMES


@dataclass(frozen=True, slots=True)
class JournalHead:
    """How many lines the journal has, and the sha256 of the last one: who keeps these two can tell later whether the
    journal is still the same up to there."""

    lines: int
    head: str
    check: str = ""  # the command that tells it, where it is known with which options this run is found


@dataclass(frozen=True, slots=True)
class Report:
    """The whole document (contract: status and report)."""

    run: str
    cluster: str
    mode: str
    state: str
    outcome: str
    strategy: str
    target: str
    by: str
    started: str
    finished: str
    exit_code: int
    why: str
    nodes: tuple[NodeLine, ...]
    steps: tuple[StepLine, ...]
    waived: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    pending_reboots: tuple[str, ...] = ()  # a sentence each; among the notes too
    left_behind: tuple[str, ...] = ()  # likewise, of nodes that are not what the run's plan was for
    incidents: tuple[IncidentLine, ...] = ()
    journal: JournalHead | None = None  # None: it is not known, as in a run that another process writes
    kind: str = "upgrade"  # a RunKind
    title: str = ""
    stopped_by: str = ""  # the step whose failure ``why`` is
    programs: tuple[ProgramLine, ...] = ()
    findings: tuple[FindingLine, ...] = ()  # what is worse than before the run
    before_after: tuple[ComparedLine, ...] = ()
    clients: ClientsLine | None = None  # None: nobody looked, as in journals of earlier versions
    times: TimesLine = NO_TIMES
    account: Account | None = None  # None: only in reports that tests make by hand


def node_state(state: RunState, node: str) -> str:
    """Return a node's state in one word, from its steps."""
    statuses = [state.steps[s.id].status for s in state.plan.steps if s.node == node]
    if not statuses:
        return "unchanged"
    for status, word in ((Status.INCONCLUSIVE, "needs-operator"), (Status.FAILED, "failed")):
        if status in statuses:
            return word
    if all(s is Status.DONE for s in statuses):
        return "done"
    if Status.SKIPPED in statuses and all(s in (Status.DONE, Status.SKIPPED) for s in statuses):
        return "skipped"
    if all(s is Status.PENDING for s in statuses):
        return "pending"
    begun = "running" if state.unfinished else "interrupted"
    return begun if Status.STARTED in statuses else "waiting"


def left_behind(state: RunState, nodes: tuple[NodeLine, ...]) -> tuple[str, ...]:
    """Return, where a run has ended, the nodes that are not what it was for: skipped by a decision, or left out by ``--nodes``.
    "Done" must not be read as "all is well"."""
    if state.outcome not in ("done", "partial"):
        return ()
    if not any(isinstance(s.action, RunUpgrade) for s in state.plan.steps):
        return tuple(
            f"NOT finished: steps of {name or 'the run'} were skipped" for name in left_undone(state)
        )
    target = Version.parse(state.plan.target.version)
    undone = left_undone(state)
    unseen = [n for n in nodes if not n.seen and n.name in undone]
    behind = [n for n in nodes if n.seen and n.version_after and not is_of(n.version_after, target)]
    rest = [name for name in undone if name not in {n.name for n in (*behind, *unseen)}]
    return (
        *(f"NOT at {target.short}: {n.name} is still on {n.version_after}" for n in behind),
        *(f"NOT known to be at {target.short}: {n.name} is on {NOT_SEEN}" for n in unseen),
        *(f"NOT finished: steps of {name or 'the run'} were skipped, or are not proven" for name in rest),
    )


def out_of_service(state: RunState) -> frozenset[str]:
    """Return the nodes that a run which goes on keeps from serving at this moment."""
    if state.name not in ("running", "pausing"):
        return frozenset()
    over = (Status.DONE, Status.SKIPPED)
    begun = {s.node for s in state.plan.steps if not in_service(s.action) and state.steps[s.id].started}
    left = {
        s.node for s in state.plan.steps if not in_service(s.action) and state.steps[s.id].status not in over
    }
    return frozenset(begun & left)


def _notes(state: RunState) -> tuple[str, ...]:
    """The plan's notes: in the past tense once all is done. Journals of earlier versions have one text of each."""
    past = state.plan.past_notes if state.outcome in ("done", "partial") else ()
    return past or state.plan.notes


def _step_line(state: RunState, step: Step) -> StepLine:
    held, times = state.steps[step.id], step_times(state, step)
    return StepLine(
        step.id, held.status.value, iso_time(held.started), iso_time(held.finished), held.evidence, held.error,
        still_to_do(state, held),
        held.notes, times,
    )  # fmt: skip


def make_report(state: RunState, head: JournalHead | None = None) -> Report:
    """Return the report of a run at any moment of it.

    :param head: of the journal that the state was read from, where it is known.
    """
    between = (
        () if state.name in ("running", "pausing") else pending_reboots(state, aborted=not state.unfinished)
    )
    between += scripts_left(state)
    nodes = tuple(
        NodeLine(name, before, version_after(state, name), node_state(state, name), is_seen(state, name), node_times(state, name))
        for name, before in state.plan.versions.items()
    )  # fmt: skip
    behind = left_behind(state, nodes)
    looks, clients = state.observed.looks, state.observed.clients
    return Report(
        run=state.run, cluster=state.plan.cluster, mode=state.mode.value, state=state.name,
        outcome=state.outcome or state.name, strategy=state.plan.strategy.value,
        target=state.plan.target.version, by=state.by, started=iso_time(state.started), finished=iso_time(state.at),
        exit_code=state.code, why=state.paused, nodes=nodes, steps=tuple(_step_line(state, step) for step in state.plan.steps), waived=state.waived,
        notes=(*_notes(state), *between, *behind), pending_reboots=between, left_behind=behind,
        decisions=tuple(f"{d.node}: {d.decision} by {d.by}: {d.reason}" for d in state.decisions),
        incidents=tuple(incident_line(one) for one in state.incidents), journal=head,
        kind=kind_of(state).value, title=title_of(state), stopped_by=state.paused_by,
        programs=tuple(program_line(one) for one in state.programs),
        findings=(*worse_findings(looks), *port_findings(clients, out_of_service(state), state.at)),
        before_after=tuple(compared(looks)), clients=clients_line(clients, state.at),
        account=account_of(state), times=run_times(state),
    )  # fmt: skip


__all__ = [  # some lines of a report are part of this module for its users
    "IncidentLine", "JournalHead", "NodeLine", "ProgramLine", "Report", "StepLine", "left_behind", "make_report", "node_state",
    "pending_reboots", "version_after",
]  # fmt: skip
