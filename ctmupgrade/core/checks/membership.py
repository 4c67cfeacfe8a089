"""Who is who: which configured node a member is, and whether every node lists exactly those of cluster.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ctmupgrade.core.checks.problem import Problem, not_known
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.manual_commands import ksctl
from ctmupgrade.core.model import Cluster, Node

DEAD = frozenset(("d", "k"))  # down, killed: as other members report them


def names_by_id(nodes: Mapping[str, NodeFacts]) -> dict[str, str]:
    """Return each node's own id, from its own mouth, to its name in cluster.yaml."""
    return {facts.node_id: name for name, facts in nodes.items() if facts.node_id}


def _addresses(node: Node) -> set[str]:
    return {node.cluster_host.lower(), node.host.lower()} - {"local", ""}


def _url_host(node: Node) -> str:
    return (urlsplit(node.url).hostname or "").replace("%25", "%").lower()


def name_of(member: Member, ids: Mapping[str, str], cluster: Cluster) -> str:
    """Return the configured node that ``member`` is: by id where the node itself told it, else by address;
    "" where it is none. Never by position."""
    return ids.get(member.node_id) or name_at(member.host, cluster)


def name_at(host: str, cluster: Cluster) -> str:
    """Return the one configured node with this address; "" where there is none or more than one.

    As it is written first; then its control plane's host too; then by what the names of both stand for.
    """
    nodes = (*cluster.nodes, *cluster.fresh)
    if not host:
        return ""
    wanted = host.lower()
    fitting = [
        n.name for n in nodes if wanted in (n.cluster_host.lower(), n.host.lower()) and wanted != "local"
    ]
    if fitting:
        return fitting[0] if len(fitting) == 1 else ""
    also = {n.name: _addresses(n) | {_url_host(n)} for n in nodes}
    fitting = [name for name, hosts in also.items() if wanted in hosts]
    if fitting:
        return fitting[0] if len(fitting) == 1 else ""
    found = cluster.names.addresses([host.lower(), *(one for hosts in also.values() for one in hosts)])
    fitting = [
        name
        for name, hosts in also.items()
        if found[host.lower()] & frozenset().union(*(found[h] for h in hosts))
    ]
    return fitting[0] if len(fitting) == 1 else ""


def one_appliance(nodes: Mapping[str, NodeFacts]) -> Iterator[Problem]:
    """Yield nodes whose control planes tell one and the same id: their URLs lead to one appliance."""
    first: dict[str, str] = {}
    for name, facts in nodes.items():
        other = first.setdefault(facts.node_id, name)
        if facts.node_id and other != name:
            text = f"the urls of {other} and {name} belong to one appliance (id {facts.node_id})"
            remedy = "give each node in cluster.yaml the url of its own control plane"
            yield Problem("", text, beside=name, remedy=remedy)


def at_anothers_address(nodes: Mapping[str, NodeFacts], cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """Yield nodes whose control plane is, by its id, the member that the cluster lists at another node's address: node, the
    other node, address. Only what contradicts cluster.yaml for certain: an address of nobody's, or of several, says nothing.
    """
    told = Counter(facts.node_id for facts in nodes.values())
    ids = {node_id: name for node_id, name in names_by_id(nodes).items() if told[node_id] == 1}
    listed = {
        (ids[member.node_id], member.host)
        for facts in nodes.values()
        for member in (() if isinstance(facts.members, Unknown) else facts.members)
        if member.node_id in ids
    }
    for name, host in sorted(listed):
        other = name_at(host, cluster)
        if other and other != name:
            yield name, other, host


def who_is_who(nodes: Mapping[str, NodeFacts], cluster: Cluster) -> Iterator[Problem]:
    """Yield where urls are known not to lead to the nodes that have them: what is seen of one may be another's."""
    yield from one_appliance(nodes)
    for name, other, host in at_anothers_address(nodes, cluster):
        yield Problem(
            name,
            f"its url leads to the appliance that the cluster lists at {host}, which is {other}'s address",
            beside=other,
            remedy=f"give {name} and {other} in cluster.yaml the url of their own control plane each",
        )


def membership_problems(nodes: Mapping[str, NodeFacts], cluster: Cluster) -> Iterator[Problem]:
    """Yield what speaks against it: every node lists exactly the nodes of cluster.yaml.

    A member that is none of them as far as is known may be one of them all the same, while one of them does not tell
    its id. To remove it is advised only where it is dead and each of ours is proven to be another.
    """
    twice = list(one_appliance(nodes))
    yield from who_is_who(nodes, cluster)
    confused = {
        name for p in twice for name, facts in nodes.items() if facts.node_id == nodes[p.beside].node_id
    }
    ids = names_by_id(nodes)
    for name, facts in nodes.items():
        if isinstance(facts.members, Unknown):
            problem = not_known(name, "its list of members", facts.members)
            ask = ksctl(cluster.node(name), "cluster", "nodes", "list", note="must answer")
            yield replace(problem, remedy=problem.remedy or ask)
            continue
        who = [(member, name_of(member, ids, cluster)) for member in facts.members]
        strange = [member for member, known in who if not known]
        listed = {known for _, known in who} | confused
        missing = [n.name for n in cluster.nodes if n.name not in listed]
        untold = [n for n in missing if n not in nodes or not nodes[n].node_id]
        for member in strange:
            yield _strange(name, member, [*untold, *sorted(confused)])
        for one in missing:
            if not (strange and one in untold):  # said with the member that it presumably is
                remedy = (
                    f"remove {one} from cluster.yaml, or find out what happened to it: ctmupgrade recover"
                )
                yield Problem(
                    name, f"does not list {one}, which cluster.yaml names", beside=one, remedy=remedy
                )


def _strange(name: str, member: Member, untold: Sequence[str]) -> Problem:
    """A member that no configured node is known to be."""
    text = f"lists member {member.host or '?'} (id {member.node_id or '?'}) that is not in cluster.yaml"
    if untold:
        may = f"it may be {' or '.join(untold)}, whose id is not known"
        remedy = f"bring {' and '.join(untold)} back; or set its cluster_host in cluster.yaml to the address that the cluster lists"
        return Problem(name, f"{text}: {may}", unknown=True, beside=member.host, remedy=remedy)
    if member.code in DEAD and member.node_id:
        remedy = f"add it to cluster.yaml; or, if it is gone for good: ksctl cluster nodes delete --id {member.node_id}"
    else:
        remedy = (
            f"add it to cluster.yaml: it is a member of the cluster ({member.description or member.code})"
        )
    return Problem(name, text, beside=member.host, remedy=remedy)
