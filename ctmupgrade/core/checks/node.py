"""Checks of each node by itself."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core import manual_commands
from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.ages import why_none
from ctmupgrade.core.checks.check import VENDOR, Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.disk_space import GIB, space_need
from ctmupgrade.core.looks.facts import NodeFacts, Unknown, fresh_manifest
from ctmupgrade.core.looks.upgrade_log import MOVE_AWAY, LogVerdict, UpgradeLog, undecided
from ctmupgrade.core.version import Version, reached


def node_reachable(q: Question) -> Iterator[Finding]:
    """Judge whether each node lets us in over SSH."""
    for name, facts in q.facts.nodes.items():
        node = q.cluster.node(name)
        shell = facts.shell
        if isinstance(shell, Unknown):
            remedy = manual_commands.login(node, "must log in without a prompt")
            verdict = Verdict.UNKNOWN if shell.unreachable else Verdict.BLOCK
            yield Finding("node_reachable", verdict, name, shell.why, remedy, unreachable=shell.unreachable)
        else:
            yield Finding("node_reachable", Verdict.PASS, name, f"logged in as {node.ssh.user}@{node.host}")


NO_ARCHIVE = "how much space is needed is not known: the archive was not verified"


def free_space_sufficient(q: Question) -> Iterator[Finding]:
    """Judge each node's free space by the strictest published rule (docs/appliance.md 2)."""
    check = "free_space_sufficient"
    if isinstance(q.facts.archive, Unknown):
        yield Finding(check, Verdict.UNKNOWN, "", NO_ARCHIVE, "fix what archive_signature_good says")
        return
    for facts in q.pending:
        mounts, version = facts.mounts, facts.version
        if isinstance(mounts, Unknown):
            yield unknown(check, facts.name, mounts, "df -h /   # on the node", "free space")
        elif isinstance(version, Unknown):
            yield unknown(check, facts.name, version, "ksctl system info get", "its version")
        else:
            there = facts.staged if isinstance(facts.staged, int) else 0
            staged = there == q.facts.archive.size
            need = space_need(version, q.cluster.target.version, q.facts.archive.size, staged=staged)
            worst = min(mounts, key=lambda m: m.free)
            enough = worst.free >= need.bytes
            summary = f"{worst.mount} has {worst.free / GIB:.1f} GiB free, needs {need.bytes / GIB:.1f} GiB ({need.formula})"
            remedy = "" if enough else "remove old archives, backups and logs (df -h /), or enlarge the disk"
            yield Finding(
                check, Verdict.PASS if enough else Verdict.BLOCK, facts.name, summary, remedy, VENDOR
            )
    if not q.pending:
        yield Finding(check, Verdict.PASS, "", "no node needs the upgrade")


def backup_downloaded_with_key(q: Question) -> Iterator[Finding]:
    """Judge whether a fresh backup of each node and its key are on this machine (docs/appliance.md 3)."""
    check = "backup_downloaded_with_key"
    for facts in q.pending:
        good = fresh_manifest(q.facts, facts.name)
        if good:
            summary = f"backup {good} and its key are on this machine"
            yield Finding(check, Verdict.PASS, facts.name, summary)
        elif q.facts.backups_possible:
            yield Finding(
                check, Verdict.BLOCK, facts.name, f"no fresh backup is on this machine, and none can be made: "
                f"{q.facts.backups_possible}", "backup.directory: a folder of yours with room (df, ls -ld); "
                "backup.key_password_env: the name of a variable that is exported", VENDOR,
            )  # fmt: skip
        else:
            yield Finding(
                check, Verdict.WARN, facts.name, f"no fresh backup is on this machine ({why_none(q.facts, facts.name)}); "
                "`run` makes one first",
                "ctmupgrade backup", VENDOR,
            )  # fmt: skip
    if not q.pending:
        yield Finding(check, Verdict.PASS, "", "no node needs the upgrade")


def ntp_synchronised(q: Question) -> Iterator[Finding]:
    """Judge whether each node follows a time server, by ntpq's own mark."""
    check = "ntp_synchronised"
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.ntp, Unknown):
            yield unknown(check, name, facts.ntp, "ksctl ntp status", "NTP")
        elif facts.ntp.synchronised:
            yield Finding(check, Verdict.PASS, name, "follows a time server")
        else:
            yield Finding(
                check, Verdict.BLOCK, name, "follows no time server; nodes whose clocks differ cannot replicate",
                "ksctl ntp servers add --host TIME-SERVER   # the same on every node", VENDOR,
            )  # fmt: skip


def sudo_allows_upgrade(q: Question) -> Iterator[Finding]:
    """Judge whether sudo allows what an upgrade needs."""
    check, remedy = "sudo_allows_upgrade", "sudo -n -l   # as ksadmin; must list ks_upgrade.sh and reboot"
    for name, facts in q.facts.nodes.items():
        rights = facts.rights
        if isinstance(rights, Unknown):
            yield unknown(check, name, rights, remedy, "what sudo allows")
        elif rights.upgrade and rights.reboot:
            yield Finding(check, Verdict.PASS, name, "sudo allows ks_upgrade.sh and reboot")
        else:
            lacking = " and ".join(
                what
                for what, has in (("ks_upgrade.sh", rights.upgrade), ("reboot", rights.reboot))
                if not has
            )
            yield Finding(check, Verdict.BLOCK, name, f"sudo does not allow {lacking}", remedy)


def _has_failed(facts: NodeFacts) -> bool:
    """Whether the last upgrade ended without its success line; one that runs may write it yet."""
    logs = facts.logs
    return bool(
        isinstance(logs, tuple)
        and logs
        and logs[-1].verdict not in (LogVerdict.SUCCEEDED, LogVerdict.UNREAD)
        and facts.processes == ()
    )


def no_reboot_pending(q: Question) -> Iterator[Finding]:
    """Judge whether an earlier upgrade still waits for its reboot (docs/appliance.md 1.2)."""
    check = "no_reboot_pending"
    for name, facts in q.facts.nodes.items():
        logs, version = facts.logs, facts.version
        if isinstance(logs, Unknown):
            what = "whether an earlier upgrade waits for its reboot"
            yield unknown(check, name, logs, "ls ks_upgrade_*.log   # on the node", what)
        elif isinstance(version, Unknown):
            yield unknown(check, name, version, "ksctl system info get", "its version")
        else:
            ended = (LogVerdict.SUCCEEDED, LogVerdict.DOUBTED)
            last = next((log for log in reversed(logs) if log.verdict in ended), None)
            left, unread = q.facts.unbooted_still(name), undecided(logs)
            if last is not None and last.waits(version):
                yield Finding(check, Verdict.BLOCK, name, *_waiting(last, version), VENDOR)
            elif isinstance(left, Unknown):
                remedy = "cat /proc/sys/kernel/random/boot_id   # must work on the node; or reboot the node"
                yield unknown(check, name, left, remedy, "whether it was rebooted after its upgrade")
            elif left is not None:
                summary = (
                    f"run {left.run} upgraded it to {left.target.short}, and it has not been rebooted since "
                    f"(the version that it reports proves nothing)"
                )
                yield Finding(check, Verdict.BLOCK, name, summary, "ctmupgrade recover", VENDOR)
            elif unread is not None:
                remedy = (
                    "read it on the node's console: with a success line the node waits for its reboot; without one do not "
                    f"reboot it, fix the cause and {MOVE_AWAY}"
                )
                what = "whether an earlier upgrade failed or waits for its reboot"
                yield unknown(check, name, unread, remedy, what)
            elif _has_failed(facts) and not reached(version, q.cluster.target.version):
                last_line = logs[-1].last_line or "the log is empty"
                summary = f"its last upgrade has no success line ({logs[-1].path}): {last_line}"
                yield Finding(check, Verdict.MANUAL, name, summary, "make sure that the cause is fixed")
            else:
                yield Finding(check, Verdict.PASS, name, "no upgrade waits for its reboot")


def _waiting(log: UpgradeLog, version: Version) -> tuple[str, str]:
    """What is said of an upgrade whose reboot is missing, or which took no effect, and what to do."""
    if log.in_this_boot is False:
        summary = f"an upgrade to {log.version} ended before the node's last boot, and took no effect: it is on {version} ({log.path})"
        return summary, f"keep that log, and ask vendor support; to upgrade the node again, {MOVE_AWAY}"
    how = "has succeeded" if log.verdict is LogVerdict.SUCCEEDED else "may have succeeded"
    return f"an upgrade to {log.version} {how} and waits for its reboot ({log.path})", "ctmupgrade recover"


def reboot_needs_no_person(q: Question) -> Iterator[Finding]:
    """Judge whether a boot waits for a passphrase (docs/appliance.md 5)."""
    check = "reboot_needs_no_person"
    for name, facts in q.facts.nodes.items():
        fact = facts.attended_boot
        if isinstance(fact, Unknown) and fact.unreachable:
            yield unknown(check, name, fact, "ksctl diskenc status", "disk encryption")
        elif isinstance(fact, Unknown):
            summary = f"whether a boot waits for a passphrase is not known ({fact.why})"
            yield Finding(check, Verdict.MANUAL, name, summary, "ksctl diskenc status")
        elif not fact:
            yield Finding(check, Verdict.PASS, name, "boots without a passphrase")
        elif q.options.accept_attended_boot:
            yield Finding(check, Verdict.MANUAL, name, "a person must type the passphrase at each boot")
        else:
            yield Finding(
                check, Verdict.BLOCK, name, "disk encryption waits for a passphrase at boot",
                "have a person at the console at each reboot, and add --accept-attended-boot",
            )  # fmt: skip


def fresh_instances_ready(q: Question) -> Iterator[Finding]:
    """Judge new instances: only equal versions join, and only what is in no cluster; its services must be up first."""
    check = "fresh_instances_ready"
    target = q.cluster.target.version
    for name, facts in q.facts.fresh.items():
        node, problems = q.cluster.node(name), list(health.service_problems({name: facts}))
        host = node.host
        if isinstance(facts.system, Unknown):
            yield unknown(
                check, name, facts.system, manual_commands.ksctl(node, "system", "info", "get"), "its version"
            )
        elif isinstance(facts.membership, Unknown):
            yield unknown(
                check, name, facts.membership, manual_commands.ksctl(node, "cluster", "info"), "its cluster"
            )
        elif not reached(facts.system.version, target):
            summary = f"the new instance at {host} has {facts.system.version}, not {target.short}"
            yield Finding(check, Verdict.BLOCK, name, summary, f"install {target.short} on it", VENDOR)
        elif facts.membership.clustered:
            summary = f"the new instance at {host} is in a cluster already"
            yield Finding(
                check,
                Verdict.BLOCK,
                name,
                summary,
                "name another instance, or remove this one from its cluster",
                VENDOR,
            )
        elif problems:
            verdict = Verdict.UNKNOWN if problems[0].unknown else Verdict.BLOCK
            yield Finding(check, verdict, name, problems[0].text, "wait until its services are started", VENDOR,
                          problems[0].unreachable)  # fmt: skip
        else:
            yield Finding(
                check, Verdict.PASS, name, f"a new instance at {host} on {facts.system.version}, unclustered"
            )
    if not q.facts.fresh:
        yield Finding(check, Verdict.PASS, "", "no new instance joins")
