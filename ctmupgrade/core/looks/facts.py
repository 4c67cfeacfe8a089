"""What was seen of the nodes, as values. What could not be seen is :class:`Unknown`, never None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.boot import BootMark, Unbooted
from ctmupgrade.core.looks.cluster_views import Member, Membership, SummaryReport
from ctmupgrade.core.looks.node_state import (
    Alarm,
    BackupJob,
    DiskEncryption,
    HsmServer,
    Inodes,
    Interfaces,
    Licence,
    MountedAs,
)
from ctmupgrade.core.looks.own_files import OwnFile
from ctmupgrade.core.looks.served import Served
from ctmupgrade.core.looks.shared_state import SharedState
from ctmupgrade.core.looks.unknown import Maybe as Maybe  # noqa: PLC0414 - part of this module for its users
from ctmupgrade.core.looks.unknown import Unknown as Unknown  # noqa: PLC0414
from ctmupgrade.core.looks.unknown import not_asked
from ctmupgrade.core.looks.upgrade_log import UpgradeLog
from ctmupgrade.core.looks.watched import Watched
from ctmupgrade.core.past_times import NO_PAST, PastTimes
from ctmupgrade.core.version import Version


@dataclass(frozen=True, slots=True)
class Mount:
    """Free space of one file system. Bytes."""

    mount: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Unit:
    """systemd's view of keysecure: active, activating, failed, inactive..."""

    active: str
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """The appliance's own services; ``disabled`` is a choice, not a fault (docs/appliance.md 4.2).

    :ivar tolerated: those in error that a person accepts, and that are therefore left out.
    """

    overall: str
    by_name: Mapping[str, str] = field(default_factory=dict)
    tolerated: tuple[str, ...] = ()

    @property
    def started(self) -> bool:
        """Return whether all that are not disabled have started."""
        states = [state for state in self.by_name.values() if state != "disabled"]
        return self.overall in ("started", "") and bool(states or self.overall) and not self.waiting

    @property
    def waiting(self) -> dict[str, str]:
        """Return those that are neither started nor disabled."""
        return {n: s for n, s in self.by_name.items() if s not in ("started", "disabled")}


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """``ksctl system info get``."""

    version: Version
    model: str = ""
    name: str = ""
    time: datetime | None = None
    uptime_s: float = -1.0  # -1: not told


@dataclass(frozen=True, slots=True)
class Ntp:
    """Whether the node's clock follows a time server, by ``ntpq``'s own mark."""

    synchronised: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Node's clock minus ours, in seconds, give or take ``uncertainty``."""

    offset: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Rights:
    """What ``sudo -l`` allows of what we need. None: could not be told. ``quiet``: it knows ``-n``, never to
    ask for a password."""

    upgrade: bool | None
    reboot: bool | None
    quiet: bool = True

    @property
    def sudo(self) -> tuple[str, ...]:
        """Return how sudo is called here."""
        return ("sudo", "-n") if self.quiet else ("sudo",)


@dataclass(frozen=True, slots=True)
class PortState:
    """Whether a port of a peer can be reached from a node, and what says so."""

    open: bool
    basis: str


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """The archive on this machine after verification."""

    size: int
    sha256: str
    signer: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Everything one round of looks found out about a node."""

    name: str
    shell: Maybe[bool] = field(default_factory=not_asked)
    boot: Maybe[BootMark] = field(default_factory=not_asked)
    mounts: Maybe[tuple[Mount, ...]] = field(default_factory=not_asked)
    unit: Maybe[Unit] = field(default_factory=not_asked)
    rights: Maybe[Rights] = field(default_factory=not_asked)
    clock: Maybe[ClockReading] = field(default_factory=not_asked)
    processes: Maybe[tuple[str, ...]] = field(default_factory=not_asked)
    logs: Maybe[tuple[UpgradeLog, ...]] = field(default_factory=not_asked)
    staged: Maybe[int] = field(default_factory=not_asked)  # bytes there, 0: none
    system: Maybe[SystemInfo] = field(default_factory=not_asked)
    services: Maybe[Services] = field(default_factory=not_asked)
    membership: Maybe[Membership] = field(default_factory=not_asked)
    members: Maybe[tuple[Member, ...]] = field(default_factory=not_asked)
    summary: Maybe[tuple[SummaryReport, ...]] = field(default_factory=not_asked)
    ntp: Maybe[Ntp] = field(default_factory=not_asked)
    hsm: Maybe[tuple[HsmServer, ...]] = field(default_factory=not_asked)
    encryption: Maybe[DiskEncryption] = field(default_factory=not_asked)
    attended_boot: Maybe[bool] = field(default_factory=not_asked)
    alarms: Maybe[tuple[Alarm, ...]] = field(default_factory=not_asked)
    licences: Maybe[tuple[Licence, ...]] = field(default_factory=not_asked)
    interfaces: Maybe[Interfaces] = field(default_factory=not_asked)
    backup_job: Maybe[BackupJob] = field(default_factory=not_asked)
    time_servers: Maybe[tuple[str, ...]] = field(default_factory=not_asked)
    raft: Maybe[str] = field(default_factory=not_asked)  # "": its release does not tell it
    inodes: Maybe[tuple[Inodes, ...]] = field(default_factory=not_asked)
    mounted: Maybe[tuple[MountedAs, ...]] = field(default_factory=not_asked)
    by_dhcp: Maybe[tuple[str, ...]] = field(default_factory=not_asked)  # devices
    hsm_ports: Mapping[str, Maybe[PortState]] = field(default_factory=dict)  # of its HSMs, by host
    ports: Mapping[str, Maybe[PortState]] = field(default_factory=dict)
    consensus_ports: Mapping[str, Maybe[PortState]] = field(default_factory=dict)  # 2380, where it is needed

    @property
    def version(self) -> Maybe[Version]:
        """Return the node's version, or why it is not known."""
        return self.system if isinstance(self.system, Unknown) else self.system.version

    @property
    def node_id(self) -> str:
        """Return the node's own id, from its own answers; "" where unclustered or unknown."""
        if not isinstance(self.membership, Unknown) and self.membership.node_id:
            return self.membership.node_id
        if not isinstance(self.members, Unknown):
            return next((m.node_id for m in self.members if m.is_this), "")
        return ""


@dataclass(frozen=True, slots=True)
class Facts:
    """One round of looks at everything, and when."""

    at: datetime
    nodes: Mapping[str, NodeFacts]
    archive: Maybe[ArchiveFacts]
    manifests: tuple[Manifest, ...] = ()
    backups_possible: str = ""  # why a backup could not be made; "" where it could
    max_backup_age: timedelta = timedelta(hours=24)
    fresh: Mapping[str, NodeFacts] = field(default_factory=dict)  # new instances that are to join
    unbooted: Mapping[str, Unbooted] = field(default_factory=dict)
    own_files: Maybe[tuple[OwnFile, ...]] = ()  # what a resume needs on the appliance that this runs on
    own_logout: str = (
        ""  # what ends this shell's programs when its user logs out; "": nothing, or no node is this machine
    )
    own_boot: str = ""  # this machine's boot id, where cluster.yaml names no node of this machine
    served: Mapping[str, Served] = field(default_factory=dict)  # vendor CLIs, where taken from the nodes
    shared: SharedState = field(default_factory=SharedState)
    watched: Watched | None = None  # whether all stayed healthy after this round; None: nobody watched
    past_times: PastTimes = NO_PAST  # what steps took in earlier runs of this cluster

    def unbooted_still(self, name: str) -> Maybe[Unbooted | None]:
        """Return the upgrade that still waits for its reboot on a node, by this machine's journals; None: there is none."""
        left, node = self.unbooted.get(name), self.nodes[name]
        if left is None or not (left.proven or _is(node.version, left.target)):
            return None  # one that failed, or was stopped, and changed nothing that its reboot would finish
        if isinstance(node.boot, Unknown):
            return node.boot
        other = node.boot.differs_from(left.boot)
        if other is None:
            return Unknown(f"its boot cannot be compared with the one in which run {left.run} upgraded it")
        return None if other else left

    def with_boots(self, upgraded_in: Mapping[str, tuple[str, BootMark]]) -> Facts:
        """Return these facts, in which a log of an upgrade that ran in an earlier boot, by the boot's id, is no log of
        this boot: the times of a log and of a boot are no proof of it, for a clock may be set.

        :param upgraded_in: by this machine's journals, of a node: the log of its upgrade and the boot in which it ran.
        """
        nodes = dict(self.nodes)
        for name, (path, mark) in upgraded_in.items():
            node = nodes.get(name)
            if node is None or not isinstance(node.logs, tuple) or not isinstance(node.boot, BootMark):
                continue
            other = bool(mark.boot_id and node.boot.boot_id) and bool(node.boot.differs_from(mark))
            file = path.rsplit("/", 1)[-1].rsplit(" ", 1)[-1]
            if other:
                logs = tuple(
                    replace(log, in_this_boot=False) if log.path.rsplit("/", 1)[-1] == file else log
                    for log in node.logs
                )
                nodes[name] = replace(node, logs=logs)
        return replace(self, nodes=nodes)


def _is(version: Maybe[Version], target: Version) -> bool:
    return isinstance(version, Unknown) or version.same_release(target)


def fresh_manifest(facts: Facts, node: str) -> str:
    """Return the id of a whole, downloaded backup of ``node`` younger than max_age whose key is there; or ""."""
    since = facts.at - facts.max_backup_age
    fresh = (m for m in facts.manifests if m.node == node and m.is_fresh(since, facts.at))
    return next((manifest.backup_id for manifest in fresh), "")
