"""Who is who: two urls that lead to one appliance, and members that no configured node was found to be."""

from __future__ import annotations

from ctmupgrade.core.checks.membership import at_anothers_address, name_of, names_by_id
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, together
from ctmupgrade.core.recovery.scene import Scene


def one_appliance(scene: Scene) -> Part:
    """Return the nodes whose control planes turn out to be one and the same, or another node's: then nothing that is seen of
    them can be told apart, and nothing is done."""
    by_id: dict[str, list[str]] = {}
    for name, node in scene.facts.nodes.items():
        if node.node_id:
            by_id.setdefault(node.node_id, []).append(name)
    same = together(_one_appliance(i, names) for i, names in by_id.items() if len(names) > 1)
    return same + together(
        _elsewhere(*found) for found in at_anothers_address(scene.facts.nodes, scene.cluster)
    )


def _elsewhere(name: str, other: str, host: str) -> Part:
    text = f"the url of {name} leads to the appliance that the cluster lists at {host}, which is {other}'s address"
    asks = (
        f"give {name} and {other} in cluster.yaml the url of their own control plane each, then check again"
    )
    return Part(
        (Trouble(text, sentence=text, urgency=Urgency.TODAY),), (Advice(asks, ("ctmupgrade recover",)),)
    )


def _one_appliance(node_id: str, names: list[str]) -> Part:
    text = f"the urls of {' and '.join(names)} belong to one appliance (id {node_id})"
    trouble = Trouble(text, sentence=text, urgency=Urgency.TODAY)
    asks = (
        f"give each of {', '.join(names)} the url of its own control plane in cluster.yaml, then check again"
    )
    return Part((trouble,), (Advice(asks, ("ctmupgrade recover",)),))


def foreign(scene: Scene) -> Part:
    """Return members that no configured node was found to be.

    That such a member is none of ours is proven only where each of ours was found to be another member; until then
    it is presumably the one that is missing, and nothing is said or done that would remove or erase it.
    """
    return together(_foreign(scene, host, member) for host, member in scene.foreign.items())


def _foreign(scene: Scene, host: str, member: Member) -> Part:
    shown = host or "(no address)"
    text = f"{scene.via} lists {shown} (id {member.node_id or 'not known'}), which is not in cluster.yaml"
    if not scene.unmatched:
        trouble = Trouble(
            text,
            host,
            explains=True,
            sentence=f"the cluster has a member that is not in cluster.yaml: {shown}",
        )
        return Part((trouble,), (_of_a_stranger(scene, shown, member),))
    presumed = ", ".join(scene.unmatched)
    words = (
        f"{text}; it is probably {presumed}"
        if len(scene.unmatched) == 1
        else f"{text}; it may be one of {presumed}"
    )
    trouble = Trouble(words, host, explains=True)
    asks = (
        f"{shown}: it is not removed while it may be {presumed}. Set cluster_host: {shown} for the node in cluster.yaml "
        "if it is that one, or bring the node back so that it reports its own id; then check again"
    )
    never = Advice(
        f"no node is reset or joined while {shown} may be {presumed}: find out first which node it is"
    )
    return Part((trouble,), (Advice(asks, (scene.again(),)),), forbids=(never,))


def _of_a_stranger(scene: Scene, shown: str, member: Member) -> Advice:
    """Return what to do with a member that is none of ours. One that is ready is most likely missing in the file."""
    if member.ready or not member.node_id:
        return Advice(f"{shown}: add it to cluster.yaml; then check again", (scene.again(),))
    text = f"{shown}: add it to cluster.yaml; or, if it is gone for good, remove it through {scene.via}"
    return Advice(text, (f"ksctl cluster nodes delete --id {member.node_id}",))


def other_cluster(scene: Scene, name: str) -> tuple[str, ...]:
    """Return with whom a node is in a cluster of which ``scene.via`` is no member, by its own list; nothing where it is alone,
    or lists it: a removed node goes on to list those that it was with."""
    listed, via = scene.facts.nodes[name].members, scene.facts.nodes[scene.via].node_id
    if isinstance(listed, Unknown) or not via or any(member.node_id == via for member in listed):
        return ()
    ids = names_by_id(scene.facts.nodes)
    others = [member for member in listed if member.ready and ids.get(member.node_id) != name]
    return tuple(name_of(member, ids, scene.cluster) or member.host or "a node" for member in others)
