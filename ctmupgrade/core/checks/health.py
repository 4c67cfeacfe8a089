"""Whether the cluster is well, judged from what every node says of every other.

A node's word about itself proves little: one that is down keeps a last view that says GOOD, and a
removed one looks like a rebooting one (docs/appliance.md 4.3, 6). So each statement needs a *fresh* report, and a
member counts as well only when others see it so too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ctmupgrade.core.checks.membership import membership_problems, name_at, name_of, names_by_id
from ctmupgrade.core.checks.problem import Problem, not_known
from ctmupgrade.core.looks.cluster_views import SummaryReport
from ctmupgrade.core.looks.facts import NodeFacts, Services, Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_CHECK, CSM_REMEDY, csm_in_error
from ctmupgrade.core.model import Cluster

__all__ = [
    "FRESH", "STREAK", "Problem", "clock_of", "cluster_problems", "connected_pairs", "fresh_reports", "membership_problems", "name_at", "name_of",
    "names_by_id", "readiness_problems", "replication_problems", "service_problems", "upgrade_problems", "version_problems",
]  # fmt: skip

STREAK = 6  # into so many parts a streak of good looks is divided: six looks, ten seconds apart, as a Thales group's kit does
FRESH = timedelta(minutes=5)  # the captured stale report was 37 minutes behind the live ones


def readiness_problems(
    nodes: Mapping[str, NodeFacts], cluster: Cluster, *, about: Sequence[str] | None = None
) -> Iterator[Problem]:
    """Yield what speaks against it: every node, as seen by every node, is ready. ``about`` limits it to some nodes."""
    ids = names_by_id(nodes)
    for name, facts in nodes.items():
        if isinstance(facts.members, Unknown):
            yield not_known(name, "its list of members", facts.members)
            continue
        for member in facts.members:
            seen = name_of(member, ids, cluster)
            if not member.ready and (about is None or seen in about):
                state = member.description or member.code
                words = f'is reported as "{state}" ({member.code}) by'
                yield Problem(seen or member.host, words, beside=name, heard=True)


def clock_of(facts: NodeFacts, now: datetime) -> datetime:
    """Return the node's own idea of now: its report's time is by its own clock."""
    if isinstance(facts.clock, Unknown):
        return now
    return now + timedelta(seconds=facts.clock.offset)


def fresh_reports(nodes: Mapping[str, NodeFacts]) -> dict[str, SummaryReport]:
    """Per reporting node id the newest report that any node showed."""
    best: dict[str, SummaryReport] = {}
    for facts in nodes.values():
        for report in () if isinstance(facts.summary, Unknown) else facts.summary:
            held = best.get(report.reporter)
            if held is None or (
                report.updated is not None and (held.updated is None or report.updated > held.updated)
            ):
                best[report.reporter] = report
    return best


def replication_problems(
    nodes: Mapping[str, NodeFacts], cluster: Cluster, now: datetime
) -> Iterator[Problem]:
    """Yield what speaks against it: every node has a fresh report in which every other is ready, connected and GOOD."""
    ids = names_by_id(nodes)
    reports = fresh_reports(nodes)
    for name, facts in nodes.items():
        if isinstance(facts.summary, Unknown):
            yield not_known(name, "its cluster summary", facts.summary)
        elif not facts.node_id:
            yield Problem(name, "its own cluster id is not known", unknown=True)
        elif facts.node_id not in reports:
            yield Problem(name, "has no entry in any cluster summary", unknown=True)
        else:
            report = reports[facts.node_id]
            # a node that does not answer cannot tell its id, but its address is in the report
            names = {
                peer: name_at(view.host, cluster) for peer, view in report.peers.items() if peer not in ids
            }
            yield from _report_problems(name, facts, report, {**names, **ids}, now)
    yield from _last_views(nodes, reports, cluster, now)


def _last_views(
    nodes: Mapping[str, NodeFacts], reports: Mapping[str, SummaryReport], cluster: Cluster, now: datetime
) -> Iterator[Problem]:
    """A member that is down keeps its last view, in which all is GOOD: whoever finds that by hand must not believe it.

    A member that answers is told of by its own summary; one that nobody reports as down may have been removed.
    """
    telling = {facts.node_id for facts in nodes.values() if not isinstance(facts.summary, Unknown)}
    down: dict[str, str] = {}
    for report in reports.values():
        if report.updated is not None and now - report.updated <= FRESH:
            down |= {peer: view.host for peer, view in report.peers.items() if view.code != "r"}
    ids = names_by_id(nodes)
    for peer, host in down.items():
        if peer in telling or peer not in reports:
            continue
        updated = reports[peer].updated
        if updated is not None and now - updated > FRESH:
            minutes = int((now - updated).total_seconds() // 60)
            words = (
                f"its own view of the cluster is {minutes} minutes old: what it says there counts for nothing"
            )
            yield Problem(ids.get(peer) or name_at(host, cluster) or host, words)


def _report_problems(
    name: str, facts: NodeFacts, report: SummaryReport, ids: Mapping[str, str], now: datetime
) -> Iterator[Problem]:
    if report.updated is None:
        yield Problem(name, "its cluster summary has no time, so it may be old", unknown=True)
        return
    age = clock_of(facts, now) - report.updated
    if age > FRESH:
        minutes = int(age.total_seconds() // 60)
        yield Problem(name, f"its cluster summary is {minutes} minutes old", unknown=True)
        return
    for peer_id, peer in report.peers.items():
        seen = ids.get(peer_id) or peer.host or peer_id
        if peer.code != "r" or not peer.summary.upper().startswith("GOOD"):
            words = f'is reported as "{peer.summary or "?"}" (state {peer.code}) by'
            yield Problem(seen, words, beside=name, heard=True)
        elif peer_id != report.reporter and peer.connected is False:
            yield Problem(seen, "is reported as not connected by", beside=name, heard=True)
        elif peer_id != report.reporter and peer.connected is None:
            yield Problem(seen, f"whether {name} is connected to it is not known", unknown=True, beside=name)
    for absent in sorted(set(ids) - set(report.peers)):
        words = "is missing from the cluster summary of"
        yield Problem(ids[absent], words, unknown=True, beside=name, heard=True)


def connected_pairs(nodes: Mapping[str, NodeFacts], now: datetime) -> set[tuple[str, str]]:
    """Return the (reporter, peer) names for which a fresh report proves a living database connection."""
    ids = names_by_id(nodes)
    pairs = set()
    for reporter, report in fresh_reports(nodes).items():
        name = ids.get(reporter)
        if name is None or report.updated is None or clock_of(nodes[name], now) - report.updated > FRESH:
            continue
        for peer_id, peer in report.peers.items():
            if peer_id in ids and peer.connected is True and peer.code == "r":
                pairs.add((name, ids[peer_id]))
    return pairs


def service_problems(nodes: Mapping[str, NodeFacts]) -> Iterator[Problem]:
    """Yield what speaks against it: keysecure is active and its services report started, on every node."""
    for name, facts in nodes.items():
        if isinstance(facts.unit, Unknown):
            yield not_known(name, "the state of keysecure", facts.unit)
        elif facts.unit.active != "active":
            yield Problem(name, f"keysecure is {facts.unit.active}")
        if isinstance(facts.services, Unknown):
            yield not_known(name, "the state of its services", facts.services)
        elif not facts.services.started:
            yield _not_started(name, facts.services)


def _not_started(name: str, services: Services) -> Problem:
    waiting = ", ".join(f"{n} {s}" for n, s in sorted(services.waiting.items())[:4])
    words = f"services are {services.overall or 'not started'}: {waiting or '-'}"
    if not csm_in_error(services):
        return Problem(name, words)
    remedy = (
        f"check {name} and fix it: {CSM_REMEDY}. If it is used and may stay in error after the upgrade: skip {CSM_CHECK} "
        "in cluster.yaml (checks: skip), with the reason"
    )
    return Problem(name, words, remedy=remedy, csm=True)


def upgrade_problems(nodes: Mapping[str, NodeFacts]) -> Iterator[Problem]:
    """Yield what speaks against it: no ``ks_upgrade.sh`` runs anywhere."""
    for name, facts in nodes.items():
        if isinstance(facts.processes, Unknown):
            yield not_known(name, "whether ks_upgrade.sh runs", facts.processes)
        elif facts.processes:
            yield Problem(name, f"an upgrade is running already: {facts.processes[0]}")


def version_problems(
    nodes: Mapping[str, NodeFacts], expected: Mapping[str, Sequence[object]]
) -> Iterator[Problem]:
    """Yield what speaks against it: every node's X.Y.Z is one of those expected of it (``Version.identity`` tuples)."""
    for name, facts in nodes.items():
        version = facts.version
        if isinstance(version, Unknown):
            yield not_known(name, "its version", version)
        elif version.identity not in expected.get(name, ()):
            text = f"has version {version}, which is not the version that is expected now"
            yield Problem(name, text, version=True)


def cluster_problems(
    nodes: Mapping[str, NodeFacts],
    cluster: Cluster,
    now: datetime,
    *,
    clustered: bool = True,
    upgrades: bool = True,
) -> list[Problem]:
    """Return everything that keeps the next node from being started, versions aside.

    :param upgrades: whether one that runs, or of which that is not known, is a problem.
    """
    problems = [*service_problems(nodes), *(upgrade_problems(nodes) if upgrades else ())]
    if clustered:
        problems += membership_problems(nodes, cluster)
        problems += readiness_problems(nodes, cluster)
        problems += replication_problems(nodes, cluster, now)
    return list(dict.fromkeys(problems))
