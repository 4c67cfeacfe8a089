"""What this machine's journals tell of the nodes: whose data was erased, whose reboot was not begun, and where a
rebuild stopped.

``recover`` needs it because a node that was reset, or whose join failed, looks like any other unclustered one,
although it holds nothing (vendor page "Clusters and Nodes": joining deletes all data of the joiner).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ctmupgrade.core.looks.boot import BootMark, Unbooted
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.node_settings import counts_of, read_settings
from ctmupgrade.core.plan.restore_actions import EraseNode, RestoreBackup
from ctmupgrade.core.plan.steps import (
    JoinNode,
    NewCluster,
    Reboot,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RunUpgrade,
    Step,
    changes_node,
    step_id,
)
from ctmupgrade.core.run.journal import STUCK, RunState, Status, StepState, said_only
from ctmupgrade.core.version import Version


@dataclass(frozen=True, slots=True)
class RunHistory:
    """:ivar run: the latest run that ended neither way, of those that change nodes.
    :ivar upgrades: that run upgrades nodes: going on with it ends with the target's version. A recovery need not.
    :ivar stuck: the nodes of which that run has a step that failed, or that nobody knows the end of.
    :ivar joins: when a join began, by node, of which no run knows that it was done.
    :ivar any_run: there is a run at all.
    :ivar survivor: the node that keeps the data in that run, where it is a rebuild.
    :ivar hurt: the survivor's upgrade began, and nothing proves that the survivor is well since.
    :ivar held_back: the node that was to stay apart as a copy of the old data, and was not joined since.
    :ivar replaced: nodes in whose place a run was to join new instances: they keep their old data, apart.
    :ivar emptied: nodes whose own data was erased, and which no join has filled again.
    :ivar keys: how many keys each node had when the latest run that wrote it down began, by name: of those that were not
        emptied then.
    :ivar alone: nodes that took clients' writes after the others had been removed from their cluster, and that no
        other has joined since: what was written then is on each of them alone."""

    run: str = ""
    upgrades: bool = False
    survivor: str = ""
    hurt: bool = False
    held_back: str = ""
    replaced: frozenset[str] = frozenset()
    emptied: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()
    joins: Mapping[str, datetime] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    any_run: bool = False


def past_of(states: Iterable[RunState]) -> RunHistory:
    """Return the past as all runs tell it, oldest first."""
    emptied: set[str] = set()
    alone: set[str] = set()
    joins: dict[str, datetime] = {}
    keys: dict[str, int] = {}
    last: RunState | None = None
    held_back, any_run, replaced = "", False, set[str]()
    for state in states:
        any_run = True
        keys = _keys(state, emptied) or keys
        replaced |= {name for name, _host in state.plan.options.fresh}
        if state.plan.strategy is StrategyName.REBUILD and state.plan.options.hold_back:
            held_back = state.plan.options.hold_back
        for step in state.plan.steps:
            held = state.steps[step.id]
            if held.started is None or _refused(state, step, held):
                continue
            _alone(alone, state, step, held.status)
            _joins(joins, step, held)
            if not isinstance(step.action, JoinNode | ResetNode | EraseNode | RestoreBackup):
                continue
            proven = held.status is Status.DONE and not said_only(held)
            if isinstance(step.action, JoinNode | RestoreBackup) and proven:
                emptied.discard(step.node)
                replaced.discard(step.node)
                held_back = "" if step.node == held_back else held_back
            else:
                emptied.add(step.node)
        if state.outcome in ("done", "partial"):
            alone.discard(_survivor(state))
        if any(changes_node(step.action) for step in state.plan.steps):
            last = state if state.unfinished else last
    kept = RunHistory(
        held_back=held_back, replaced=frozenset(replaced), emptied=frozenset(emptied), alone=frozenset(alone),
        joins=joins, keys=keys, any_run=any_run,
    )  # fmt: skip
    if last is None:
        return kept
    survivor = _survivor(last)
    stuck = frozenset(s.node for s in last.plan.steps if s.node and last.steps[s.id].status in STUCK)
    upgrades = any(isinstance(step.action, RunUpgrade) for step in last.plan.steps)
    return replace(
        kept, run=last.run, upgrades=upgrades, survivor=survivor, hurt=_hurt(last, survivor), stuck=stuck
    )


def _keys(state: RunState, emptied: Collection[str]) -> dict[str, int]:
    """Return how many keys a run wrote down of nodes with data, by name: one that an earlier run emptied, or
    that has none, tells nothing."""
    found: dict[str, int] = {}
    for step in state.plan.steps:
        text = state.steps[step.id].before.get("settings", "")
        if isinstance(step.action, RecordSettings) and text and step.node not in emptied:
            count = counts_of(read_settings(text)).get("keys")
            found |= {step.node: count} if count else {}
    return found


def _refused(state: RunState, step: Step, held: StepState) -> bool:
    """Return whether a step was begun once only, and that was refused for good: it has erased nothing."""
    attempts = sum(one.step == step.id for one in state.attempts)
    return held.status is Status.FAILED and held.refused and held.starts == 1 and attempts == 1


def _joins(joins: dict[str, datetime], step: Step, held: StepState) -> None:
    """What a step that began makes of the joins that are under way."""
    if isinstance(step.action, JoinNode) and held.status is not Status.DONE and held.started is not None:
        joins[step.node] = held.started
    elif isinstance(step.action, JoinNode | ResetNode | EraseNode):
        joins.pop(step.node, None)


def _alone(alone: set[str], state: RunState, step: Step, status: Status) -> None:
    """What a step that began makes of those that clients write to alone."""
    match step.action:
        case RemoveNode() if survivor := _survivor(state):
            alone.add(survivor)
        case ResetNode() | EraseNode():
            alone.discard(step.node)
        case JoinNode(via=via):
            alone.discard(step.node)
            if status is Status.DONE:
                alone.discard(via)
        case _:
            pass


def unbooted(states: Iterable[RunState]) -> dict[str, Unbooted]:
    """Return the nodes on which an upgrade began and no reboot was seen to follow, by all runs, oldest first: of each the
    latest. Whether somebody else has rebooted it since, its boot tells (:meth:`Facts.unbooted_still`)."""
    found: dict[str, Unbooted] = {}
    for state in states:
        for step in state.plan.steps:
            held = state.steps[step.id]
            if isinstance(step.action, RunUpgrade) and held.started is not None:
                boot = BootMark.of_text(held.before.get("boot", ""))
                target = Version.parse(state.plan.target.version)
                found[step.node] = Unbooted(state.run, target, boot, held.status is Status.DONE)
            elif isinstance(step.action, Reboot) and held.status is Status.DONE:
                found.pop(step.node, None)
    return found


def upgraded_in(states: Iterable[RunState]) -> dict[str, tuple[str, BootMark]]:
    """Return for each node that a run brought through its upgrade and its reboot the log of that upgrade, and the boot in
    which it ran; the latest counts, oldest run first."""
    found: dict[str, tuple[str, BootMark]] = {}
    for state in states:
        for step in state.plan.steps:
            held, log = state.steps[step.id], state.steps[step.id].evidence.get("log", "")
            if not isinstance(step.action, RunUpgrade) or held.started is None:
                continue
            found.pop(step.node, None)
            reboot = state.steps.get(step_id("reboot", step.node))
            if held.status is Status.DONE and log and reboot and reboot.status is Status.DONE:
                found[step.node] = log, BootMark.of_text(held.before.get("boot", ""))
    return found


def _survivor(state: RunState) -> str:
    if state.plan.strategy is not StrategyName.REBUILD:
        return ""
    return next((s.node for s in state.plan.steps if isinstance(s.action, NewCluster)), "")


def _hurt(state: RunState, survivor: str) -> bool:
    upgrade, proof = (
        state.steps.get(step_id("upgrade", survivor)),
        state.steps.get(step_id("await", survivor)),
    )
    if upgrade is None or upgrade.started is None:
        return False
    left = Status.SKIPPED in (upgrade.status, proof.status if proof else None)
    return left or proof is None or proof.status is not Status.DONE
