"""The remove/rebuild strategy as a graph, with the count of nodes that hold the data at each step.

One node, the survivor, keeps the cluster's data and is upgraded first. The others are removed but *not*
touched: each is a whole copy of the old data until the survivor is proven well on the target and forms the
new cluster. Only then are they upgraded, side by side, and joined one at a time, which erases them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from ctmupgrade.core import manual_commands
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.plan import common_steps
from ctmupgrade.core.plan.common_steps import VERIFIED, comparison, upgraded_alone
from ctmupgrade.core.plan.new_instances import fresh_name
from ctmupgrade.core.plan.notes import note
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    DeleteClusterConfig,
    Gate,
    JoinNode,
    MakeBackup,
    NewCluster,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RestoreSettings,
    RunUpgrade,
    Step,
    step,
    step_id,
)
from ctmupgrade.core.timing import BACKUP_S, GATE_S, JOIN_S, QUICK_S, SERVICES_S


def survivor_of(facts: Facts, cluster: Cluster, options: Options) -> tuple[str, str]:
    """Return the node that keeps the data, and why it."""
    if options.survivor:
        return options.survivor, "chosen by --survivor"
    if cluster.own_node:
        return cluster.own_node, "ctmupgrade runs on it, and every other node is erased when it joins"
    names = [n.name for n in cluster.nodes if n.name not in (options.hold_back, *dict(options.fresh))]

    def free(name: str) -> int:
        mounts = facts.nodes[name].mounts
        return 0 if isinstance(mounts, Unknown) else min(m.free for m in mounts)

    best = max(names, key=lambda name: (free(name), -names.index(name)))
    return best, "it has the most free space; --survivor chooses another"


def what_is_at_stake(cluster: Cluster, survivor: str, options: Options) -> tuple[str, ...]:
    """Said before anything is removed."""
    if len(cluster.nodes) == 1:
        return (
            f"{survivor} is the only node: nothing is removed, and its cluster stays. No node serves clients while it upgrades, "
            "and the downloaded backup is the only other copy of the data.",
        )
    apart = (survivor, options.hold_back, *(name for name, _ in options.fresh))
    others = ", ".join(n.name for n in cluster.nodes if n.name not in apart)
    held = (
        f" {options.hold_back} is held back: it stays outside the cluster on the old version, as a copy of the old data."
        if options.hold_back
        else ""
    )
    quorum = " With two nodes there may be no quorum for a while." if len(cluster.nodes) == 2 else ""
    return (
        note(
            f"There is no high availability from the first removal on: only {survivor} serves clients, and no node serves "
            "them while it upgrades. What clients write to a removed node is lost when it joins again. Joining erases all "
            f"data of {others or 'no node'}; until then each of them keeps its copy of the old data.{held}{quorum} Point "
            f"clients at {survivor} before you continue.",
            f"There was no high availability from the first removal on: only {survivor} served clients, and no node served "
            "them while it was upgraded. What clients wrote to a removed node was lost when it joined again. Joining erased "
            f"all data of {others or 'no node'}.{held}",
        ),
    )


def rebuild_notes(facts: Facts, cluster: Cluster, options: Options) -> Iterator[str]:
    """Yield what the vendor warns of where HSMs are used, and what becomes of replaced nodes."""
    for name, host in options.fresh:
        new = f"a new instance at {host} (here {fresh_name(name)}): the old node"
        yield note(
            f"{name} is replaced by {new} is removed and keeps its old data; afterwards add {host} to cluster.yaml",
            f"{name} was replaced by {new} was removed and keeps its old data; add {host} to cluster.yaml",
        )
    nodes = {**facts.nodes, **facts.fresh}
    counts = {
        n: f.hsm if isinstance(f.hsm, Unknown) else len(f.hsm)
        for n, f in nodes.items()
        if n not in dict(options.fresh)
    }
    using = [n for n, count in counts.items() if not isinstance(count, Unknown) and count > 0]
    for name, count in counts.items():
        if isinstance(count, Unknown):
            ask = manual_commands.ksctl(cluster.node(name), "hsm", "servers", "list")
            yield f"whether {name} uses an HSM is not known ({count.why}): {ask}"
    if not using:
        return
    survivor = survivor_of(facts, cluster, options)[0]
    for name in (n for n in counts if n != survivor and n not in using and counts[n] == 0):
        yield (
            f"{name} uses no HSM, {', '.join(using)} do: after the join it is the weakest point of the key hierarchy (vendor "
            "page Clusters and Nodes); set up its HSM before the join, which resets it"
        )
    if options.reset_before_join:
        yield f"the reset before the join erases the HSM set-up of {', '.join(n for n in using if n != survivor) or 'none'}"
    if not options.shared_hsm_partition and len(using) > 1:
        yield (
            "if the nodes share one HSM partition, add --shared-hsm-partition, and make one root of trust key on each "
            "(ksctl rot-keys rotate --id ID)"
        )


def rebuild(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    """Yield the whole graph."""
    survivor, why = survivor_of(facts, cluster, options)
    names = [*options.order, *(n.name for n in cluster.nodes if n.name not in options.order)]
    others = [n for n in names if n != survivor]
    replaced = dict(options.fresh)
    joiners = [n for n in others if n != options.hold_back and n not in replaced]
    total = len(names)
    prepared = list(_prepare(facts, options, survivor, names, joiners, why))
    yield from prepared
    ready = tuple(one.id for one in prepared)
    seconds = GATE_S + int(cluster.stable_for.total_seconds())
    gate = step(
        Gate(), survivor, "every node must be healthy before the first removal", seconds, ready, total
    )
    yield gate
    last = gate.id
    for name in others:
        for one in _remove(facts, name, survivor, last, total):
            yield one
            last = one.id
    if total == 1:
        alone = RunUpgrade(options.force_path)
        yield from upgraded_alone(survivor, alone, "the only node; its cluster stays", (last,), holders=total)
        yield comparison(survivor, (step_id("await", survivor),))
        return
    yield from _survivor(survivor, last, options, total)
    began = previous = step_id("new-cluster", survivor)
    for name in joiners:
        yield from _again(name, began, previous, options, total)
        previous = yield from _join(name, survivor, previous, options, total)
    for name in replaced:
        yield from _fresh(name, began)
        previous = yield from _join(fresh_name(name), survivor, previous, options, total + 1)
    yield from (comparison(name, (previous,)) for name in (survivor, *joiners))
    for name in replaced:
        why = f"what the cluster does not replicate must be as on {name}"
        yield step(CompareSettings(name), fresh_name(name), why, QUICK_S, (previous,))


def _prepare(
    facts: Facts, options: Options, survivor: str, names: list[str], joiners: list[str], why: str
) -> Iterator[Step]:
    total = len(names)
    yield common_steps.verification(facts)
    if not common_steps.backup_waived(options):
        text = f"a new backup of the survivor ({why})"
        yield step(MakeBackup(), survivor, text, BACKUP_S, VERIFIED, total)
        yield from common_steps.backups(facts, joiners, holders=total)
    yield from common_steps.uploads(facts, (survivor, *joiners), holders=total)
    for name in names:
        text = "record what the cluster does not replicate"
        yield step(RecordSettings(), name, text, QUICK_S, VERIFIED, total)


def _remove(facts: Facts, name: str, survivor: str, last: str, total: int) -> Iterator[Step]:
    why = f"removed through {survivor}; it keeps its copy of the data"
    removal = step(RemoveNode(survivor, facts.nodes[name].node_id), name, why, QUICK_S, (last,), total)
    yield removal
    why = "so that it can join again; its data stays"
    yield step(DeleteClusterConfig(), name, why, QUICK_S, (removal.id,), total)


def _survivor(name: str, last: str, options: Options, total: int) -> Iterator[Step]:
    why = "the survivor leaves its cluster, to be upgraded alone"
    leaving = step(DeleteClusterConfig(), name, why, QUICK_S, (last,), total)
    yield leaving
    why, upgrade = "the survivor first; the others keep the old data", RunUpgrade(options.force_path)
    yield from upgraded_alone(name, upgrade, why, (leaving.id,), holders=total)
    back = (step_id("await", name),)
    yield step(NewCluster(), name, "start the new cluster", QUICK_S, back, total)


def _again(name: str, after: str, previous: str, options: Options, total: int) -> Iterator[Step]:
    """A removed node: upgraded, its own settings put back, and reset first where asked: not before the join before
    is done, for one that hangs would leave it erased for nothing."""
    why, upgrade = "only now: until here it kept the old data", RunUpgrade(options.force_path)
    yield from upgraded_alone(name, upgrade, why, (after,), holders=total)
    before = step_id("await", name)
    if options.reset_before_join:
        waits = (before, previous) if previous != after else (before,)
        why = "erases its data, as the vendor recommends before a join"
        reset = step(ResetNode(), name, why, SERVICES_S, waits, total - 1)
        yield reset
        before = reset.id
    yield step(RestoreSettings(), name, "set its time servers before the join", QUICK_S, (before,))


def _fresh(name: str, after: str) -> Iterator[Step]:
    """A new instance: proven to be well and on the target, then given the old node's settings."""
    new, why = fresh_name(name), f"a new instance instead of {name}: on the target version, services started"
    back = step(AwaitNode(clustered=False), new, why, QUICK_S, (after,))
    yield back
    yield step(
        RestoreSettings(name), new, f"set the time servers of {name} before the join", QUICK_S, (back.id,)
    )


def _join(
    name: str, survivor: str, previous: str, options: Options, total: int
) -> Generator[Step, None, str]:
    why = "one node at a time; erases its data, then copies the cluster's data"
    waits = (step_id("restore-settings", name), previous)
    joining = step(JoinNode(survivor, options.shared_hsm_partition), name, why, JOIN_S, waits, total - 1)
    yield joining
    return joining.id
