"""What may be wrong with a node by itself: an upgrade that did not end, a missing reboot, its services."""

from __future__ import annotations

from datetime import UTC

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.boot import Unbooted
from ctmupgrade.core.looks.facts import NodeFacts, SystemInfo, Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_REMEDY
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog, began_at
from ctmupgrade.core.plan.steps import AwaitNode, Reboot, RestartServices, Settle, step
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, advise, together
from ctmupgrade.core.recovery.scene import JOINING, Scene
from ctmupgrade.core.timing import BOOT_S, SERVICES_S
from ctmupgrade.core.version import Version


def waiting_log(node: NodeFacts) -> UpgradeLog | None:
    """Return the log of an upgrade that succeeded and waits for its reboot, or went to a version that the node has
    not."""
    if isinstance(node.logs, Unknown) or isinstance(node.version, Unknown):
        return None
    last = next((log for log in reversed(node.logs) if log.verdict is LogVerdict.SUCCEEDED), None)
    return last if last is not None and last.waits(node.version) else None


def booted_since(node: NodeFacts, log: UpgradeLog) -> bool:
    """Return whether it was booted after that upgrade began: then a reboot is not what is missing.

    The log's name has the right time, the times inside have not (docs/appliance.md 1.2); the uptime is ksctl's.
    """
    if log.in_this_boot is not None:
        return not log.in_this_boot
    began, system = began_at(log.path), node.system
    if began is None or not isinstance(system, SystemInfo) or system.time is None or system.uptime_s < 0:
        return False
    return (
        system.time.replace(tzinfo=UTC).timestamp() - system.uptime_s > began
    )  # both in the node's own clock


def failed_log(node: NodeFacts, target: Version) -> UpgradeLog | None:
    """Return the log of a last upgrade that has no success line, on a node that is not at the target."""
    if isinstance(node.logs, Unknown) or not node.logs:
        return None
    last = node.logs[-1]
    done = not isinstance(node.version, Unknown) and node.version.same_release(target)
    return None if last.verdict in (LogVerdict.SUCCEEDED, LogVerdict.UNREAD) or done else last


def running_upgrades(scene: Scene) -> Part:
    """Return the upgrades that run now: nothing else is done meanwhile."""
    names = [n for n, f in scene.facts.nodes.items() if isinstance(f.processes, tuple) and f.processes]
    if not names:
        return Part()
    wrong = tuple(
        Trouble(
            f"ks_upgrade.sh runs on {name}", name, explains=True, state="being upgraded", urgency=Urgency.WAIT,
            if_left="the upgrade goes on by itself; the node needs a reboot when it has ended",
        )
        for name in names
    )  # fmt: skip
    run = scene.past.run
    follow = (f"ctmupgrade resume {run}",) if run else ("ctmupgrade recover",)
    text = "do not touch it, and do not reboot any node now. " + (
        "To follow the upgrade and finish the run" if run else "When ks_upgrade.sh has ended, check again"
    )
    return Part(wrong, (Advice(text, follow),))


def unfinished_upgrades(scene: Scene) -> Part:
    """Return upgrades that failed, and those that succeeded without the version having changed."""
    return together(_unfinished(scene, name, node) for name, node in scene.facts.nodes.items())


def _unfinished(scene: Scene, name: str, node: NodeFacts) -> Part:
    log, failed = waiting_log(node), failed_log(node, scene.cluster.target.version)
    if log is None:
        return _failed(scene, name, failed) if failed is not None else Part()
    if not booted_since(node, log):
        return Part()
    trouble = Trouble(
        f"{name}: still has {node.version} although the upgrade to {log.version} succeeded and the node was rebooted",
        name, state="still on the old version after its upgrade and reboot",
    )  # fmt: skip
    text = (
        f"{name}: needs vendor support: keep {log.path} and do not reboot it again. The other nodes continue to serve clients. "
        "To collect what support will ask for"
    )
    return Part((trouble,), (Advice(text, (collecting(scene),)),))


def collecting(scene: Scene) -> str:
    """Return the command that packs what vendor support will ask for: a run's bundle, or all looks where no run is
    known here."""
    return (
        "ctmupgrade report --bundle support.tar.gz"
        if scene.past.any_run
        else "ctmupgrade record support-looks"
    )


def _failed(scene: Scene, name: str, log: UpgradeLog) -> Part:
    trouble = Trouble(
        f"{name}: its last upgrade has no success line ({log.path}: {log.last_line or 'empty'})",
        name, state="stuck in a failed upgrade",
        if_left="it stays on the old version; it must not be rebooted",
    )  # fmt: skip
    run = scene.past.run
    again: tuple[str, ...]
    if run and name in scene.past.stuck:
        again = (f"ctmupgrade node retry {run} {name} --reason 'cause fixed'", f"ctmupgrade resume {run}")
    else:
        again = (f"ctmupgrade resume {run}",) if run else ("ctmupgrade run",)
    text = f"{name} needs you: do not reboot it; read that log and fix the cause. Once it is fixed"
    return Part((trouble,), (Advice(text, again),))


def reboots(scene: Scene) -> Part:
    """Return the reboots of nodes whose upgrade ended well: nothing else is missing. One node at a time, and only
    while no other member is out, for at most one may be out of service."""
    return together(_reboot_of(scene, name) for name in scene.facts.nodes if name not in scene.silent)


def _reboot_of(scene: Scene, name: str) -> Part:
    version = _unbooted(scene, name)
    if version is None:
        return Part()
    trouble = Trouble(
        f"{name}: the upgrade to {version} succeeded and waits for its reboot",
        name, explains=True, state="waiting for its reboot",
        if_left="it serves clients without the reboot; its upgrade must not be started again",
    )  # fmt: skip
    out = [n for n in scene.silent if not scene.given_up(n)]
    if version.release != scene.cluster.target.version.release:
        more = advise(f"{name}: that is not the target of cluster.yaml; correct target.version first")
    elif out:
        more = advise(f"{name}: it is rebooted when {', '.join(out)} is back or removed")
    elif scene.joining:
        more = advise(f"{name}: it is rebooted when {', '.join(scene.joining)} is no longer joining")
    else:
        more = _reboot(scene, name)
    return Part((trouble,)) + more


def _unbooted(scene: Scene, name: str) -> Version | None:
    """Return the version whose upgrade waits for this node's reboot, by its log or by a journal on this machine."""
    log, left = waiting_log(scene.facts.nodes[name]), scene.facts.unbooted_still(name)
    if log is not None:
        return None if booted_since(scene.facts.nodes[name], log) else Version.parse(log.version)
    return left.target if isinstance(left, Unbooted) else None


def _reboot(scene: Scene, name: str) -> Part:
    membership = scene.facts.nodes[name].membership
    member = not isinstance(membership, Unknown) and membership.clustered
    # Where the members are not the nodes of cluster.yaml, or one is gone for good, all would never be seen ready: then the
    # node itself is asked, and what is wrong with the cluster afterwards is looked at again.
    others = bool(scene.known.gone) or bool(scene.via and (scene.unmatched or scene.foreign))
    clustered = member and not others
    seconds = int(scene.cluster.stable_for.total_seconds())
    return Part(
        steps=(
            step(Reboot(), name, "the reboot ends its upgrade", BOOT_S),
            step(AwaitNode(clustered), name, "it must come back on the target version", SERVICES_S),
            step(Settle(clustered), name, "it must stay healthy", seconds),
        )
    )


def services(scene: Scene) -> Part:
    """Return services that are not started, and their restart. Never in a join, which that would break."""
    return together(_services(scene, name, node) for name, node in scene.facts.nodes.items())


def _services(scene: Scene, name: str, node: NodeFacts) -> Part:
    problems = [p for p in health.service_problems({name: node}) if not p.unknown]
    log = waiting_log(node)
    by_log = log is not None and not booted_since(node, log)
    waits = by_log or scene.facts.unbooted_still(name) is not None
    if not problems or name in scene.silent or waits:
        return Part()
    trouble = Trouble(
        str(problems[0]), name, explains=True, state="out",
        if_left="its services may start by themselves within minutes; until then it serves no clients",
    )  # fmt: skip
    member = scene.members.get(name)
    if member is not None and member.code in JOINING:
        return Part((trouble,)) + advise(
            f"{name}: it is joining; its services start by themselves, never restart them now"
        )
    by_shell = not isinstance(node.shell, Unknown) and (
        isinstance(node.services, Unknown) or isinstance(node.unit, Unknown) or node.unit.active != "active"
    )
    why = (
        "keysecure is not active; its control plane cannot restart it"
        if by_shell
        else "its services are not started"
    )
    restart = step(RestartServices(by_shell), name, why, SERVICES_S)
    csm = advise(f"{name}: {CSM_REMEDY}") if any(p.csm for p in problems) else Part()
    return Part((trouble,), steps=(restart,)) + csm
