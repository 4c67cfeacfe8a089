"""The ways of taking a cluster to the target, each as a graph of steps."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan import common_steps
from ctmupgrade.core.plan.estimates import timed
from ctmupgrade.core.plan.rebuild import rebuild
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    Gate,
    RecordSettings,
    RunUpgrade,
    Settle,
    Step,
    step,
    step_id,
)
from ctmupgrade.core.timing import GATE_S, QUICK_S, SERVICES_S
from ctmupgrade.core.version import reached


def node_order(cluster: Cluster, options: Options) -> tuple[str, ...]:
    """Return the nodes to take, in their order: ``--order`` first, then cluster.yaml's; ``--nodes`` limits it. The one that
    ctmupgrade runs on comes last, for its reboot ends this process."""
    return tuple(sorted(order_as_given(cluster, options), key=lambda name: name == cluster.own_node))


def order_as_given(cluster: Cluster, options: Options) -> tuple[str, ...]:
    """Return the nodes in the order of ``--order`` and cluster.yaml, wherever ctmupgrade runs."""
    names = [node.name for node in cluster.nodes]
    ordered = [*options.order, *(n for n in names if n not in options.order)]
    return tuple(n for n in ordered if not options.nodes or n in options.nodes)


def needs_upgrade(facts: Facts, cluster: Cluster, name: str) -> bool:
    """Return whether a node is not known to be at the target."""
    version = facts.nodes[name].version
    return isinstance(version, Unknown) or not reached(version, cluster.target.version)


def preparation(facts: Facts, options: Options, names: tuple[str, ...]) -> Iterator[Step]:
    """Signature, backups, the archive and what a node looks like before, on all nodes side by side."""
    yield common_steps.verification(facts)
    if not common_steps.backup_waived(options):
        yield from common_steps.backups(facts, names)
    yield from common_steps.uploads(facts, names)
    for name in names:
        staged = (step_id("stage", name),)
        yield step(RecordSettings(), name, "to compare afterwards", QUICK_S, staged)


def node_chain(
    name: str, after: tuple[str, ...], cluster: Cluster, options: Options, *, clustered: bool, why: str
) -> Iterator[Step]:
    """Upgrade, reboot, wait, verify: what one node goes through."""
    yield from common_steps.upgraded(name, RunUpgrade(options.force_path), why, after)
    why, rebooted = "the other nodes must report it as ready and connected", (step_id("reboot", name),)
    back = step(AwaitNode(clustered), name, why, SERVICES_S, rebooted)
    yield back
    why, seconds = "it must stay healthy before the next node starts", int(cluster.stable_for.total_seconds())
    settling = step(Settle(clustered), name, why, seconds, (back.id,))
    yield settling
    # Nothing waits for it: the next node's gate goes on beside it.
    yield step(CompareSettings(), name, "report what else the upgrade changed", QUICK_S, (settling.id,))


def in_place(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    """Yield a chain of nodes behind a fan of uploads and backups."""
    names = tuple(n for n in node_order(cluster, options) if needs_upgrade(facts, cluster, n))
    if not names:
        return
    prepared = list(preparation(facts, options, names))
    yield from prepared
    before = tuple(one.id for one in prepared)
    migrated = any(not needs_upgrade(facts, cluster, node.name) for node in cluster.nodes)
    for position, name in enumerate(names):
        # The first has no node before it that was watched while it settled.
        seconds = GATE_S if position else GATE_S + int(cluster.stable_for.total_seconds())
        gate = step(Gate(), name, "every node must report every other node as healthy", seconds, before)
        yield gate
        why = (
            "the first node migrates the shared database, which is locked for up to 30 s on all nodes"
            if position == 0 and not migrated
            else f"{position + 1} of {len(names)}: one node at a time"
        )
        yield from node_chain(name, (gate.id,), cluster, options, clustered=True, why=why)
        before = (step_id("settle", name),)


def standalone(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    """Yield one unclustered appliance."""
    names = tuple(n for n in node_order(cluster, options) if needs_upgrade(facts, cluster, n))
    if not names:
        return
    prepared = list(preparation(facts, options, names))
    yield from prepared
    before = tuple(one.id for one in prepared)
    for name in names:
        yield from node_chain(name, before, cluster, options, clustered=False, why="the only appliance")
        before = (step_id("settle", name),)


def steps_for(facts: Facts, cluster: Cluster, options: Options) -> tuple[Step, ...]:
    """Return the steps of the cluster's strategy, with how long they take."""
    return timed(_steps_for(facts, cluster, options), facts, cluster.target.version)


def _steps_for(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    match cluster.strategy:
        case StrategyName.IN_PLACE:
            return in_place(facts, cluster, options)
        case StrategyName.REBUILD:
            return rebuild(facts, cluster, options)
        case StrategyName.STANDALONE:
            return standalone(facts, cluster, options)
