"""The questions that are asked through ``ksctl``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ctmupgrade.core.looks import parse_ksctl
from ctmupgrade.core.looks.backups import BackupEntry, BackupKey
from ctmupgrade.core.looks.cluster_views import Member, Membership, SummaryReport
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.facts import Ntp, Services, SystemInfo
from ctmupgrade.core.looks.json_rows import total_of
from ctmupgrade.core.looks.probes import Probe, Query, either

T = TypeVar("T")


def _ksctl(name: str, parser: Callable[[str], T], *ways: tuple[str, ...]) -> Probe[T]:
    return Probe(name, tuple(Query(argv, either(parser)) for argv in ways))


SYSTEM: Probe[SystemInfo] = Probe(
    "version",
    (
        Query(("system", "info", "get"), either(parse_ksctl.system_info)),
        Query(("version",), either(parse_ksctl.server_version)),
    ),
)
SERVICES: Probe[Services] = _ksctl("services", parse_ksctl.services, ("services", "status"))
MEMBERSHIP: Probe[Membership] = _ksctl("cluster info", parse_ksctl.membership, ("cluster", "info"))
MEMBERS: Probe[tuple[Member, ...]] = _ksctl(
    "cluster members", parse_ksctl.members, ("cluster", "nodes", "list")
)
CLUSTER_ERRORS: Probe[tuple[str, ...]] = _ksctl(
    "cluster errors", parse_ksctl.cluster_errors, ("cluster", "errors")
)
SUMMARY: Probe[tuple[SummaryReport, ...]] = _ksctl(
    "cluster summary", parse_ksctl.summary, ("cluster", "summary")
)
NTP: Probe[Ntp] = _ksctl("NTP", parse_ksctl.ntp, ("ntp", "status"))

# Every question to a control plane that needs no argument: the tests ask them of every kind of node.
OF_A_CONTROL_PLANE: tuple[Probe[object], ...] = (
    SYSTEM, SERVICES, MEMBERSHIP, MEMBERS, CLUSTER_ERRORS, SUMMARY, NTP,
)  # fmt: skip

PAGE = 100  # rows a page; the default of 10 hides the newest backups (docs/appliance.md 3)


def _whole(parser: Callable[[str], tuple[T, ...]]) -> Callable[[str], tuple[T, ...]]:
    """For a listing asked without paging: good only when it is not a first page."""

    def checked(out: str) -> tuple[T, ...]:
        shown, total = total_of(out)
        if shown < total:
            raise NotUnderstoodError(f"only {shown} of {total} rows were shown")
        return parser(out)

    return checked


def backups(skip: int) -> Probe[tuple[BackupEntry, ...]]:
    """Return one page of the node's backups."""
    return _listing("backups", parse_ksctl.backups, ("backup", "list"), skip)


def backup_keys(skip: int) -> Probe[tuple[BackupKey, ...]]:
    """Return one page of the node's backup keys."""
    return _listing("backup keys", parse_ksctl.backup_keys, ("backupkeys", "list"), skip)


def _listing(
    name: str, parser: Callable[[str], tuple[T, ...]], argv: tuple[str, ...], skip: int
) -> Probe[tuple[T, ...]]:
    paged = (*argv, "--limit", str(PAGE), "--skip", str(skip))
    return Probe(name, (Query(paged, either(parser)), Query(argv, either(_whole(parser)))))
