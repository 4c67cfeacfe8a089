"""Facts of a cluster as plain values, for the diagnosis: healthy ones, and changes of them in few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.cluster_views import Member, Membership, PeerView, SummaryReport
from ctmupgrade.core.looks.facts import (
    ArchiveFacts,
    ClockReading,
    Facts,
    NodeFacts,
    Services,
    SystemInfo,
    Unit,
    Unknown,
)
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import BackupSettings, Cluster, KsctlSettings, Node, Options, SshSettings, Target
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.recovery.scene import OperatorInput, Scene, scene_of
from ctmupgrade.core.run.past_runs import RunHistory
from ctmupgrade.core.version import Version

AT = datetime(2026, 1, 10, 22, 0, tzinfo=UTC)
OLD, NEW = Version.parse("2.20.0+15016"), Version.parse("2.21.0+15451")
GONE = Unknown("no route to host", unreachable=True)


def cluster(count: int = 3, strategy: StrategyName = StrategyName.IN_PLACE) -> Cluster:
    """Return a cluster of ctm-1, ctm-2, ... at 10.0.0.11, 10.0.0.12, ..."""
    nodes = tuple(
        Node(
            f"ctm-{i}", f"10.0.0.{10 + i}", f"https://10.0.0.{10 + i}", f"10.0.0.{10 + i}", SshSettings(),
            KsctlSettings(),
        )
        for i in range(1, count + 1)
    )  # fmt: skip
    target = Target(Path("/x_v2.21.0.tar.gz.gpg"), NEW, "A" * 40)
    return Cluster("test", strategy, target, nodes, BackupSettings(Path("/backups")))


def member(number: int, code: str = "r", said: str = "ready") -> Member:
    """Return a line of the list of members."""
    return Member(f"id-{number}", f"10.0.0.{10 + number}", code, said)


def node(number: int, listed: tuple[Member, ...], version: Version = OLD, /, **changes: Any) -> NodeFacts:
    """Return a node that is healthy and lists these members; without members it is of no cluster."""
    own = next((m for m in listed if m.node_id == f"id-{number}"), None)
    shown = tuple(replace(m, is_this=m is own) for m in listed)
    peers = {m.node_id: PeerView("r", "GOOD", m is not own or None, m.host) for m in listed if m.ready}
    found = NodeFacts(
        name=f"ctm-{number}",
        shell=True,
        boot=BootMark(f"boot-{number}"),
        unit=Unit("active"),
        clock=ClockReading(0.0, 0.1),
        processes=(),
        logs=(),
        system=SystemInfo(version),
        services=Services("started", {"web": "started"}),
        membership=Membership(own.node_id, own.code, len(listed)) if own else Membership("", "none"),
        members=shown if own else (),
        summary=(SummaryReport(own.node_id, AT, peers),) if own else (),
    )
    return replace(found, **changes)


def silent(number: int) -> NodeFacts:
    """Return a node of which nothing answers."""
    return NodeFacts(
        f"ctm-{number}", GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE
    )  # fmt: skip


def facts(*nodes: NodeFacts, **changes: Any) -> Facts:
    """Return one round of looks at these nodes."""
    archive = ArchiveFacts(2**30, "0" * 64, "A" * 40)
    found = Facts(AT, {n.name: n for n in nodes}, archive)
    return replace(found, **changes)


def healthy(count: int = 3, version: Version = OLD) -> Facts:
    """Return a cluster of which nothing is wrong."""
    members = tuple(member(i) for i in range(1, count + 1))
    return facts(*(node(i, members, version) for i in range(1, count + 1)))


def manifest(name: str, age: timedelta = timedelta(hours=1)) -> Manifest:
    """Return a downloaded backup of a node."""
    return Manifest(name, str(OLD), f"backup-{name}", "key", AT - age, f"/b/{name}", f"/b/{name}.key")


def failed_log() -> UpgradeLog:
    """Return the log of an upgrade that failed."""
    return UpgradeLog(
        "ks_upgrade_2026-01-10-193000.log", 10, LogVerdict.FAILED, "", "Upgrade failed: no space"
    )


def done_log(*, in_this_boot: bool = True) -> UpgradeLog:
    """Return the log of an upgrade that succeeded."""
    return UpgradeLog(
        "ks_upgrade_2026-01-10-193000.log", 10, LogVerdict.SUCCEEDED, str(NEW), "", in_this_boot
    )


def scene(
    seen: Facts,
    known: OperatorInput | None = None,
    past: RunHistory | None = None,
    options: Options | None = None,
    strategy: StrategyName = StrategyName.IN_PLACE,
    keys: Mapping[str, int] | None = None,
) -> Scene:
    """Return the scene of these facts. :param keys: how many keys the nodes tell to have, by name."""
    of = cluster(len(seen.nodes), strategy)
    counts = {name: {"keys": count} for name, count in (keys or {}).items()}
    return scene_of(seen, of, known or OperatorInput(), past or RunHistory(), options or Options(), counts)


def with_node(seen: Facts, changed: NodeFacts) -> Facts:
    """Return the facts with another node of the same name."""
    nodes: Mapping[str, NodeFacts] = {**seen.nodes, changed.name: changed}
    return replace(seen, nodes=nodes)
