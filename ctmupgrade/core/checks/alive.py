"""Whether the cluster itself sees a node alive that this machine cannot reach: then only the way to it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ctmupgrade.core.checks.health import FRESH, clock_of, fresh_reports, name_of, names_by_id
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.model import Cluster


def seen_alive_by(
    name: str, nodes: Mapping[str, NodeFacts], cluster: Cluster, now: datetime
) -> tuple[str, ...]:
    """Return the members that list a node as ready and whose own fresh report says that they are connected to it.

    Both are needed: a list goes on to say ready of a node that is dead (docs/appliance.md 4.3). What is not told
    proves nothing. A member that is itself not ready proves nothing either: it has only what it last saw.
    """
    ids = names_by_id(nodes)
    reports = fresh_reports(nodes)
    found = []
    for witness, facts in nodes.items():
        own, listed = facts.membership, facts.members
        if witness == name or isinstance(own, Unknown) or isinstance(listed, Unknown) or own.code != "r":
            continue
        report = reports.get(own.node_id)
        if report is None or report.updated is None or clock_of(facts, now) - report.updated > FRESH:
            continue
        ready = {m.node_id for m in listed if m.ready and name_of(m, ids, cluster) == name}
        linked = {peer for peer, view in report.peers.items() if view.code == "r" and view.connected is True}
        if ready & linked:
            found.append(witness)
    return tuple(found)
