"""What may be wrong with the cluster: members that are gone, stuck or apart, and rebuilds that stopped half-way.

Removed nodes hold the whole old data until their own reset or join (vendor page "Clusters and Nodes"), so a
rebuild can always be turned back on one of them, or finished from the survivor.
"""

from __future__ import annotations

from ctmupgrade.core.checks_node import fresh_manifest
from ctmupgrade.core.facts import ArchiveFacts, Member, NodeFacts, Unknown
from ctmupgrade.core.model import Version
from ctmupgrade.core.recovery_nodes import failed_log
from ctmupgrade.core.recovery_scene import JOINING, Diagnosis, Scene
from ctmupgrade.core.steps import (
    AwaitNode,
    CompareSettings,
    DeleteClusterConfig,
    JoinNode,
    MakeBackup,
    NewCluster,
    Reboot,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RestoreSettings,
    RunUpgrade,
    StageArchive,
    VerifyArchive,
)
from ctmupgrade.core.timing import (
    BACKUP_S,
    BOOT_S,
    JOIN_S,
    QUICK_S,
    SERVICES_S,
    UPGRADE_S,
    upload_s,
    verify_s,
)


def gone(found: Diagnosis, scene: Scene) -> None:
    """Members that do not answer, and those that cluster.yaml does not know."""
    for name in scene.silent:
        _silent(found, scene, name, scene.members.get(name))
    for name in scene.known.gone:
        if name not in scene.silent:
            found.advice.append(
                f"{name} answers, so it is not removed as gone; to take it out and join it anew: --rejoin"
            )
    for host, member in scene.members.items():
        if host not in scene.facts.nodes:
            found.wrong.append(f"{scene.via} lists {host} (id {member.node_id}), which cluster.yaml lacks")
            found.advice.append(
                f"{host}: add it to cluster.yaml, or remove it through {scene.via}: "
                f"ksctl cluster nodes delete --id {member.node_id}"
            )


def _silent(found: Diagnosis, scene: Scene, name: str, member: Member | None) -> None:
    if member is None and scene.via and name in scene.known.gone:
        found.advice.append(f"{name} is no member any more; take it out of cluster.yaml")
        return
    found.wrong.append(
        f"{name} does not answer" + (f" and is {member.description or member.code}" if member else "")
    )
    if member is None:
        found.advice.append(f"{name}: bring it back at its console; what it holds is not touched")
    elif name in scene.known.gone:
        action = RemoveNode(scene.via, member.node_id, force=True)
        found.add("remove", name, action, "gone for good: the others stop storing changes for it", QUICK_S)
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
    if not scene.via:
        if len(scene.silent) < len(scene.facts.nodes):
            _no_cluster(found, scene)
        return
    for name in scene.facts.nodes:
        if name != scene.via and name not in scene.silent:
            _one(found, scene, name, scene.members.get(name))


def _one(found: Diagnosis, scene: Scene, name: str, member: Member | None) -> None:
    """A node that answers, in the eyes of a healthy member."""
    rejoin = name in scene.known.rejoin
    if found.concerns(name) or (member is not None and member.ready and not rejoin):
        return  # what is being done for it comes first
    if scene.held_back(name) and member is None:
        found.advice.append(
            f"{name} is held back with the old data; when it is needed no more: ctmupgrade recover --rejoin {name}"
        )
        return
    state = "not listed" if member is None else member.description or member.code
    if member is not None and member.ready:
        found.wrong.append(f"{name} is to be taken out and joined anew, as asked")
    else:
        found.wrong.append(f"{name} is {state} in the eyes of {scene.via}")
    doubt = "" if rejoin else _doubt(scene, name, member)
    if doubt:
        found.advice.append(doubt)
    else:
        take_back(found, scene, name, scene.via, member)


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


def take_back(found: Diagnosis, scene: Scene, name: str, via: str, member: Member | None) -> None:
    """A node into the cluster that ``via`` forms; it is upgraded before where its version is older."""
    node = scene.facts.nodes[name]
    own, theirs = node.version, scene.facts.nodes[via].version
    if isinstance(node.membership, Unknown) or isinstance(own, Unknown) or isinstance(theirs, Unknown):
        found.advice.append(f"{name}: its control plane must answer before it can join again")
        return
    target = scene.cluster.target.version
    if not own.same_release(theirs) and (own.release > theirs.release or not theirs.same_release(target)):
        found.advice.append(
            f"{name} has {own}, {via} has {theirs}: only equal versions join. Bring the cluster to {name}'s version "
            f"(cluster.yaml's target is {target.short}), or install {theirs.short} on {name}"
        )
        return
    found.add("record-settings", name, RecordSettings(), "what no cluster replicates", QUICK_S)
    _out(found, scene, name, via, member, node)
    if not own.same_release(theirs):
        _upgrade(found, scene, name)
    if member is None or member.code not in JOINING:
        why = f"its data, backups and HSM set-up are erased; {via} holds the cluster's data"
        found.add("reset", name, ResetNode(), why, SERVICES_S)
    found.add("restore-settings", name, RestoreSettings(), "time servers before the join", QUICK_S)
    joining = JoinNode(via, scene.options.shared_hsm_partition)
    found.add("join", name, joining, f"back into the cluster through {via}; one at a time", JOIN_S)
    found.add("compare-settings", name, CompareSettings(), "what is not clustered must be as before", QUICK_S)


def _out(found: Diagnosis, scene: Scene, name: str, via: str, member: Member | None, node: NodeFacts) -> None:
    """Out of the cluster. A join that hangs is ended by the reset of its joiner first: removing a node while it
    joins can break the cluster's consensus (FACTS 6), and its own data went when the join began."""
    if member is not None and member.code in JOINING:
        why = f"ends its join, which hangs; {via} holds the cluster's data"
        found.add("reset", name, ResetNode(via), why, SERVICES_S)
    if member is not None:
        found.add("remove", name, RemoveNode(via, member.node_id), "its membership is broken", QUICK_S)
    clustered = not isinstance(node.membership, Unknown) and node.membership.clustered
    if clustered or member is not None:
        found.add("delete-cluster", name, DeleteClusterConfig(), "so that it can join again", QUICK_S)


def _upgrade(found: Diagnosis, scene: Scene, name: str) -> None:
    """To the cluster's version, as a removed node in a rebuild."""
    archive = scene.facts.archive
    size = archive.size if isinstance(archive, ArchiveFacts) else 0
    if not any(isinstance(step.action, VerifyArchive) for step in found.steps):
        why = "no node is upgraded before the signature is proven"
        found.add("verify-archive", "", VerifyArchive(), why, verify_s(size))
    if not fresh_manifest(scene.facts, name):
        found.add("backup", name, MakeBackup(), "no fresh downloaded backup with its key", BACKUP_S)
    found.add("stage", name, StageArchive(), "for its upgrade", upload_s(size))
    found.add(
        "upgrade", name, RunUpgrade(scene.options.force_path, alone=True), "versions must be equal", UPGRADE_S
    )
    found.add("reboot", name, Reboot(), "the script asks for it", BOOT_S)
    found.add("await", name, AwaitNode(clustered=False), "services up, on the target", SERVICES_S)


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
            take_back(found, scene, name, base, None)


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
