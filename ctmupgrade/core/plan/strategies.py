"""The ways of taking a cluster to the target, each as a graph of steps."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.looks.facts import Facts, Unknown, fresh_manifest
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.rebuild import rebuild
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    Gate,
    MakeBackup,
    Reboot,
    RecordSettings,
    RunUpgrade,
    Settle,
    StageArchive,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.timing import (
    BACKUP_S,
    BOOT_S,
    GATE_S,
    QUICK_S,
    SERVICES_S,
    UPGRADE_S,
    upload_s,
    verify_s,
)
from ctmupgrade.core.version import reached

VERIFY = "verify-archive"


def node_order(cluster: Cluster, options: Options) -> tuple[str, ...]:
    """The nodes to take, in their order: ``--order`` first, then cluster.yaml's; ``--nodes`` limits it."""
    names = [node.name for node in cluster.nodes]
    ordered = [*options.order, *(n for n in names if n not in options.order)]
    return tuple(n for n in ordered if not options.nodes or n in options.nodes)


def needs_upgrade(facts: Facts, cluster: Cluster, name: str) -> bool:
    """Whether a node is not known to be at the target."""
    version = facts.nodes[name].version
    return isinstance(version, Unknown) or not reached(version, cluster.target.version)


def _backup_waived(options: Options) -> bool:
    return any(check == "backup_downloaded_with_key" for check, _ in options.skips)


def preparation(facts: Facts, options: Options, names: tuple[str, ...]) -> Iterator[Step]:
    """Signature, backups, the archive and what a node looks like before, on all nodes side by side."""
    size = 0 if isinstance(facts.archive, Unknown) else facts.archive.size
    yield Step(
        VERIFY, "", VerifyArchive(), "no node is changed before the signature is verified", (), verify_s(size)
    )
    waived = _backup_waived(options)
    for name in names:
        if not waived and not fresh_manifest(facts, name):
            yield Step(
                f"backup:{name}",
                name,
                MakeBackup(),
                "no fresh backup with its key is on this machine",
                (VERIFY,),
                BACKUP_S,
            )
    for name in names:
        yield Step(
            f"stage:{name}", name, StageArchive(), "to all nodes at the same time, before any node is changed",
            (VERIFY,), upload_s(size),
        )  # fmt: skip
    for name in names:
        yield Step(
            f"record-settings:{name}", name, RecordSettings(), "to compare afterwards",
            (f"stage:{name}",), QUICK_S,
        )  # fmt: skip


def node_chain(
    name: str, after: tuple[str, ...], cluster: Cluster, options: Options, *, clustered: bool, why: str
) -> Iterator[Step]:
    """Upgrade, reboot, wait, verify: what one node goes through."""
    upgrade = RunUpgrade(options.force_path)
    yield Step(f"upgrade:{name}", name, upgrade, why, after, UPGRADE_S)
    yield Step(f"reboot:{name}", name, Reboot(), "ks_upgrade.sh asks for it", (f"upgrade:{name}",), BOOT_S)
    yield Step(
        f"await:{name}", name, AwaitNode(clustered), "the other nodes must report it as ready and connected",
        (f"reboot:{name}",), SERVICES_S,
    )  # fmt: skip
    yield Step(
        f"settle:{name}", name, Settle(clustered), "it must stay healthy before the next node starts",
        (f"await:{name}",), int(cluster.stable_for.total_seconds()),
    )  # fmt: skip
    # Nothing waits for it: the next node's gate goes on beside it.
    yield Step(
        f"compare-settings:{name}", name, CompareSettings(), "report what else the upgrade changed",
        (f"settle:{name}",), QUICK_S,
    )  # fmt: skip


def in_place(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    """A chain of nodes behind a fan of uploads and backups."""
    names = tuple(n for n in node_order(cluster, options) if needs_upgrade(facts, cluster, n))
    if not names:
        return
    prepared = list(preparation(facts, options, names))
    yield from prepared
    before = tuple(step.id for step in prepared)
    migrated = any(not needs_upgrade(facts, cluster, node.name) for node in cluster.nodes)
    for position, name in enumerate(names):
        yield Step(
            f"gate:{name}", name, Gate(), "every node must report every other node as healthy", before, GATE_S
        )
        why = (
            "the first node migrates the shared database, which is locked for up to 30 s on all nodes"
            if position == 0 and not migrated
            else f"{position + 1} of {len(names)}: one node at a time"
        )
        yield from node_chain(name, (f"gate:{name}",), cluster, options, clustered=True, why=why)
        before = (f"settle:{name}",)


def standalone(facts: Facts, cluster: Cluster, options: Options) -> Iterator[Step]:
    """One unclustered appliance."""
    names = tuple(n for n in node_order(cluster, options) if needs_upgrade(facts, cluster, n))
    if not names:
        return
    prepared = list(preparation(facts, options, names))
    yield from prepared
    before = tuple(step.id for step in prepared)
    for name in names:
        yield from node_chain(name, before, cluster, options, clustered=False, why="the only appliance")
        before = (f"settle:{name}",)


def steps_for(facts: Facts, cluster: Cluster, options: Options) -> tuple[Step, ...]:
    """The steps of the cluster's strategy."""
    match cluster.strategy:
        case StrategyName.IN_PLACE:
            return tuple(in_place(facts, cluster, options))
        case StrategyName.REBUILD:
            return tuple(rebuild(facts, cluster, options))
        case StrategyName.STANDALONE:
            return tuple(standalone(facts, cluster, options))
