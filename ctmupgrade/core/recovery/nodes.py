"""What may be wrong with a node by itself: an upgrade that did not end, a missing reboot, its services."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.facts import NodeFacts, SystemInfo, Unbooted, Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import Version
from ctmupgrade.core.plan.steps import AwaitNode, Reboot, RestartServices, Settle
from ctmupgrade.core.recovery.scene import JOINING, Diagnosis, Scene
from ctmupgrade.core.timing import BOOT_S, SERVICES_S

_NAMED_TIME = re.compile(r"ks_upgrade_(\d{4}-\d\d-\d\d-\d{6})\.log$")


def waiting_log(node: NodeFacts) -> UpgradeLog | None:
    """The log of an upgrade that succeeded and waits for its reboot, or went to a version that the node has not."""
    if isinstance(node.logs, Unknown) or isinstance(node.version, Unknown):
        return None
    last = next((log for log in reversed(node.logs) if log.verdict is LogVerdict.SUCCEEDED), None)
    return last if last is not None and last.waits(node.version) else None


def booted_since(node: NodeFacts, log: UpgradeLog) -> bool:
    """Whether it was booted after that upgrade began: then a reboot is not what is missing.

    The log's name has the right time, the times inside have not (FACTS 1.2); the uptime is ksctl's.
    """
    if log.in_this_boot is not None:
        return not log.in_this_boot
    found = _NAMED_TIME.search(log.path)
    system = node.system
    if not found or not isinstance(system, SystemInfo) or system.time is None or system.uptime_s < 0:
        return False
    began = datetime.strptime(found.group(1), "%Y-%m-%d-%H%M%S")  # noqa: DTZ007 - the node's own clock, like below
    booted = system.time.replace(tzinfo=None) - timedelta(seconds=system.uptime_s)
    return booted > began


def failed_log(node: NodeFacts, target: Version) -> UpgradeLog | None:
    """The log of a last upgrade that has no success line, on a node that is not at the target."""
    if isinstance(node.logs, Unknown) or not node.logs:
        return None
    last = node.logs[-1]
    done = not isinstance(node.version, Unknown) and node.version.same_release(target)
    return None if last.verdict is LogVerdict.SUCCEEDED or done else last


def unfinished_upgrades(found: Diagnosis, scene: Scene) -> None:
    """Upgrades that failed, and those that succeeded without the version having changed."""
    for name, node in scene.facts.nodes.items():
        log, failed = waiting_log(node), failed_log(node, scene.cluster.target.version)
        if log is not None and booted_since(node, log):
            found.wrong.append(
                f"{name}: still has {node.version} although its upgrade to {log.version} succeeded and it was rebooted"
            )
            found.advice.append(
                f"{name}: no way by itself: keep {log.path} and ask vendor support; do not reboot it again. The others "
                "go on serving; ctmupgrade report --bundle FILE packs what support will ask for"
            )
        elif log is None and failed is not None:
            _failed(found, scene, name, failed)


def _failed(found: Diagnosis, scene: Scene, name: str, log: UpgradeLog) -> None:
    found.wrong.append(
        f"{name}: its last upgrade has no success line ({log.path}: {log.last_line or 'empty'})"
    )
    run = scene.past.run
    again = (
        f"ctmupgrade node retry {run} {name} --reason '...'; ctmupgrade resume" if run else "ctmupgrade run"
    )
    found.advice.append(
        f"{name}: no step by itself: do not reboot it; read that log; when the cause is mended: {again}"
    )


def reboots(found: Diagnosis, scene: Scene) -> None:
    """An upgrade that ended well before its reboot: nothing but the reboot is missing. One node at a time, and
    only while no other member is away, for at most one may be out of service."""
    nodes, target = scene.facts.nodes, scene.cluster.target.version
    for name, node in nodes.items():
        if name in scene.silent or (version := _unbooted(scene, name)) is None:
            continue
        found.blame(name, f"{name}: the upgrade to {version} succeeded and waits for its reboot")
        away = [n for n in scene.silent if n not in scene.known.gone]
        if version.release != target.release:
            found.advice.append(f"{name}: that is not cluster.yaml's target; correct target.version first")
        elif away:
            found.advice.append(f"{name}: its reboot comes when {', '.join(away)} is back or removed")
        elif scene.joining:
            found.advice.append(
                f"{name}: its reboot comes when {', '.join(scene.joining)} is no longer joining"
            )
        else:
            _reboot(found, scene, name, node)


def _unbooted(scene: Scene, name: str) -> Version | None:
    """The version whose upgrade waits for this node's reboot, by its log or by a journal on this machine."""
    log, left = waiting_log(scene.facts.nodes[name]), scene.facts.unbooted_still(name)
    if log is not None:
        return None if booted_since(scene.facts.nodes[name], log) else Version.parse(log.version)
    return left.target if isinstance(left, Unbooted) else None


def _reboot(found: Diagnosis, scene: Scene, name: str, node: NodeFacts) -> None:
    member = not isinstance(node.membership, Unknown) and node.membership.clustered
    clustered = member and not scene.known.gone  # a member that is gone for good would never be seen well
    seconds = int(scene.cluster.stable_for.total_seconds())
    found.add("reboot", name, Reboot(), "its upgrade waits for it", BOOT_S)
    found.add("await", name, AwaitNode(clustered), "it must come back on the target", SERVICES_S)
    found.add("settle", name, Settle(clustered), "and stay well", seconds)


def services(found: Diagnosis, scene: Scene) -> None:
    """Services that are not started. Never restarted in a join, which that would break."""
    for name, node in scene.facts.nodes.items():
        problems = [p for p in health.service_problems({name: node}) if not p.unknown]
        log = waiting_log(node)
        by_log = log is not None and not booted_since(node, log)
        waits = by_log or scene.facts.unbooted_still(name) is not None
        if not problems or name in scene.silent or waits:
            continue
        found.blame(name, str(problems[0]))
        member = scene.members.get(name)
        if member is not None and member.code in JOINING:
            found.advice.append(
                f"{name}: it is joining; its services come up by themselves, never restart them now"
            )
        elif isinstance(node.shell, Unknown):
            found.add("restart-services", name, RestartServices(), "its services are not started", SERVICES_S)
        else:
            by_shell = (
                isinstance(node.services, Unknown)
                or isinstance(node.unit, Unknown)
                or node.unit.active != "active"
            )
            why = (
                "keysecure is not well; its control plane cannot restart it"
                if by_shell
                else "its services are not started"
            )
            found.add("restart-services", name, RestartServices(by_shell), why, SERVICES_S)
