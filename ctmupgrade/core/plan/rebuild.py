"""The remove/rebuild strategy as a graph, with the count of nodes that hold the data at each step.

One node, the survivor, keeps the cluster's data and is upgraded first. The others are removed but *not*
touched: each is a whole copy of the old data until the survivor is proven well on the target and forms the
new cluster. Only then are they upgraded, side by side, and joined one at a time, which erases them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from ctmupgrade.core import manual_commands
from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, Unknown, fresh_manifest
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.plan.new_instances import fresh_name
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    DeleteClusterConfig,
    Gate,
    JoinNode,
    MakeBackup,
    NewCluster,
    Reboot,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RestoreSettings,
    RunUpgrade,
    StageArchive,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.timing import (
    BACKUP_S,
    BOOT_S,
    GATE_S,
    JOIN_S,
    QUICK_S,
    SERVICES_S,
    UPGRADE_S,
    upload_s,
    verify_s,
)

VERIFY = "verify-archive"


def survivor_of(facts: Facts, cluster: Cluster, options: Options) -> tuple[str, str]:
    """The node that keeps the data, and why it."""
    if options.survivor:
        return options.survivor, "chosen by --survivor"
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
        f"There is no high availability from the first removal on: only {survivor} serves clients, and no node serves "
        "them while it upgrades. What clients write to a removed node is lost when it joins again. Joining erases all "
        f"data of {others or 'no node'}; until then each of them keeps its copy of the old data.{held}{quorum} Point "
        f"clients at {survivor} before you continue.",
    )


def rebuild_notes(facts: Facts, cluster: Cluster, options: Options) -> Iterator[str]:
    """What the vendor warns of where HSMs are used, and what becomes of replaced nodes."""
    for name, host in options.fresh:
        yield (
            f"{name} is replaced by a new instance at {host} (here {fresh_name(name)}): the old node is removed and "
            f"keeps its old data; afterwards add {host} to cluster.yaml"
        )
    nodes = {**facts.nodes, **facts.fresh}
    counts = {n: f.hsm for n, f in nodes.items() if n not in dict(options.fresh)}
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
    """The whole graph."""
    survivor, why = survivor_of(facts, cluster, options)
    names = [*options.order, *(n.name for n in cluster.nodes if n.name not in options.order)]
    others = [n for n in names if n != survivor]
    replaced = dict(options.fresh)
    joiners = [n for n in others if n != options.hold_back and n not in replaced]
    total = len(names)
    prepared = list(_prepare(facts, options, survivor, names, joiners, why))
    yield from prepared
    ready = tuple(step.id for step in prepared)
    yield Step(f"gate:{survivor}", survivor, Gate(), "every node must be healthy before the first removal", ready, GATE_S,
               total)  # fmt: skip
    last = f"gate:{survivor}"
    for name in others:
        for step in _remove(facts, name, survivor, last, total):
            yield step
            last = step.id
    if total == 1:
        why = "the only node; its cluster stays"
        yield from _upgrade(survivor, last, options, total, why)
        yield from _compare(survivor, [], f"await:{survivor}")
        return
    yield from _survivor(survivor, last, options, total)
    previous = f"new-cluster:{survivor}"
    for name in joiners:
        yield from _again(name, f"new-cluster:{survivor}", previous, options, total)
        previous = yield from _join(name, survivor, previous, options, total)
    for name in replaced:
        yield from _fresh(name, f"new-cluster:{survivor}")
        previous = yield from _join(fresh_name(name), survivor, previous, options, total + 1)
    yield from _compare(survivor, joiners, previous)
    for name in replaced:
        yield Step(f"compare-settings:{fresh_name(name)}", fresh_name(name), CompareSettings(name),
                   f"what the cluster does not replicate must be as on {name}", (previous,), QUICK_S)  # fmt: skip


def _prepare(
    facts: Facts, options: Options, survivor: str, names: list[str], joiners: list[str], why: str
) -> Iterator[Step]:
    size = facts.archive.size if isinstance(facts.archive, ArchiveFacts) else 0
    total = len(names)
    yield Step(
        VERIFY, "", VerifyArchive(), "no node is changed before the signature is verified", (), verify_s(size)
    )
    waived = any(check == "backup_downloaded_with_key" for check, _ in options.skips)
    if not waived:
        yield Step(f"backup:{survivor}", survivor, MakeBackup(),
                   f"a new backup of the survivor ({why})", (VERIFY,), BACKUP_S, total)  # fmt: skip
    for name in joiners:
        if not waived and not fresh_manifest(facts, name):
            yield Step(f"backup:{name}", name, MakeBackup(), "no fresh backup with its key is on this machine", (VERIFY,),
                       BACKUP_S, total)  # fmt: skip
    for name in [survivor, *joiners]:
        yield Step(f"stage:{name}", name, StageArchive(), "to all nodes at the same time, before any node is changed", (VERIFY,),
                   upload_s(size), total)  # fmt: skip
    for name in names:
        yield Step(f"record-settings:{name}", name, RecordSettings(), "record what the cluster does not replicate", (VERIFY,), QUICK_S,
                   total)  # fmt: skip


def _remove(facts: Facts, name: str, survivor: str, last: str, total: int) -> Iterator[Step]:
    action = RemoveNode(survivor, facts.nodes[name].node_id)
    yield Step(f"remove:{name}", name, action, f"removed through {survivor}; it keeps its copy of the data", (last,), QUICK_S,
               total)  # fmt: skip
    yield Step(f"delete-cluster:{name}", name, DeleteClusterConfig(), "so that it can join again; its data stays",
               (f"remove:{name}",), QUICK_S, total)  # fmt: skip


def _survivor(name: str, last: str, options: Options, total: int) -> Iterator[Step]:
    yield Step(f"delete-cluster:{name}", name, DeleteClusterConfig(), "the survivor leaves its cluster, to be "
               "upgraded alone", (last,), QUICK_S, total)  # fmt: skip
    yield from _upgrade(name, f"delete-cluster:{name}", options, total, "the survivor first; the others keep the "
                        "old data")  # fmt: skip
    yield Step(f"new-cluster:{name}", name, NewCluster(), "start the new cluster", (f"await:{name}",), QUICK_S,
               total)  # fmt: skip


def _upgrade(name: str, after: str, options: Options, holders: int, why: str) -> Iterator[Step]:
    yield Step(f"upgrade:{name}", name, RunUpgrade(options.force_path), why, (after,), UPGRADE_S, holders)
    yield Step(
        f"reboot:{name}", name, Reboot(), "ks_upgrade.sh asks for it", (f"upgrade:{name}",), BOOT_S, holders
    )
    yield Step(f"await:{name}", name, AwaitNode(clustered=False), "wait until it is on the target version with its services started", (f"reboot:{name}",),
               SERVICES_S, holders)  # fmt: skip


def _again(name: str, after: str, previous: str, options: Options, total: int) -> Iterator[Step]:
    """A removed node: upgraded, its own settings put back, and reset first where asked: not before the join before
    is done, for one that hangs would leave it erased for nothing."""
    yield from _upgrade(name, after, options, total, "only now: until here it kept the old data")
    before = f"await:{name}"
    if options.reset_before_join:
        yield Step(f"reset:{name}", name, ResetNode(), "erases its data, as the vendor recommends before a join",
                   (before, previous) if previous != after else (before,), SERVICES_S,
                   total - 1)  # fmt: skip
        before = f"reset:{name}"
    yield Step(
        f"restore-settings:{name}",
        name,
        RestoreSettings(),
        "set its time servers before the join",
        (before,),
        QUICK_S,
    )


def _fresh(name: str, after: str) -> Iterator[Step]:
    """A new instance: proven to be well and on the target, then given the old node's settings."""
    new = fresh_name(name)
    yield Step(f"await:{new}", new, AwaitNode(clustered=False), f"a new instance instead of {name}: on the target "
               "version, services started", (after,), QUICK_S)  # fmt: skip
    yield Step(f"restore-settings:{new}", new, RestoreSettings(name), f"set the time servers of {name} before the join",
               (f"await:{new}",), QUICK_S)  # fmt: skip


def _join(
    name: str, survivor: str, previous: str, options: Options, total: int
) -> Generator[Step, None, str]:
    action = JoinNode(survivor, options.shared_hsm_partition)
    yield Step(f"join:{name}", name, action, "one node at a time; erases its data, then copies the cluster's data",
               (f"restore-settings:{name}", previous), JOIN_S, total - 1)  # fmt: skip
    return f"join:{name}"


def _compare(survivor: str, joiners: list[str], previous: str) -> Iterator[Step]:
    names = [survivor, *joiners]
    for name in names:
        yield Step(f"compare-settings:{name}", name, CompareSettings(), "what the cluster does not replicate must be as before",
                   (previous,), QUICK_S)  # fmt: skip
