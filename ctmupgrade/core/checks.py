"""The checks. Each is named as the sentence that should be true and yields at least one finding.

To add one: a function here and its line in :data:`CHECKS`. What it needs to know is a field of
``NodeFacts`` filled by a probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from ctmupgrade.core import health
from ctmupgrade.core.facts import Facts, LogVerdict, Maybe, NodeFacts, Unknown
from ctmupgrade.core.findings import Finding, Verdict, waive
from ctmupgrade.core.health import Problem
from ctmupgrade.core.model import Cluster, StrategyName, Version
from ctmupgrade.core.releases import GIB, PathVerdict, judge_path, space_need
from ctmupgrade.core.steps import Options, reached

MAX_NODES = 20  # vendor page Clusters and Nodes
CLOCK_TOLERANCE = 1.0  # seconds
VENDOR = "vendor page Clusters and Nodes"


@dataclass(frozen=True, slots=True)
class Question:
    """What a check may look at."""

    facts: Facts
    cluster: Cluster
    options: Options

    @property
    def clustered(self) -> bool:
        return self.cluster.strategy is not StrategyName.STANDALONE

    @property
    def pending(self) -> list[NodeFacts]:
        """Nodes that are not known to be at the target already."""
        target = self.cluster.target.version
        return [f for f in self.facts.nodes.values() if isinstance(f.version, Unknown) or not reached(f.version, target)]


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its id, what it asks, and whether it may be waived with a reason."""

    id: str
    title: str
    run: Callable[[Question], Iterator[Finding]]
    waivable: bool = True


def _unknown(check: str, node: str, fact: Unknown, remedy: str, what: str = "") -> Finding:
    text = f"{what or 'this'} could not be found out: {fact.why}"
    return Finding(check, Verdict.UNKNOWN, node, text, remedy, unreachable=fact.unreachable)


def _of_problems(check: str, problems: Iterable[Problem], remedy: str, good: str) -> Iterator[Finding]:
    found = False
    for problem in dict.fromkeys(problems):
        found = True
        verdict = Verdict.UNKNOWN if problem.unknown else Verdict.BLOCK
        yield Finding(check, verdict, problem.node, problem.text, remedy, VENDOR, problem.unreachable)
    if not found:
        yield Finding(check, Verdict.PASS, "", good)


def node_reachable(q: Question) -> Iterator[Finding]:
    for name, facts in q.facts.nodes.items():
        node = q.cluster.node(name)
        shell = facts.shell
        if isinstance(shell, Unknown):
            remedy = f"ssh -p {node.ssh.port} {node.ssh.user}@{node.host}   # must log in without a question"
            verdict = Verdict.UNKNOWN if shell.unreachable else Verdict.BLOCK
            yield Finding("node_reachable", verdict, name, shell.why, remedy, unreachable=shell.unreachable)
        else:
            yield Finding("node_reachable", Verdict.PASS, name, f"logged in as {node.ssh.user}@{node.host}")


def control_plane_reachable(q: Question) -> Iterator[Finding]:
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.system, Unknown):
            remedy = f"KSCTL_URL={q.cluster.node(name).url} ksctl system info get   # must answer"
            yield _unknown("control_plane_reachable", name, facts.system, remedy, "the version by ksctl")
        else:
            seen = f"{facts.system.model or 'appliance'} {facts.system.version} answers"
            yield Finding("control_plane_reachable", Verdict.PASS, name, seen)


def node_count_supported(q: Question) -> Iterator[Finding]:
    count = len(q.cluster.nodes)
    if q.cluster.strategy is StrategyName.STANDALONE and count != 1:
        summary = f"standalone takes one node, cluster.yaml names {count}"
        yield Finding("node_count_supported", Verdict.BLOCK, "", summary, "strategy: in-place, or one node")
    elif 1 <= count <= MAX_NODES:
        yield Finding("node_count_supported", Verdict.PASS, "", f"{count} node(s)")
    else:
        yield Finding(
            "node_count_supported", Verdict.BLOCK, "", f"{count} nodes; a cluster has 1 to 20", "", VENDOR
        )


def cluster_members_match(q: Question) -> Iterator[Finding]:
    if not q.clustered:
        yield from _unclustered(q)
        return
    remedy = "add or remove the node in cluster.yaml, or remove a dead member: ksctl cluster nodes delete --id ID"
    yield from _of_problems(
        "cluster_members_match",
        health.membership_problems(q.facts.nodes, q.cluster),
        remedy,
        "every node lists exactly the nodes of cluster.yaml",
    )


def _unclustered(q: Question) -> Iterator[Finding]:
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.membership, Unknown):
            yield _unknown("cluster_members_match", name, facts.membership, "ksctl cluster info")
        elif facts.membership.clustered:
            summary = "is a member of a cluster; standalone is for unclustered appliances"
            yield Finding("cluster_members_match", Verdict.BLOCK, name, summary, "strategy: in-place or rebuild")
        else:
            yield Finding("cluster_members_match", Verdict.PASS, name, "not clustered")


def every_node_ready(q: Question) -> Iterator[Finding]:
    if not q.clustered:
        yield Finding("every_node_ready", Verdict.PASS, "", "not clustered")
        return
    yield from _of_problems(
        "every_node_ready",
        health.readiness_problems(q.facts.nodes, q.cluster),
        "ksctl cluster nodes list   # on each node; wait or mend until all say ready",
        "every node is ready in every node's eyes",
    )


def replication_connected(q: Question) -> Iterator[Finding]:
    if not q.clustered or len(q.cluster.nodes) == 1:
        yield Finding("replication_connected", Verdict.PASS, "", "no other node")
        return
    yield from _of_problems(
        "replication_connected",
        health.replication_problems(q.facts.nodes, q.cluster, q.facts.at),
        "ksctl cluster summary; ksctl cluster errors   # must be GOOD, connected and of now",
        "every node is connected to every other, by reports of now",
    )


def services_started(q: Question) -> Iterator[Finding]:
    yield from _of_problems(
        "services_started",
        health.service_problems(q.facts.nodes),
        "systemctl status keysecure; ksctl services status   # mend before upgrading",
        "keysecure is active and its services are started on every node",
    )


def versions_equal(q: Question) -> Iterator[Finding]:
    known: dict[str, Version] = {}
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.version, Unknown):
            yield _unknown("versions_equal", name, facts.version, "ksctl system info get", "its version")
        else:
            known[name] = facts.version
    target = q.cluster.target.version
    done = sorted(n for n, v in known.items() if reached(v, target))
    old = {v.release for v in known.values() if not reached(v, target)}
    if len(old) > 1:
        listing = ", ".join(f"{n} {v}" for n, v in known.items())
        yield Finding(
            "versions_equal", Verdict.BLOCK, "", f"nodes below the target differ: {listing}",
            "bring them to one version first", VENDOR,
        )  # fmt: skip
    elif done and old:
        yield Finding(
            "versions_equal", Verdict.WARN, "", f"mixed versions: {', '.join(done)} already at {target.short}",
            "finish the others as soon as possible", VENDOR,
        )  # fmt: skip
    elif len(known) == len(q.facts.nodes):
        yield Finding("versions_equal", Verdict.PASS, "", "all nodes have one version")


def upgrade_path_known(q: Question) -> Iterator[Finding]:
    target = q.cluster.target.version
    for facts in q.facts.nodes.values():
        if isinstance(facts.system, Unknown):
            yield _unknown("upgrade_path_known", facts.name, facts.system, "ksctl system info get", "its version")
            continue
        if reached(facts.system.version, target):
            yield Finding("upgrade_path_known", Verdict.PASS, facts.name, f"already at {target.short}")
            continue
        judged = judge_path(
            facts.system.version, target, q.cluster.strategy, model=facts.system.model,
            allow_downgrade=q.options.allow_downgrade, force_path=q.options.force_path,
        )  # fmt: skip
        verdict = {
            PathVerdict.PASS: Verdict.PASS, PathVerdict.MANUAL: Verdict.MANUAL, PathVerdict.BLOCK: Verdict.BLOCK
        }[judged.verdict]  # fmt: skip
        remedy = "" if verdict is Verdict.PASS else "read the release notes of the target; go through a version between"
        yield Finding("upgrade_path_known", verdict, facts.name, judged.why, remedy, judged.source)


def free_space_sufficient(q: Question) -> Iterator[Finding]:
    check = "free_space_sufficient"
    if isinstance(q.facts.archive, Unknown):
        yield _unknown(check, "", q.facts.archive, "name the archive in cluster.yaml", "the archive's size")
        return
    for facts in q.pending:
        mounts, version = facts.mounts, facts.version
        if isinstance(mounts, Unknown):
            yield _unknown(check, facts.name, mounts, "df -h /   # on the node", "free space")
        elif isinstance(version, Unknown):
            yield _unknown(check, facts.name, version, "ksctl system info get", "its version")
        else:
            there = facts.staged if isinstance(facts.staged, int) else 0
            staged = there == q.facts.archive.size
            need = space_need(version, q.cluster.target.version, q.facts.archive.size, staged=staged)
            worst = min(mounts, key=lambda m: m.free)
            enough = worst.free >= need.bytes
            summary = f"{worst.mount} has {worst.free / GIB:.1f} GiB free, needs {need.bytes / GIB:.1f} GiB ({need.formula})"
            remedy = "" if enough else "df -h /; remove old archives, backups and logs, or enlarge the disk"
            yield Finding(check, Verdict.PASS if enough else Verdict.BLOCK, facts.name, summary, remedy, VENDOR)
    if not q.pending:
        yield Finding(check, Verdict.PASS, "", "no node needs the upgrade")


def backup_downloaded_with_key(q: Question) -> Iterator[Finding]:
    check = "backup_downloaded_with_key"
    for facts in q.pending:
        good = fresh_manifest(q.facts, facts.name)
        broken = [m for m in q.facts.manifests if m.node == facts.name and m.problem]
        if good:
            summary = f"backup {good} and its key are downloaded"
            yield Finding(check, Verdict.PASS, facts.name, summary)
        elif q.facts.backups_possible:
            yield Finding(
                check, Verdict.BLOCK, facts.name, f"no fresh backup is downloaded, and none can be made: "
                f"{q.facts.backups_possible}", "set backup.directory and backup.key_password_env", VENDOR,
            )  # fmt: skip
        else:
            why = f"the one on disk is unusable: {broken[-1].problem}" if broken else "none is younger than max_age"
            yield Finding(
                check, Verdict.WARN, facts.name, f"no fresh backup is downloaded ({why}); `run` makes one first",
                "ctmupgrade backup", VENDOR,
            )  # fmt: skip
    if not q.pending:
        yield Finding(check, Verdict.PASS, "", "no node needs the upgrade")


def fresh_manifest(facts: Facts, node: str) -> str:
    """The id of a whole, downloaded backup of ``node`` younger than max_age whose key is there; or ""."""
    for manifest in facts.manifests:
        age = facts.at - manifest.created
        if manifest.node == node and not manifest.problem and age <= facts.max_backup_age:
            return manifest.backup_id
    return ""


def ntp_synchronised(q: Question) -> Iterator[Finding]:
    check = "ntp_synchronised"
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.ntp, Unknown):
            yield _unknown(check, name, facts.ntp, "ksctl ntp status", "NTP")
        elif facts.ntp.synchronised:
            yield Finding(check, Verdict.PASS, name, "follows a time server")
        else:
            yield Finding(
                check, Verdict.BLOCK, name, "follows no time server; nodes whose clocks differ cannot talk",
                "ksctl ntp servers add --host TIME-SERVER   # the same on every node", VENDOR,
            )  # fmt: skip


def clocks_agree(q: Question) -> Iterator[Finding]:
    check = "clocks_agree"
    readings = {}
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.clock, Unknown):
            yield _unknown(check, name, facts.clock, "date   # on each node", "its clock")
        else:
            readings[name] = facts.clock
    apart = False
    for (a, one), (b, two) in combinations(readings.items(), 2):
        at_least = abs(one.offset - two.offset) - one.uncertainty - two.uncertainty
        if at_least > CLOCK_TOLERANCE:
            apart = True
            summary = f"clocks of {a} and {b} are {abs(one.offset - two.offset):.1f} s apart"
            yield Finding(check, Verdict.BLOCK, b, summary, "set the same NTP server on both", VENDOR)
    if not apart and readings:
        yield Finding(check, Verdict.PASS, "", "clocks agree to a second")


def port_5432_open(q: Question) -> Iterator[Finding]:
    check, proven = "port_5432_open", health.connected_pairs(q.facts.nodes, q.facts.at)
    bad = False
    for name, facts in q.facts.nodes.items():
        for peer in q.facts.nodes:
            if peer == name or not q.clustered:
                continue
            state: Maybe[object] = facts.ports.get(peer, Unknown("not asked", facts_unreachable(facts)))
            if (name, peer) in proven or (not isinstance(state, Unknown) and facts.ports[peer].open):  # type: ignore[union-attr]
                continue
            bad = True
            to = q.cluster.node(peer).cluster_host
            remedy = f"nc -z {to} 5432   # on {name}; open it in the firewall both ways"
            if isinstance(state, Unknown):
                yield _unknown(check, name, state, remedy, f"whether {to}:5432 ({peer}) can be reached")
            else:
                yield Finding(check, Verdict.BLOCK, name, f"cannot reach {to}:5432 ({peer})", remedy, VENDOR)
    if not bad:
        yield Finding(check, Verdict.PASS, "", "port 5432 is open both ways between all nodes")


def facts_unreachable(facts: NodeFacts) -> bool:
    """Whether the node's shell did not answer at all."""
    return isinstance(facts.shell, Unknown) and facts.shell.unreachable


def sudo_allows_upgrade(q: Question) -> Iterator[Finding]:
    check, remedy = "sudo_allows_upgrade", "sudo -n -l   # as ksadmin; must allow ks_upgrade.sh and reboot"
    for name, facts in q.facts.nodes.items():
        rights = facts.rights
        if isinstance(rights, Unknown):
            yield _unknown(check, name, rights, remedy, "what sudo allows")
        elif rights.upgrade and rights.reboot:
            yield Finding(check, Verdict.PASS, name, "sudo allows ks_upgrade.sh and reboot")
        else:
            lacking = " and ".join(
                what for what, has in (("ks_upgrade.sh", rights.upgrade), ("reboot", rights.reboot)) if not has
            )
            yield Finding(check, Verdict.BLOCK, name, f"sudo does not allow {lacking}", remedy)


def no_upgrade_running(q: Question) -> Iterator[Finding]:
    yield from _of_problems(
        "no_upgrade_running",
        health.upgrade_problems(q.facts.nodes),
        "wait until it ends; `ctmupgrade resume` follows one of its own",
        "no ks_upgrade.sh runs",
    )


def no_reboot_pending(q: Question) -> Iterator[Finding]:
    check = "no_reboot_pending"
    for name, facts in q.facts.nodes.items():
        logs, version = facts.logs, facts.version
        if isinstance(logs, Unknown):
            yield _unknown(check, name, logs, "ls ks_upgrade_*.log   # on the node", "earlier upgrade logs")
        elif isinstance(version, Unknown):
            yield _unknown(check, name, version, "ksctl system info get", "its version")
        else:
            last = next((log for log in reversed(logs) if log.verdict is LogVerdict.SUCCEEDED), None)
            waiting = last is not None and Version.parse(last.version).release > version.release
            if last is not None and waiting:
                summary = f"an upgrade to {last.version} has ended and waits for its reboot ({last.path})"
                yield Finding(check, Verdict.BLOCK, name, summary, "ctmupgrade recover", VENDOR)
            else:
                yield Finding(check, Verdict.PASS, name, "no upgrade waits for its reboot")


def reboot_needs_no_person(q: Question) -> Iterator[Finding]:
    check = "reboot_needs_no_person"
    for name, facts in q.facts.nodes.items():
        fact = facts.attended_boot
        if isinstance(fact, Unknown) and fact.unreachable:
            yield _unknown(check, name, fact, "ksctl diskenc status", "disk encryption")
        elif isinstance(fact, Unknown):
            summary = f"whether a boot waits for a passphrase is not known ({fact.why})"
            yield Finding(check, Verdict.MANUAL, name, summary, "ksctl diskenc status")
        elif not fact:
            yield Finding(check, Verdict.PASS, name, "boots without a person")
        elif q.options.accept_attended_boot:
            yield Finding(check, Verdict.MANUAL, name, "a person must type the passphrase at each boot")
        else:
            yield Finding(
                check, Verdict.BLOCK, name, "disk encryption waits for a passphrase at boot",
                "have someone at its console and pass --accept-attended-boot",
            )  # fmt: skip


def archive_signature_good(q: Question) -> Iterator[Finding]:
    check = "archive_signature_good"
    if isinstance(q.facts.archive, Unknown):
        yield Finding(
            check, Verdict.BLOCK, "", q.facts.archive.why, f"gpg --verify {q.cluster.target.archive}"
        )
    else:
        yield Finding(check, Verdict.PASS, "", f"signed by {q.facts.archive.signer}")


CHECKS: tuple[Check, ...] = (
    Check("archive_signature_good", "the archive carries the pinned signer's signature", archive_signature_good, False),
    Check("node_count_supported", "the cluster has 1 to 20 nodes", node_count_supported, False),
    Check("node_reachable", "every node lets us in over SSH", node_reachable, False),
    Check("control_plane_reachable", "every node answers ksctl after login", control_plane_reachable, False),
    Check("cluster_members_match", "the members are the nodes of cluster.yaml", cluster_members_match, False),
    Check("every_node_ready", "every node is ready in every node's eyes", every_node_ready),
    Check("replication_connected", "all nodes are connected, by fresh reports", replication_connected),
    Check("services_started", "keysecure is active and its services started", services_started),
    Check("versions_equal", "all nodes have one version", versions_equal),
    Check("upgrade_path_known", "the upgrade path is known and allowed", upgrade_path_known),
    Check("free_space_sufficient", "there is room for the upgrade", free_space_sufficient),
    Check("backup_downloaded_with_key", "a fresh backup and its key are downloaded", backup_downloaded_with_key),
    Check("ntp_synchronised", "every node follows a time server", ntp_synchronised),
    Check("clocks_agree", "clocks are within a second of each other", clocks_agree),
    Check("port_5432_open", "nodes reach each other on port 5432", port_5432_open),
    Check("sudo_allows_upgrade", "sudo allows ks_upgrade.sh and reboot", sudo_allows_upgrade),
    Check("no_upgrade_running", "no upgrade runs already", no_upgrade_running, False),
    Check("no_reboot_pending", "no upgrade waits for its reboot", no_reboot_pending),
    Check("reboot_needs_no_person", "a reboot needs nobody at the console", reboot_needs_no_person),
)


def examine(facts: Facts, cluster: Cluster, options: Options, *, only: str = "") -> list[Finding]:
    """All findings, waived ones marked."""
    question = Question(facts, cluster, options)
    found = [f for check in CHECKS if only in ("", check.id) for f in check.run(question)]
    return waive(found, options.skips)
