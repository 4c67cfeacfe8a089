"""The questions behind :mod:`node_state` and :mod:`shared_state`. They are asked once a check, never at every look of a wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ctmupgrade.core.looks import parse_state, seen_probes
from ctmupgrade.core.looks.node_state import (
    Alarm,
    BackupJob,
    DiskEncryption,
    HsmServer,
    Inodes,
    Interface,
    Licence,
    MountedAs,
)
from ctmupgrade.core.looks.probes import Probe, Query, either, plain_probe
from ctmupgrade.core.looks.shared_state import Account, ClusterError, QuorumPolicy, Schedule
from ctmupgrade.core.looks.x509 import Certificate

T = TypeVar("T")
LONG_PAGE = (
    "--limit",
    "256",
)  # the default page of 10 hides the rest; not every listing knows the flag (docs/appliance.md 4.1)


def _answer(name: str, parser: Callable[[str], T], *words: str) -> Probe[T]:
    return Probe(name, (Query(words, either(parser)),))


def _list(name: str, parser: Callable[[str], T], *words: str) -> Probe[T]:
    """A listing: a long page, then as it comes. One of which only a part is shown is not known."""
    read = either(parser)
    return Probe(name, (Query((*words, *LONG_PAGE), read), Query(words, read)))


ALARMS: Probe[tuple[Alarm, ...]] = _list("alarms", parse_state.alarms, "alarms", "list")
ALARMS = Probe(
    ALARMS.name,
    (
        ALARMS.ways[0],
        Query(("alarms", "list", "--state", "on", *LONG_PAGE), ALARMS.ways[0].parse),
        ALARMS.ways[1],
    ),
)
LICENCES: Probe[tuple[Licence, ...]] = _list(
    "licences", parse_state.licences, "licensing", "licenses", "list"
)
INTERFACES: Probe[tuple[Interface, ...]] = _list("interfaces", parse_state.interfaces, "interfaces", "list")
HSM: Probe[tuple[HsmServer, ...]] = _answer("HSM servers", parse_state.hsm_servers, "hsm", "servers", "list")
DISK_ENCRYPTION: Probe[DiskEncryption] = _answer(
    "disk encryption", parse_state.disk_encryption, "diskenc", "status"
)
BACKUP_JOB: Probe[BackupJob] = _answer("backup under way", parse_state.backup_job, "backup", "status")
RAFT: Probe[str] = _answer("control plane", parse_state.raft_status, "cluster", "info")
TIME_SERVERS: Probe[tuple[str, ...]] = _list(
    "time servers", parse_state.time_servers, "ntp", "servers", "list"
)

CLUSTER_ERRORS: Probe[tuple[ClusterError, ...]] = _answer(
    "cluster errors", parse_state.cluster_errors, "cluster", "errors"
)
SCHEDULES: Probe[tuple[Schedule, ...]] = _list(
    "scheduled jobs", parse_state.schedules, "scheduler", "configs", "list"
)
QUORUM: Probe[tuple[QuorumPolicy, ...]] = _answer(
    "quorum policies", parse_state.quorum_policies, "quorum-policy", "status"
)
PROPERTIES: Probe[Mapping[str, str]] = _list("properties", parse_state.properties, "properties", "list")
ACCOUNTS: Probe[tuple[Account, ...]] = _list("users", parse_state.accounts, "users", "list")

INODES: Probe[tuple[Inodes, ...]] = plain_probe(
    "inodes", parse_state.inodes, ("df", "-P", "-i", "/", "."), ("df", "-i", "/")
)
MOUNTED: Probe[tuple[MountedAs, ...]] = plain_probe(
    "mounts", parse_state.mounted, ("cat", "/proc/mounts"), ("cat", "/etc/mtab")
)
BY_DHCP: Probe[tuple[str, ...]] = plain_probe(
    "addresses", parse_state.addresses_by_dhcp,
    ("nmcli", "-t", "-f", "GENERAL.DEVICE,GENERAL.TYPE,DHCP4", "device", "show"),
)  # fmt: skip


def certificate(interface: str) -> Probe[tuple[Certificate, ...]]:
    """Return the certificate chain of an interface."""
    return _answer(
        f"certificate of {interface}",
        parse_state.certificate_chain,
        "interfaces",
        "certificate",
        "get",
        "--name",
        interface,
    )


# Every question that needs no argument, of a control plane and of a shell.
OF_A_CONTROL_PLANE: tuple[Probe[object], ...] = (
    ALARMS, LICENCES, INTERFACES, HSM, DISK_ENCRYPTION, BACKUP_JOB, RAFT, TIME_SERVERS, CLUSTER_ERRORS, SCHEDULES, QUORUM,
    PROPERTIES, ACCOUNTS, *seen_probes.OF_A_CONTROL_PLANE,
)  # fmt: skip
OF_A_SHELL: tuple[Probe[object], ...] = (INODES, MOUNTED, BY_DHCP)
