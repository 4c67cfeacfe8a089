"""The questions put to nodes: read-only command lines and the parsers of their answers.

A :class:`Probe` has several ways of asking, best first, because what a restricted ``ksadmin`` shell
offers is not known (FACTS 8.14). A way that is missing, refused or not understood leads to the next;
when all fail the fact is ``Unknown`` with every way's answer named.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, TypeVar

from ctmupgrade.core.looks import parse_ksctl, parse_shell
from ctmupgrade.core.looks.facts import (
    BackupEntry,
    BackupKey,
    BootMark,
    Member,
    Membership,
    Mount,
    Ntp,
    PortState,
    Rights,
    Services,
    SummaryReport,
    SystemInfo,
    Unit,
)
from ctmupgrade.core.looks.parse_ksctl import NotUnderstoodError
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

UPGRADE_SCRIPT = "/opt/keysecure/ks_upgrade.sh"
# Looked at, never written.
LOG_FOLDERS = (
    ".", "/opt/keysecure/logs", "/var/log", "/var/log/keysecure", "/opt/keysecure", "/tmp", "/root",  # noqa: S108
)  # fmt: skip
CLUSTER_PORT = 5432
LONG = 32_768  # characters: of longer answers each parser remembers only a few, for they may have a MiB


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """One way of asking. ``parse`` gets (exit code, standard output, standard error)."""

    argv: tuple[str, ...]
    parse: Callable[[int, str, str], T_co]


@dataclass(frozen=True, slots=True)
class Probe(Generic[T_co]):
    """A question with its ways, best first."""

    name: str
    ways: tuple[Query[T_co], ...]


def _remembering(parser: Callable[[str], T]) -> Callable[[str], T]:
    short, long = lru_cache(maxsize=32)(parser), lru_cache(maxsize=3)(parser)
    return lambda answer: (long if len(answer) > LONG else short)(answer)


def text(parser: Callable[[str], T]) -> Callable[[int, str, str], T]:
    """A parser of standard output alone; an empty one is explained by standard error."""
    read = _remembering(parser)

    def of_reply(code: int, out: str, err: str) -> T:
        if not out.strip():
            raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"no answer (exit {code})")
        return read(out)

    return of_reply


def either(parser: Callable[[str], T]) -> Callable[[int, str, str], T]:
    """For ``ksctl``: whether errors come on stdout or stderr is not known (FACTS 8.11).

    Twenty nodes asked for a summary of twenty give the same long text: it is read once."""
    read = _remembering(parser)

    def of_reply(code: int, out: str, err: str) -> T:
        if "{" in out or "[" in out:
            return read(out)
        said = parse_ksctl.excerpt(f"{out} {err}")
        raise NotUnderstoodError(said or f"no answer (exit {code})")

    return of_reply


def plain_probe(name: str, parser: Callable[[str], T], *ways: tuple[str, ...]) -> Probe[T]:
    """Ways whose standard output alone tells."""
    return Probe(name, tuple(Query(argv, text(parser)) for argv in ways))


def _ksctl(name: str, parser: Callable[[str], T], *ways: tuple[str, ...]) -> Probe[T]:
    return Probe(name, tuple(Query(argv, either(parser)) for argv in ways))


# -- asked on the node's shell -------------------------------------------------------------------

BOOT: Probe[BootMark] = Probe(
    "boot",
    (
        Query(("cat", "/proc/sys/kernel/random/boot_id"), text(parse_shell.boot_id)),
        Query(("cat", "/proc/stat"), text(parse_shell.boot_time_of_stat)),
        Query(("uptime", "-s"), text(parse_shell.uptime_since)),
        Query(("who", "-b"), text(parse_shell.uptime_since)),
    ),
)

# To compare with a mark that was made while the boot id could not be read.
BOOT_TIME: Probe[BootMark] = Probe("boot time", BOOT.ways[1:])

# In seconds since 1970, to compare with a file's time; the others are the node's local time.
BOOTED_AT: Probe[BootMark] = Probe("time of boot", BOOT.ways[1:2])

MOUNTS: Probe[tuple[Mount, ...]] = plain_probe(
    "free space", parse_shell.mounts, ("df", "-P", "-k", "/", "."), ("df", "-k", "/"), ("df", "-h", "/")
)

UNIT: Probe[Unit] = plain_probe(
    "keysecure unit",
    parse_shell.unit_show,
    ("systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "SubState", "keysecure"),
)
UNIT = Probe(
    UNIT.name,
    (
        *UNIT.ways,
        Query(("systemctl", "is-active", "keysecure"), text(parse_shell.unit_word)),
        Query(("systemctl", "status", "--no-pager", "keysecure"), text(parse_shell.unit_status)),
        Query(("systemctl", "status", "keysecure"), text(parse_shell.unit_status)),
    ),
)


def _rights_of_list(code: int, out: str, err: str) -> Rights:
    said = f"{out}\n{err}"
    if "a password is required" in said or "not allowed" in said or "may not run" in said:
        return Rights(False, False)
    if not out.strip():
        raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"no answer (exit {code})")
    entries = _entries(out)
    commands = [one.strip() for entry in entries for one in re.sub(r"\([^()]*\)", "", entry).split(",")]
    denied = [one for one in commands if re.search(r"(?:^|[\s:])!", one)]
    text_ = " ".join(one for one in commands if one not in denied) if entries else out
    everything = any(re.search(r"(?:^|[\s:=])ALL$", one) for one in commands)
    upgrade = everything or "ks_upgrade" in text_ or "/opt/keysecure/" in text_
    reboot = everything or "reboot" in text_ or "shutdown" in text_
    refused = " ".join(denied)
    return Rights(upgrade and "ks_upgrade" not in refused, reboot and "reboot" not in refused)


def _entries(out: str) -> list[str]:
    """What sudo's list grants, an entry each. It breaks lines at the width of a terminal, or at 80 columns where its
    output is a socket as in a session without one, and goes on further in."""
    entries: list[str] = []
    for line in out.splitlines():
        if line.strip().startswith("(") or "NOPASSWD" in line:
            entries.append(line.strip())
        elif entries and line[:1].isspace() and line.strip():
            entries[-1] += f" {line.strip()}"
    return entries


def _rights_asking(code: int, out: str, err: str) -> Rights:
    """By a sudo that does not know ``-n``: it is then called without it."""
    return replace(_rights_of_list(code, out, err), quiet=False)


RIGHTS: Probe[Rights] = Probe(
    "sudo rights", (Query(("sudo", "-n", "-l"), _rights_of_list), Query(("sudo", "-l"), _rights_asking))
)

CLOCK: Probe[tuple[float, float]] = plain_probe(
    "clock", parse_shell.epoch, ("date", "+%s.%N"), ("date", "+%s")
)


def _processes(code: int, out: str, err: str) -> tuple[str, ...]:
    if code not in (0, 1) or (err.strip() and not out.strip()):
        raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"exit {code}")
    return parse_shell.upgrade_processes(out)


def _process_list(code: int, out: str, err: str) -> tuple[str, ...]:
    if len(out.splitlines()) < 2:
        raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"no process list (exit {code})")
    return parse_shell.upgrade_processes(out)


PROCESSES: Probe[tuple[str, ...]] = Probe(
    "running upgrades",
    (
        Query(("ps", "-eo", "args"), _process_list),
        Query(("ps", "-ef"), _process_list),
        Query(("ps", "aux"), _process_list),
        Query(("pgrep", "-af", "ks_upgrade"), _processes),
        Query(("sh", "-c", "for p in /proc/[0-9]*; do cat $p/cmdline; echo; done"), _process_list),
    ),
)


def _listed(code: int, out: str, err: str) -> tuple[str, ...]:
    if not out.strip() and code != 0:  # an empty home answers 0 with nothing
        raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"exit {code}")
    return parse_shell.log_names(out)


LOG_LIST: Probe[tuple[str, ...]] = Probe("upgrade logs", (Query(("ls", "-1", *LOG_FOLDERS), _listed),))


# Every question to a shell that needs no argument.
OF_A_SHELL: tuple[Probe[object], ...] = (BOOT, MOUNTS, UNIT, RIGHTS, CLOCK, PROCESSES, LOG_LIST)


def log_search() -> Probe[tuple[str, ...]]:
    """Where the script's log is in none of the likely folders: look everywhere on the root file system."""
    return Probe(
        "upgrade logs anywhere",
        (
            Query(
                ("find", "/", "-xdev", "-name", "ks_upgrade_*.log"),
                lambda _c, out, _e: parse_shell.log_names(out),
            ),
        ),
    )


def log_tail(path: str) -> Probe[UpgradeLog]:
    """The end of one log, where its verdict stands."""

    def of_text(out: str) -> UpgradeLog:
        verdict, version, last = parse_shell.log_verdict(out)
        return UpgradeLog(path, len(out), verdict, version, last)

    def empty_too(_code: int, out: str, err: str) -> UpgradeLog:
        if not out and err.strip():
            raise NotUnderstoodError(parse_ksctl.excerpt(err))
        return of_text(out) if out else UpgradeLog(path, 0, LogVerdict.NONE)

    return Probe(
        f"log {path}", tuple(Query(argv, empty_too) for argv in (("tail", "-n", "40", path), ("cat", path)))
    )


def port(host: str) -> Probe[PortState]:
    """Whether ``host``:5432 takes a connection from this node."""

    def nc(code: int, out: str, err: str) -> PortState:
        said = f"{out} {err}".lower()
        if code in (126, 127) or "invalid option" in said or "usage" in said or "unrecognized" in said:
            raise NotUnderstoodError(parse_ksctl.excerpt(said) or "no nc")
        return PortState(code == 0, "nc from the node")

    def shell(code: int, _out: str, err: str) -> PortState:
        said = err.lower()
        if code == 0:
            return PortState(True, "connection from the node")
        if (
            "refused" in said
            or "timed out" in said
            or "no route" in said
            or "unreachable" in said
            or code == 124
        ):
            return PortState(False, "connection from the node")
        raise NotUnderstoodError(parse_ksctl.excerpt(err) or f"exit {code}")

    tcp = f"exec 3<>/dev/tcp/{host}/{CLUSTER_PORT}"
    return Probe(
        f"port {CLUSTER_PORT} of {host}",
        (
            Query(("nc", "-z", "-w", "3", host, str(CLUSTER_PORT)), nc),
            Query(("timeout", "3", "bash", "-c", tcp), shell),
        ),
    )


# -- asked through ksctl -------------------------------------------------------------------------

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
ATTENDED_BOOT: Probe[bool] = _ksctl("disk encryption", parse_ksctl.attended_boot, ("diskenc", "status"))

HSM: Probe[int] = _ksctl("HSM servers", parse_ksctl.row_count, ("hsm", "servers", "list"))

PAGE = 100  # rows a page; the default of 10 hides the newest backups (FACTS 3)


def _whole(parser: Callable[[str], tuple[T, ...]]) -> Callable[[str], tuple[T, ...]]:
    """For a listing asked without paging: good only when it is not a first page."""

    def checked(out: str) -> tuple[T, ...]:
        shown, total = parse_ksctl.total_of(out)
        if shown < total:
            raise NotUnderstoodError(f"only {shown} of {total} rows were shown")
        return parser(out)

    return checked


def backups(skip: int) -> Probe[tuple[BackupEntry, ...]]:
    """One page of the node's backups."""
    return _listing("backups", parse_ksctl.backups, ("backup", "list"), skip)


def backup_keys(skip: int) -> Probe[tuple[BackupKey, ...]]:
    """One page of the node's backup keys."""
    return _listing("backup keys", parse_ksctl.backup_keys, ("backupkeys", "list"), skip)


def _listing(
    name: str, parser: Callable[[str], tuple[T, ...]], argv: tuple[str, ...], skip: int
) -> Probe[tuple[T, ...]]:
    paged = (*argv, "--limit", str(PAGE), "--skip", str(skip))
    return Probe(name, (Query(paged, either(parser)), Query(argv, either(_whole(parser)))))
