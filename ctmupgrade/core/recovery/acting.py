"""Through whom a recovery acts: the member that sees most others, and its list of members by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster


def best_member(
    able: Mapping[str, NodeFacts], facts: Facts, cluster: Cluster, survivor: str
) -> tuple[str, Mapping[str, Member]]:
    """Return the member that sees most others ready and is connected to by most, and its view by name; what a node
    says of itself counts only so far as that it forms a cluster and is ready. Of equal ones that which a person named."""
    ids = health.names_by_id(facts.nodes)
    linked = [peer for _, peer in health.connected_pairs(facts.nodes, facts.at)]
    best: tuple[str, dict[str, Member]] = ("", {})
    most = (0, 0, False)
    for name, node in able.items():
        if isinstance(node.members, Unknown) or isinstance(node.membership, Unknown):
            continue
        if not node.membership.clustered or node.membership.code != "r":
            continue
        view = _by_name(node.members, ids, cluster)
        counts = (sum(m.ready for m in view.values()), linked.count(name), name == survivor)
        if counts[0] and counts > most:
            best, most = (name, view), counts
    return best


def _by_name(members: Iterable[Member], ids: Mapping[str, str], cluster: Cluster) -> dict[str, Member]:
    """Return the lines of a list by the node that each is. Where several have one node's address, as after a new installation,
    the one with the id that the node itself tells is that node, else one that is ready; the others keep their own ids."""
    view: dict[str, Member] = {}
    for member in sorted(members, key=lambda m: (m.node_id in ids, m.ready), reverse=True):
        name = health.name_of(member, ids, cluster) or member.host
        view[f"{name or '(no address)'} with the id {member.node_id}" if name in view else name] = member
    places = {id(member): at for at, member in enumerate(members)}
    return dict(sorted(view.items(), key=lambda item: places[id(item[1])]))
