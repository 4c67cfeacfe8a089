"""Checks of the machine under the appliance: its file systems, their encryption, its address."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, looked, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.disk_space import GIB, space_need
from ctmupgrade.core.looks.facts import Mount, Unknown
from ctmupgrade.core.looks.parse_state import ON_DISK
from ctmupgrade.core.version import Version

FEW, NEARLY_NONE = 0.10, 0.02  # shares of free inodes
ALARM_SHARE = 0.80  # of the root file system in use: the alarm Disk Full (vendor page Alarms)
FINAL_WORDS = (
    "",
    "not encrypted",
    "encrypted",
    "unencrypted",
    "decrypted",
    "disabled",
    "enabled",
    "none",
    "false",
    "true",
)


def inodes_free(q: Question) -> Iterator[Finding]:
    """Check that files can still be made: df shows room also where no inode is left."""
    check, command = "inodes_free", "df -i /   # on the node"
    known, found = looked(q, check, lambda f: f.inodes, "how many inodes are free", command)
    for name, rows in known.items():
        shares = [(row.free / row.total, row.mount) for row in rows if row.total > 0]
        share, mount = min(shares, default=(1.0, "/"))
        if share < FEW:
            verdict = Verdict.BLOCK if share < NEARLY_NONE else Verdict.WARN
            words = f'{mount} has {share:.0%} of its inodes free: unpacking fails with "no space" where none is left'
            found.append(
                Finding(
                    check,
                    verdict,
                    name,
                    words,
                    f"{command}; remove what has many small files, such as old logs",
                )
            )
    yield from or_pass(check, found, "every node has inodes free")


def root_writable(q: Question) -> Iterator[Finding]:
    """Check that no file system that an upgrade writes to is mounted read-only, as after an error of its disk."""
    check, command = "root_writable", "cat /proc/mounts   # on the node"
    known, found = looked(q, check, lambda f: f.mounted, "how its file systems are mounted", command)
    for name, rows in known.items():
        for row in (one for one in rows if one.read_only):
            certain = row.mount == "/" and row.kind in ON_DISK
            words = f"{row.mount} ({row.kind}) is mounted read-only: the upgrade cannot write there"
            remedy = f"{command}; find out why (dmesg), and ask vendor support"
            found.append(Finding(check, Verdict.BLOCK if certain else Verdict.WARN, name, words, remedy))
    yield from or_pass(check, found, "no file system that the upgrade writes to is read-only")


def disk_stays_below_alarm(q: Question) -> Iterator[Finding]:
    """Check that the disk stays below 80 % with the archive and what is unpacked of it: the alarm Disk Full is at 80 %."""
    check, found, archive = "disk_stays_below_alarm", [], q.facts.archive
    if isinstance(archive, Unknown):
        yield Finding(
            check, Verdict.PASS, "", "checked once the archive's size is known: see archive_signature_good"
        )
        return
    for facts in q.pending:
        mounts, version = facts.mounts, facts.version
        if isinstance(mounts, Unknown) or isinstance(version, Unknown):
            continue  # said by free_space_sufficient
        staged = isinstance(facts.staged, int) and facts.staged == archive.size
        need = space_need(version, q.cluster.target.version, archive.size, staged=staged).bytes
        full = [row for row in mounts if row.mount == "/" and _share(row, need) > ALARM_SHARE]
        if full:
            words = f"with the archive and what is unpacked of it, / is more than {ALARM_SHARE:.0%} full: the alarm Disk Full comes"
            remedy = "remove old archives, backups and logs (df -h /), or enlarge the disk"
            found.append(Finding(check, Verdict.WARN, facts.name, words, remedy, "vendor page Alarms"))
    yield from or_pass(check, found, f"every disk stays below {ALARM_SHARE:.0%}")


def _share(row: Mount, need: int) -> float:
    return (row.total - row.free + need) / row.total if row.total >= GIB else 0.0


def diskenc_at_rest(q: Question) -> Iterator[Finding]:
    """Check that no disk is being encrypted or decrypted: a reboot in the middle of it loses it."""
    check, command = "diskenc_at_rest", "ksctl diskenc status"
    known, found = looked(
        q, check, lambda f: f.encryption, "whether its disk is being encrypted", command, Verdict.MANUAL
    )
    for name, state in known.items():
        word = state.status.strip().lower()
        if word.rstrip(".") in FINAL_WORDS:
            continue
        moving = any(part in word for part in ("encrypting", "decrypting", "in progress", "%"))
        words = f'its disk encryption is "{state.status}"' + (
            ": a reboot now may lose the disk" if moving else ""
        )
        remedy = f"wait until it ends: {command}" if moving else f"{command}   # look by hand"
        found.append(Finding(check, Verdict.BLOCK if moving else Verdict.WARN, name, words, remedy))
    yield from or_pass(check, found, "no disk is being encrypted or decrypted")


def address_is_static(q: Question) -> Iterator[Finding]:
    """Check that no node gets its address by DHCP: it may come back from the reboot under another."""
    check, command = "address_is_static", "nmcli device show   # on the node"
    known, found = looked(q, check, lambda f: f.by_dhcp, "how it gets its address", command)
    for name, devices in known.items():
        if devices:
            words = f"its address is given by DHCP ({', '.join(devices)}): it may come back under another"
            found.append(
                Finding(check, Verdict.WARN, name, words, "make sure that the address is reserved for it")
            )
    yield from or_pass(check, found, "no node gets its address by DHCP")


def builds_equal(q: Question) -> Iterator[Finding]:
    """Check that nodes of one release have one build: a hotfix on one of them may be lost, or missing."""
    check = "builds_equal"
    builds: dict[str, dict[int, list[str]]] = {}
    for name, facts in q.facts.nodes.items():
        version = facts.version
        if isinstance(version, Version) and version.build is not None:
            builds.setdefault(version.short, {}).setdefault(version.build, []).append(name)
    found = []
    for release, each in builds.items():
        if len(each) > 1:
            listing = "; ".join(f"{build}: {', '.join(names)}" for build, names in sorted(each.items()))
            words = f"nodes of {release} have different builds ({listing})"
            found.append(
                Finding(
                    check,
                    Verdict.WARN,
                    "",
                    words,
                    "find out whether one has a hotfix, and whether the target has it",
                )
            )
    yield from or_pass(check, found, "nodes of one release have one build")
