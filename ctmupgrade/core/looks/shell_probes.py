"""The questions that are asked on a node's shell."""

from __future__ import annotations

import re
from dataclasses import replace

from ctmupgrade.core.looks import parse_shell
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt, not_told
from ctmupgrade.core.looks.facts import Mount, PortState, Rights, Unit
from ctmupgrade.core.looks.probes import Probe, Query, plain_probe, text
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog, log_verdict

UPGRADE_SCRIPT = "/opt/keysecure/ks_upgrade.sh"
# Looked at, never written.
LOG_FOLDERS = (
    ".", "/opt/keysecure/logs", "/var/log", "/var/log/keysecure", "/opt/keysecure", "/tmp", "/root",  # noqa: S108
)  # fmt: skip
CLUSTER_PORT = 5432

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

# In seconds since 1970, to compare with a file's time; the others are the node's local time, as in the names of logs.
BOOTED_AT: Probe[BootMark] = Probe("time of boot", BOOT.ways[1:2])
BOOTED_AT_LOCAL: Probe[BootMark] = Probe("local time of boot", BOOT.ways[2:])

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
        raise not_told(err, f"no answer (exit {code})")
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
        raise not_told(err, f"exit {code}")
    return parse_shell.upgrade_processes(out)


def _process_list(code: int, out: str, err: str) -> tuple[str, ...]:
    """A running script that is listed runs, whatever else is wrong with the list. That none runs is told by a list only."""
    found = parse_shell.upgrade_processes(out)
    if not found and (code != 0 or not parse_shell.is_process_list(out)):
        raise not_told(err, f"no process list (exit {code})")
    return found


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
        raise not_told(err, f"exit {code}")
    return parse_shell.log_names(out)


LOG_LIST: Probe[tuple[str, ...]] = Probe("upgrade logs", (Query(("ls", "-1", *LOG_FOLDERS), _listed),))


# Every question to a shell that needs no argument: the tests ask them of every kind of node.
OF_A_SHELL: tuple[Probe[object], ...] = (BOOT, MOUNTS, UNIT, RIGHTS, CLOCK, PROCESSES, LOG_LIST)


def _found(code: int, out: str, err: str) -> tuple[str, ...]:
    """``find`` ends with 1 where it may not look into some folder, as an ordinary user may not."""
    if code not in (0, 1):
        raise NotUnderstoodError("", excerpt(err))
    return parse_shell.log_names(out)


def log_search() -> Probe[tuple[str, ...]]:
    """Return the question for a script's log that is in none of the likely folders: look everywhere on the root file system."""
    return Probe(
        "upgrade logs anywhere",
        (Query(("find", "/", "-xdev", "-name", "ks_upgrade_*.log"), _found),),
    )


_END_BYTES = "65536"  # of a log whose 40 last lines are more than an answer may be


def log_tail(path: str) -> Probe[UpgradeLog]:
    """Return the end of one log, where its verdict stands."""

    def of_text(out: str) -> UpgradeLog:
        verdict, version, last = log_verdict(out)
        return UpgradeLog(path, len(out), verdict, version, last)

    def empty_too(code: int, out: str, err: str) -> UpgradeLog:
        if not out and (err.strip() or code != 0):
            raise not_told(err, f"exit {code}")
        return of_text(out) if out else UpgradeLog(path, 0, LogVerdict.NONE)

    ends = (
        ("tail", "-n", "40", path),
        ("cat", path),
        ("tail", "-c", _END_BYTES, path),  # of endless lines
    )
    return Probe(f"log {path}", tuple(Query(argv, empty_too) for argv in ends))


def port(host: str) -> Probe[PortState]:
    """Return whether ``host``:5432 takes a connection from this node."""

    def nc(code: int, out: str, err: str) -> PortState:
        said = f"{out} {err}".lower()
        if code in (126, 127) or "invalid option" in said or "usage" in said or "unrecognized" in said:
            raise not_told(said, "no nc")
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
        raise not_told(err, f"exit {code}")

    tcp = f"exec 3<>/dev/tcp/{host}/{CLUSTER_PORT}"
    return Probe(
        f"port {CLUSTER_PORT} of {host}",
        (
            Query(("nc", "-z", "-w", "3", host, str(CLUSTER_PORT)), nc),
            Query(("timeout", "3", "bash", "-c", tcp), shell),
        ),
    )
