"""What may be wrong with the cluster: members that are gone, stuck or apart, and rebuilds that stopped half-way.

Removed nodes hold the whole old data until their own reset or join (vendor page "Clusters and Nodes"), so a
rebuild can always be turned back on one of them, or finished from the survivor.
"""

from __future__ import annotations

from ctmupgrade.core.looks.facts import Member, NodeFacts, Unknown
from ctmupgrade.core.model import Version
from ctmupgrade.core.plan.steps import NewCluster, Reboot
from ctmupgrade.core.recovery import joins
from ctmupgrade.core.recovery.nodes import failed_log
from ctmupgrade.core.recovery.scene import JOINING, Diagnosis, Scene
from ctmupgrade.core.timing import QUICK_S


def gone(found: Diagnosis, scene: Scene) -> None:
    """Members that do not answer, and those that cluster.yaml does not know. Those that are gone for good are
    removed now, where no other member is joining."""
    for name in scene.silent:
        _silent(found, scene, name, scene.members.get(name))
    if not scene.joining:
        joins.remove_gone(found, scene)
    for name in scene.known.gone:
        if name not in scene.silent:
            found.advice.append(
                f"{name} answers, so it is not removed as gone; to take it out and join it anew: --rejoin"
            )
    for host, member in scene.members.items():
        if host not in scene.facts.nodes:
            found.blame(host, f"{scene.via} lists {host} (id {member.node_id}), which cluster.yaml lacks")
            found.advice.append(
                f"{host}: add it to cluster.yaml, or remove it through {scene.via}: "
                f"ksctl cluster nodes delete --id {member.node_id}"
            )


def _silent(found: Diagnosis, scene: Scene, name: str, member: Member | None) -> None:
    if member is None and scene.via and name in scene.known.gone:
        found.advice.append(f"{name} is no member any more; take it out of cluster.yaml")
        return
    seen = f" and is {member.description or member.code}" if member else ""
    found.blame(name, f"{name} does not answer{seen}")
    if member is None:
        found.advice.append(f"{name}: bring it back at its console; what it holds is not touched")
    elif name in scene.known.gone:
        found.advice.append(
            f"{name}: afterwards take it out of cluster.yaml; reset it before it is ever used again"
        )
    else:
        lacks = "; one of two: the removal may lack a quorum" if len(scene.members) == 2 else ""
        found.advice.append(
            f"{name}: bring it back; or, where it is gone for good: ctmupgrade recover --gone {name} (until then the "
            f"others keep its catch-up data, which fills their disks in the end{lacks})"
        )


def membership(found: Diagnosis, scene: Scene) -> None:
    """Nodes that answer but are not ready members."""
    if scene.all_named:
        found.wrong.append("every node that forms the cluster is named to be taken out")
        found.advice.append(
            "one must stay, for it holds the data that the others join to: leave it out of --rejoin"
        )
        return
    if not scene.via:
        if len(scene.silent) < len(scene.facts.nodes):
            _no_cluster(found, scene)
        return
    others = [name for name in scene.facts.nodes if name != scene.via and name not in scene.silent]
    apart = [name for name in others if _apart(found, scene, name, scene.members.get(name))]
    joins.take_all_back(found, scene, apart)


def _apart(found: Diagnosis, scene: Scene, name: str, member: Member | None) -> bool:
    """Whether a node that answers is to be taken back, in the eyes of a healthy member."""
    rejoin = name in scene.known.rejoin
    if found.concerns(name) or (member is not None and member.ready and not rejoin):
        return False  # what is being done for it comes first
    if scene.held_back(name) and member is None:
        found.advice.append(
            f"{name} is held back with the old data; when it is needed no more: ctmupgrade recover --rejoin {name}"
        )
        return False
    state = "not listed" if member is None else member.description or member.code
    if member is not None and member.ready:
        found.blame(name, f"{name} is to be taken out and joined anew, as asked")
    else:
        found.blame(name, f"{name} is {state} in the eyes of {scene.via}")
    doubt = "" if rejoin else _doubt(scene, name, member)
    found.advice += [doubt] * bool(doubt)
    return not doubt


def _doubt(scene: Scene, name: str, member: Member | None) -> str:
    """Why an operator must name a node before it is taken back; "" where nothing speaks against it."""
    again = f"ctmupgrade recover --rejoin {name}"
    if member is not None and member.code in JOINING:
        return f"{name}: a join may take 30 minutes and more; never restart it meanwhile. Where it is stuck: {again}"
    if member is not None and member.code != "k":
        return (
            f"{name}: it answers, but {scene.via} has no connection to it: port 5432 and the clocks of both; where "
            f"that is in order: {again}"
        )
    if failed_log(scene.facts.nodes[name], scene.cluster.target.version):
        return (
            f"{name}: it stays apart with its data until you know that nothing on it is missed; then {again}, which "
            "erases it"
        )
    if name in scene.past.alone:
        return (
            f"{name} stays apart with its data: it kept the cluster's data when the others were removed, and what "
            f"clients wrote to it then is on it alone. When that is not missed: {again}, which erases it"
        )
    lone = sum(m.ready for m in scene.members.values()) == 1
    if (
        lone
        and scene.via not in (scene.past.survivor, scene.known.survivor)
        and name not in scene.past.emptied
    ):
        return (
            f"{name}: {scene.via} is alone in its cluster, and no journal here tells that its data is the cluster's; "
            f"where it is: ctmupgrade recover --survivor {scene.via}, which erases {name} and joins it"
        )
    return ""


# -- nobody forms a cluster --------------------------------------------------------------------------------


def _no_cluster(found: Diagnosis, scene: Scene) -> None:
    """A rebuild that stopped between the survivor's deletion of its cluster and the new one."""
    able = [n for n in scene.facts.nodes if n not in scene.silent and scene.well(n)]
    coming = [s.node for s in found.steps if isinstance(s.action, Reboot)]
    if found.steps and coming:
        found.advice.append(
            f"no node forms a cluster yet; when {', '.join(coming)} is back: ctmupgrade recover"
        )
        return
    found.wrong.append("no node forms a cluster")
    if not able:
        found.advice.append("no node is well; mend one first, then: ctmupgrade recover")
        found.support = not found.steps
        return
    clustered = [n for n in able if _clustered(scene.facts.nodes[n])]
    if clustered:
        found.advice.append(
            f"{', '.join(clustered)} says that it is a member, but of no ready cluster; wait, then ctmupgrade recover; "
            "where that lasts: vendor support"
        )
        return
    base = _base(found, scene, able)
    if not base:
        return
    found.add("new-cluster", base, NewCluster(), "its data becomes the cluster's", QUICK_S)
    for name in able:
        if name == base:
            continue
        if scene.held_back(name):
            found.advice.append(
                f"{name} is held back with the old data until: ctmupgrade recover --rejoin {name}"
            )
        elif name == scene.past.survivor and scene.past.hurt and name not in scene.known.rejoin:
            continue  # said where the base was chosen
        elif name in scene.past.alone and name not in scene.known.rejoin:
            found.advice.append(
                f"{name} stays apart: what clients wrote to it after the others were removed is on it alone; when that "
                f"is not missed: ctmupgrade recover --rejoin {name}"
            )
        else:
            joins.take_back(found, scene, name, base)


def _clustered(node: NodeFacts) -> bool:
    return not isinstance(node.membership, Unknown) and node.membership.clustered


def _base(found: Diagnosis, scene: Scene, able: list[str]) -> str:
    """The node whose data becomes the cluster's: named, or told by the journal of a rebuild; else asked for."""
    past, named = scene.past, scene.known.survivor
    holding = [n for n in able if n not in past.emptied]
    words = ", ".join(f"{n} ({scene.facts.nodes[n].version})" for n in holding) or "none"
    if named and named not in able:
        found.advice.append(f"{named} is not well; well and with data are: {words}")
        return ""
    if named and named not in holding:
        found.advice.append(
            f"{named} holds no data: its own was erased in an earlier run; with data are: {words}"
        )
        return ""
    if named:
        return named
    if past.survivor in holding and not (past.hurt and _old(scene, past.survivor)):
        found.advice.append(
            f"{past.survivor} is the base because it kept the data in run {past.run}; --survivor names another. To go "
            f"on with the rebuild instead: ctmupgrade resume {past.run}"
        )
        return past.survivor
    untouched = [n for n in holding if n not in (past.survivor, past.held_back)]
    silent = past.survivor in scene.silent
    if silent and untouched and past.survivor not in scene.known.gone:
        found.advice.append(
            f"{past.survivor} kept the data in run {past.run}, and what clients wrote to it after the others were "
            f"removed is on it alone: bring it back, then: ctmupgrade resume {past.run}. Where it is lost, the old "
            f"cluster comes back on {untouched[0]} without that: ctmupgrade recover --gone {past.survivor}"
        )
        return ""
    if past.survivor and untouched:
        why = "does not answer" if silent else "was not upgraded well"
        found.advice.append(
            f"{past.survivor} {why}; the old cluster comes back on {untouched[0]}, which was "
            f"removed with all data. {past.survivor} stays apart, untouched: what clients wrote to it after the others "
            f"were removed is on it alone. When that is not missed: ctmupgrade recover --rejoin {past.survivor}; "
            f"to build on its data instead, where it is well: --survivor {past.survivor}"
        )
        return untouched[0]
    found.advice.append(
        f"name the node whose data counts: ctmupgrade recover --survivor NODE (the others are erased and join it); "
        f"well and with data are: {words}"
    )
    return ""


def _old(scene: Scene, name: str) -> bool:
    version = scene.facts.nodes[name].version
    return not isinstance(version, Version) or not version.same_release(scene.cluster.target.version)
