"""Checks of the cluster as a whole."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from statistics import median

from ctmupgrade.core.checks import caught_up, health
from ctmupgrade.core.checks.ages import ours_against, span
from ctmupgrade.core.checks.check import VENDOR, Question, of_problems, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import ClockReading, Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_REMEDY
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version, reached

MAX_NODES = 20  # vendor page Clusters and Nodes
CLOCK_TOLERANCE = 1.0  # seconds


def node_count_supported(q: Question) -> Iterator[Finding]:
    """Judge the number of nodes: 1 to 20; one for standalone (docs/appliance.md 2)."""
    count = len(q.cluster.nodes)
    if q.cluster.strategy is StrategyName.STANDALONE and count != 1:
        summary = f"the standalone strategy takes one node; cluster.yaml names {count}"
        yield Finding(
            "node_count_supported",
            Verdict.BLOCK,
            "",
            summary,
            "set strategy: in-place or rebuild, or leave one node in cluster.yaml",
        )
    elif 1 <= count <= MAX_NODES:
        yield Finding("node_count_supported", Verdict.PASS, "", f"{count} node{'' if count == 1 else 's'}")
    else:
        yield Finding(
            "node_count_supported", Verdict.BLOCK, "", f"{count} nodes; a cluster has 1 to 20", "", VENDOR
        )


def cluster_members_match(q: Question) -> Iterator[Finding]:
    """Judge whether every node lists exactly the nodes of cluster.yaml."""
    if not q.clustered:
        yield from _unclustered(q)
        return
    yield from of_problems(
        "cluster_members_match",
        health.membership_problems(q.facts.nodes, q.cluster),
        "ctmupgrade recover   # shows which node it may be",
        "every node lists exactly the nodes of cluster.yaml",
    )


def _unclustered(q: Question) -> Iterator[Finding]:
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.membership, Unknown):
            yield unknown("cluster_members_match", name, facts.membership, "ksctl cluster info")
        elif facts.membership.clustered:
            summary = "is a member of a cluster; the standalone strategy is for unclustered appliances"
            yield Finding(
                "cluster_members_match", Verdict.BLOCK, name, summary, "set strategy: in-place or rebuild"
            )
        else:
            yield Finding("cluster_members_match", Verdict.PASS, name, "not clustered")


def every_node_ready(q: Question) -> Iterator[Finding]:
    """Judge whether every node reports every other as ready (docs/appliance.md 4.3)."""
    if not q.clustered:
        yield Finding("every_node_ready", Verdict.PASS, "", "not clustered")
        return
    yield from of_problems(
        "every_node_ready",
        health.readiness_problems(q.facts.nodes, q.cluster),
        "ksctl cluster nodes list   # on each node; wait, or fix the node, until all are ready",
        "every node reports every other node as ready",
    )


def replication_connected(q: Question) -> Iterator[Finding]:
    """Judge the connections among the nodes, by reports of now only (docs/appliance.md 4.3)."""
    if not q.clustered or len(q.cluster.nodes) == 1:
        yield Finding("replication_connected", Verdict.PASS, "", "no other node")
        return
    yield from of_problems(
        "replication_connected",
        health.replication_problems(q.facts.nodes, q.cluster, q.facts.at),
        "ksctl cluster summary; ksctl cluster errors   # every node must be GOOD, connected, and updated within 5 minutes",
        "every node reports a connection to every other node",
    )


def replication_caught_up(q: Question) -> Iterator[Finding]:
    """Check that no node lacks changes that only others hold: a member that stalled is ready, connected and GOOD."""
    check = "replication_caught_up"
    if not q.clustered or len(q.cluster.nodes) == 1:
        yield Finding(check, Verdict.PASS, "", "no other node")
        return
    if any(health.replication_problems(q.facts.nodes, q.cluster, q.facts.at)):
        yield Finding(
            check, Verdict.PASS, "", "checked once all nodes are connected: see replication_connected"
        )
        return
    removes = q.cluster.strategy is StrategyName.REBUILD
    most = caught_up.BEFORE_REMOVAL if removes else caught_up.WORKING
    yield from of_problems(
        check,
        caught_up.behind_problems(q.facts.nodes, q.cluster, q.facts.at, most),
        "ksctl cluster summary   # replayLag, catchupInterval, replicationBlocked of each member; wait, or find the cause",
        "every node has all changes of the others",
    )


def services_started(q: Question) -> Iterator[Finding]:
    """Judge keysecure and its services; a disabled one is a choice (docs/appliance.md 4.2)."""
    remedy = "systemctl status keysecure; ksctl services status   # fix this before the upgrade"
    problems = health.service_problems(q.facts.nodes)
    yield from of_problems(
        "services_started",
        # before the upgrade nobody can say yet that the secrets manager may stay so after it
        (replace(p, remedy=f"{remedy}; {CSM_REMEDY}") if p.csm else p for p in problems),
        remedy,
        "keysecure is active and its services are started on every node",
    )


def versions_equal(q: Question) -> Iterator[Finding]:
    """Judge whether all nodes below the target have one version."""
    known: dict[str, Version] = {}
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.version, Unknown):
            yield unknown("versions_equal", name, facts.version, "ksctl system info get", "its version")
        else:
            known[name] = facts.version
    target = q.cluster.target.version
    done = sorted(n for n, v in known.items() if reached(v, target))
    old = {v.identity for v in known.values() if not reached(v, target)}
    if len(old) > 1:
        listing = ", ".join(f"{n} {v}" for n, v in known.items())
        yield Finding(
            "versions_equal", Verdict.BLOCK, "", f"nodes below the target differ: {listing}",
            "upgrade them to one version first", VENDOR,
        )  # fmt: skip
    elif done and old:
        yield Finding(
            "versions_equal", Verdict.WARN, "", f"mixed versions: {', '.join(done)} already at {target.short}",
            "upgrade the others as soon as possible", VENDOR,
        )  # fmt: skip
    elif len(known) == len(q.facts.nodes):
        yield Finding("versions_equal", Verdict.PASS, "", "all nodes have one version")


def clocks_agree(q: Question) -> Iterator[Finding]:
    """Judge whether the nodes' clocks are within a second of each other, as far as that can be measured."""
    check = "clocks_agree"
    readings = {}
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.clock, Unknown):
            yield unknown(check, name, facts.clock, "date   # on each node", "its clock")
        else:
            readings[name] = facts.clock
    found = list(_apart(readings))
    yield from found
    if not found and readings:
        yield Finding(check, Verdict.PASS, "", "all clocks are within a second of each other")
    if (ours := ours_against(readings.values())) is not None:
        where = "ahead of" if ours.offset > 0 else "behind"
        yield Finding(
            check, Verdict.WARN, "", f"this machine's clock is {span(ours.offset)} {where} every node's, give or take "
            f"{span(ours.uncertainty)}: ages of backups and times in reports are wrong by the same amount",
            "timedatectl   # on this machine: it must follow a time server",
        )  # fmt: skip


def _apart(readings: Mapping[str, ClockReading]) -> Iterator[Finding]:
    """Which clocks differ. Where a few differ from all others, each of them is told once, not with every other."""
    check, remedy = "clocks_agree", "set the same NTP server on all nodes"
    pairs = [
        (a, b)
        for (a, one), (b, two) in combinations(readings.items(), 2)
        if abs(one.offset - two.offset) - one.uncertainty - two.uncertainty > CLOCK_TOLERANCE
    ]
    odd = [name for name in readings if 2 * sum(name in pair for pair in pairs) > len(readings) - 1]
    rest = [readings[name].offset for name in readings if name not in odd]
    if len(rest) > 1 and all(a in odd or b in odd for a, b in pairs):
        for name in odd:
            off = readings[name].offset - median(rest)
            words = f"its clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the others"
            yield Finding(check, Verdict.BLOCK, name, words, remedy, VENDOR)
        return
    for a, b in pairs:
        words = f"clocks of {a} and {b} are {abs(readings[a].offset - readings[b].offset):.1f} s apart"
        yield Finding(check, Verdict.BLOCK, b, words, remedy, VENDOR)


def no_upgrade_running(q: Question) -> Iterator[Finding]:
    """Judge whether ks_upgrade.sh runs on any node."""
    yield from of_problems(
        "no_upgrade_running",
        health.upgrade_problems(q.facts.nodes),
        "wait until it ends; if a run of ctmupgrade started it: ctmupgrade resume",
        "ks_upgrade.sh runs on no node",
    )


def archive_signature_good(q: Question) -> Iterator[Finding]:
    """Judge the archive's signature against the pinned signer."""
    check = "archive_signature_good"
    if isinstance(q.facts.archive, Unknown):
        remedy = q.facts.archive.remedy or f"ctmupgrade verify {shlex.quote(str(q.cluster.target.archive))}"
        yield Finding(check, Verdict.BLOCK, "", q.facts.archive.why, remedy)
    else:
        yield Finding(check, Verdict.PASS, "", f"signed by {q.facts.archive.signer}")
