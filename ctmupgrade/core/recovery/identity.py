"""Who is who: two urls that lead to one appliance, and members that no configured node was found to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ctmupgrade.core.checks.membership import at_anothers_address, name_at, name_of, names_by_id
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.manual_commands import ksctl
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, together
from ctmupgrade.core.recovery.scene import Scene

WHICH = (
    "clients may have written to both. Find out which of them they used, and make a backup of each. If nobody needs what is in "
    "that one,"
)
_QUEUES = "the other nodes queue changes for it; their disks will eventually fill"


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


def mixed_up(scene: Scene) -> frozenset[str]:
    """Return the nodes whose urls are known not to lead to them, or not to them alone: what is seen of one may be another's."""
    nodes = scene.facts.nodes
    told = Counter(node.node_id for node in nodes.values() if node.node_id)
    same = {name for name, node in nodes.items() if told[node.node_id] > 1}
    exchanged = {name for *both, _host in at_anothers_address(nodes, scene.cluster) for name in both}
    return frozenset(same | exchanged)


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
    twin = name_at(member.host, scene.cluster)
    if twin in scene.facts.nodes and twin in scene.members:
        return _second_line(scene, twin, member)
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


def _second_line(scene: Scene, name: str, member: Member) -> Part:
    """Return that a node is listed twice: a new installation has a new id, and the line of the old one stays until somebody
    removes it. While the node does not tell its id, it is not known which of the lines that is."""
    text = f"{scene.via} lists {name} twice, also with the id {member.node_id} as {member.state}"
    if scene.facts.nodes[name].node_id != scene.members[name].node_id:
        asks = Advice(
            f"{name}: bring it back so that it reports its own id; then check again", (scene.again(),)
        )
        return Part((Trouble(text, name, explains=True),), (asks,))
    gone = Advice(
        f"{name} has another id now: the line with the id {member.node_id} is of a member that no longer exists. Remove it, then "
        "check again",
        (ksctl(scene.cluster.node(scene.via), *_removal(member)), scene.again()),
    )
    sentence = f"{name} is listed twice"
    return Part((Trouble(text, name, explains=True, sentence=sentence, if_left=_QUEUES),), (gone,))


def _of_a_stranger(scene: Scene, shown: str, member: Member) -> Advice:
    """Return what to do with a member that is none of ours. One that is ready is most likely missing in the file."""
    if member.ready or not member.node_id:
        return Advice(f"{shown}: add it to cluster.yaml; then check again", (scene.again(),))
    text = f"{shown}: add it to cluster.yaml; or, if it is gone for good, remove it through {scene.via}"
    return Advice(text, (f"ksctl cluster nodes delete --id {member.node_id}",))


def _removal(member: Member) -> tuple[str, ...]:
    return ("cluster", "nodes", "delete", "--id", member.node_id)


def leaving_alone(scene: Scene, name: str, members: Iterable[Member]) -> tuple[str, ...]:
    """Return the lines that remove all members but one from its cluster, through that one."""
    node, ids = scene.cluster.node(name), names_by_id(scene.facts.nodes)
    others = (m for m in members if m.node_id and name_of(m, ids, scene.cluster) != name)
    return tuple(ksctl(node, *_removal(m)) for m in others)


def bound(scene: Scene, name: str) -> Advice | None:
    """Return how a person takes the other cluster apart that a node is in, so that the node can leave it: `cluster delete` removes
    only the last node. None where it is in none with others, or these no longer list it."""
    listed = scene.facts.nodes[name].members
    if isinstance(listed, Unknown) or not other_cluster(scene, name):
        return None
    ids = names_by_id(scene.facts.nodes)
    named = {name_of(m, ids, scene.cluster): m for m in listed if m.ready}
    if not any(_lists(scene, other, name) for other in named if other != name):
        return None
    stays = next(n for n in scene.facts.nodes if n in (name, *named) and n not in scene.silent)
    others = ", ".join(n or m.host or "a node" for n, m in named.items() if n != name)
    return Advice(
        f"{name} is in another cluster, with {others}: {WHICH} leave {stays} alone in it, by hand, for only the last node can leave a "
        "cluster; then join its nodes again, which erases them",
        (
            *leaving_alone(scene, stays, listed),
            scene.again(rejoin=tuple(n for n in named if n in scene.facts.nodes)),
        ),
    )


def _lists(scene: Scene, other: str, name: str) -> bool:
    """Return whether another node still lists one as a member; one that does not tell may."""
    node = scene.facts.nodes.get(other)
    if node is None or isinstance(node.members, Unknown):
        return True
    return any(m.node_id == scene.facts.nodes[name].node_id for m in node.members)


def other_cluster(scene: Scene, name: str) -> tuple[str, ...]:
    """Return with whom a node is in a cluster of which ``scene.via`` is no member, by its own list; nothing where it is alone,
    or lists it: a removed node goes on to list those that it was with."""
    listed, via = scene.facts.nodes[name].members, scene.facts.nodes[scene.via].node_id
    if isinstance(listed, Unknown) or not via or any(member.node_id == via for member in listed):
        return ()
    ids = names_by_id(scene.facts.nodes)
    others = [member for member in listed if member.ready and ids.get(member.node_id) != name]
    return tuple(name_of(member, ids, scene.cluster) or member.host or "a node" for member in others)
