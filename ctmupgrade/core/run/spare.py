"""Whether an appliance may be the spare of a drill: by cluster.yaml, by what living nodes list, by the runs of the past.

A drill overwrites and erases it. What is, or was, a member of the cluster may hold its data, so it is never a spare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import ResetSpare


def spare_problem(cluster: Cluster, name: str, host: str) -> str:
    """Return why that can be no spare, by cluster.yaml alone; "" where it can: no name and no address of a node is its."""
    if host.lower() == "local":
        return "the appliance that ctmupgrade runs on is no spare"
    for node in cluster.nodes:
        if node.name.lower() == name.lower():
            return f"{name} is a node of {cluster.name}"
        if _same(cluster, host, _addresses(node)):
            return f"{host} is the address of {node.name}"
    return ""


def _addresses(node: Node) -> set[str]:
    here = {node.host, node.cluster_host, urlsplit(node.url).hostname or ""}
    return {one.lower() for one in here} - {"", "local"}


def _same(cluster: Cluster, host: str, others: Iterable[str]) -> bool:
    """Whether a host is one of others, as it is written or by what the names stand for."""
    here, there = host.lower(), [one.lower() for one in others]
    if here in there:
        return True
    found = cluster.names.addresses([here, *there])
    none: frozenset[str] = frozenset()
    return any(found.get(here, none) & found.get(one, none) for one in there)


def listed_by(spare: NodeFacts, host: str, cluster: Cluster, living: Mapping[str, NodeFacts]) -> str:
    """Return why an appliance is a member by what living nodes list; "" where none lists it."""
    for facts in living.values():
        if isinstance(facts.members, Unknown):
            continue
        for member in facts.members:
            same_id = bool(spare.node_id) and member.node_id == spare.node_id
            if same_id or (member.host and _same(cluster, host, [member.host])):
                return f"{facts.name} lists it as a member"
    return ""


def was_member(spare: NodeFacts, plans: Iterable[Plan]) -> str:
    """Return why an appliance is known to have been a member, by the runs of the past; "" where it is not."""
    for plan in plans:
        if any(isinstance(one.action, ResetSpare) for one in plan.steps):
            continue  # a drill: its only node was a spare
        if spare.name in plan.versions:
            return "a run on this machine knew it as a node of the cluster"
        ids = {value for key, value in plan.basis.items() if key.endswith(": cluster id")}
        if spare.node_id and spare.node_id in ids:
            return f"a run on this machine knew its id ({spare.node_id}) as that of a node of the cluster"
    return ""
