"""Values as a healthy cluster of 2.20.0 gives them, for tests that change one thing. No simulator, no files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.cluster_views import Member, Membership, PeerView, SummaryReport
from ctmupgrade.core.looks.facts import (
    ArchiveFacts,
    ClockReading,
    Facts,
    Mount,
    NodeFacts,
    Ntp,
    PortState,
    Rights,
    Services,
    SystemInfo,
    Unit,
)
from ctmupgrade.core.looks.node_state import Alarm, BackupJob, DiskEncryption, Inodes, Interfaces, MountedAs
from ctmupgrade.core.looks.shared_state import Account, SharedState
from ctmupgrade.core.model import BackupSettings, Cluster, KsctlSettings, Node, SshSettings, Target
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version

AT = datetime(2026, 1, 10, 21, 0, tzinfo=UTC)
GIB = 2**30
SIGNER = "0123456789ABCDEF0123456789ABCDEF01234567"
OLD, NEW = "2.20.0+15016", "2.21.0"


def node(number: int) -> Node:
    """``ctm-N`` at 10.0.0.N."""
    host = f"10.0.0.{number}"
    return Node(f"ctm-{number}", host, f"https://{host}", host, SshSettings(), KsctlSettings())


def cluster(count: int = 3, strategy: StrategyName = StrategyName.IN_PLACE, target: str = NEW) -> Cluster:
    """cluster.yaml with ``count`` nodes."""
    archive = Path(f"610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v{target}_RevA.tar.gz.gpg")
    return Cluster(
        "prod", strategy, Target(archive, Version.parse(target), SIGNER),
        tuple(node(n) for n in range(1, count + 1)), BackupSettings(Path("/backups")),
    )  # fmt: skip


def node_id(number: int) -> str:
    """What ``ctm-N`` is called by its cluster."""
    return f"00000000-0000-4000-8000-{number:012}"


def member_list(number: int, count: int) -> tuple[Member, ...]:
    """What ``ctm-N`` lists."""
    return tuple(
        Member(node_id(n), f"10.0.0.{n}", "r", "ready", is_this=n == number, port=5432)
        for n in range(1, count + 1)
    )


def reports(count: int) -> tuple[SummaryReport, ...]:
    """Everybody's fresh view of everybody."""
    return tuple(
        SummaryReport(
            node_id(reporter), AT - timedelta(seconds=5),
            {
                node_id(n): PeerView(
                    "r", "GOOD", None if n == reporter else True, f"10.0.0.{n}", {"replicationBlocked": False, "replayLagBytes": 0}
                )
                for n in range(1, count + 1)
            },
        )
        for reporter in range(1, count + 1)
    )  # fmt: skip


def node_facts(number: int, count: int = 3, version: str = OLD) -> NodeFacts:
    """What a round of looks finds on a healthy node."""
    peers = {f"ctm-{n}": PortState(True, "nc") for n in range(1, count + 1) if n != number}
    return NodeFacts(
        f"ctm-{number}", shell=True, boot=BootMark(f"{number:08}-0000-4000-8000-000000000000"),
        mounts=(Mount("/", 80 * GIB, 100 * GIB),), unit=Unit("active", "running"), rights=Rights(True, True),
        clock=ClockReading(0.1, 0.05), processes=(), logs=(), staged=0,
        system=SystemInfo(Version.parse(version), "CipherTrust Manager k170v", uptime_s=86400.0),
        services=Services("started", {"nae": "started", "kmip": "started"}),
        membership=Membership(node_id(number), "r", count), members=member_list(number, count),
        summary=reports(count), ntp=Ntp(True), hsm=(), attended_boot=False, ports=peers, encryption=DiskEncryption(attended=False),
        alarms=(Alarm("Disk Full", "off"),), licences=(), interfaces=Interfaces(()), backup_job=BackupJob("", "", None),
        time_servers=("time1.example.com",), raft="up", inodes=(Inodes("/", 900, 1000),),
        mounted=(MountedAs("/", "ext4", read_only=False),), by_dhcp=(),
    )  # fmt: skip


def facts(count: int = 3, **changes: NodeFacts) -> Facts:
    """A round of looks at a healthy cluster. ``ctm_2=...`` replaces a node's facts."""
    nodes = {f"ctm-{n}": node_facts(n, count) for n in range(1, count + 1)}
    nodes |= {name.replace("_", "-"): value for name, value in changes.items()}
    shared = SharedState((), (), (), {"LOAD_BALANCER_ADDRESS": "keys.example.com"}, (Account("admin"),))
    return Facts(AT, nodes, ArchiveFacts(5 * GIB, "ab" * 32, SIGNER), shared=shared)


def manifest(number: int, **changes: object) -> Manifest:
    """A downloaded backup of ``ctm-N``, an hour old."""
    made = Manifest(
        f"ctm-{number}", OLD, f"backup-{number}", "key-1", AT - timedelta(hours=1), "b.backup", "b.key"
    )
    return replace(made, **changes)  # type: ignore[arg-type]
