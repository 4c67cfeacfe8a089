"""Nodes out of the cluster and back into it, one change at a time.

While a member joins, or is listed as anything but ready, no join can start: what is erased for one then is erased
for nothing. So no step erases a node before the plan has ended or removed what would be in the way.
"""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.facts import ArchiveFacts, Unknown, fresh_manifest
from ctmupgrade.core.model import Version
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    CompareSettings,
    DeleteClusterConfig,
    JoinNode,
    MakeBackup,
    Reboot,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RestoreSettings,
    RunUpgrade,
    StageArchive,
    VerifyArchive,
)
from ctmupgrade.core.recovery.scene import JOINING, Diagnosis, Scene
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


def remove_gone(found: Diagnosis, scene: Scene) -> None:
    """Out with the members that are gone for good."""
    for name in _gone(scene):
        action = RemoveNode(scene.via, scene.members[name].node_id, force=True)
        found.add("remove", name, action, "gone for good: the others stop storing changes for it", QUICK_S)


def _gone(scene: Scene) -> list[str]:
    return [n for n in scene.silent if n in scene.members and n in scene.known.gone]


def take_all_back(found: Diagnosis, scene: Scene, names: list[str]) -> None:
    """These nodes into the cluster again. First all that is in the way of a join: hanging ones are ended, broken
    members and those that are gone removed."""
    back = [name for name in names if _may_join(found, scene, name, scene.via)]
    gone = _gone(scene)
    if any(name not in back for name in scene.joining):
        _waits_for_joins(found, scene, [*back, *gone])
        return
    away = [n for n, member in scene.members.items() if not member.ready and n not in (*back, *gone)]
    if away and back:
        found.advice.append(
            f"{', '.join(back)}: nothing is erased for a join that could not start: {', '.join(away)} must be ready "
            "or removed first, then: ctmupgrade recover"
        )
        back = [name for name in back if name in scene.joining]  # those are ended all the same
    ended = [name for name in back if name in scene.members and not scene.members[name].ready]
    for name in ended:
        _out(found, scene, name, scene.via)
    if scene.joining:
        remove_gone(found, scene)
    for name in () if away else back:
        if name not in ended:
            _out(found, scene, name, scene.via)
        _in(found, scene, name, scene.via)


def _waits_for_joins(found: Diagnosis, scene: Scene, names: list[str]) -> None:
    """Members join that nobody has named to be taken out: no other node is touched meanwhile."""
    others = [name for name in names if name not in scene.joining]
    unnamed = [name for name in scene.joining if name not in scene.known.rejoin]
    named = (*scene.known.rejoin, *(n for n in unnamed if n in scene.facts.nodes))
    again = f"ctmupgrade recover{replace(scene.known, rejoin=named).words}"
    if not others and len(scene.joining) == len(unnamed):
        return  # how to end it is said already
    found.advice.append(
        f"{', '.join(others) or 'no other node'}: not removed, reset or joined while {', '.join(scene.joining)} is "
        "joining: one change at a time, and what is erased for a join that cannot start is erased for nothing. When "
        f"that join is over: ctmupgrade recover; where it hangs: {again} ends it first"
    )


def take_back(found: Diagnosis, scene: Scene, name: str, via: str) -> None:
    """A node that no cluster lists into the one that ``via`` forms; it is upgraded before where its version is
    older."""
    if _may_join(found, scene, name, via):
        _out(found, scene, name, via)
        _in(found, scene, name, via)


def _may_join(found: Diagnosis, scene: Scene, name: str, via: str) -> bool:
    """Whether a node could join through ``via``, once it is upgraded to its version."""
    node = scene.facts.nodes[name]
    own, theirs = node.version, scene.facts.nodes[via].version
    if isinstance(node.membership, Unknown) or isinstance(own, Unknown) or isinstance(theirs, Unknown):
        found.advice.append(f"{name}: its control plane must answer before it can join again")
        return False
    target = scene.cluster.target.version
    if not own.same_release(theirs) and (own.release > theirs.release or not theirs.same_release(target)):
        found.advice.append(
            f"{name} has {own}, {via} has {theirs}: only equal versions join. Bring the cluster to {name}'s version "
            f"(cluster.yaml's target is {target.short}), or install {theirs.short} on {name}"
        )
        return False
    return True


def _out(found: Diagnosis, scene: Scene, name: str, via: str) -> None:
    """Out of the cluster. A join that hangs is ended by the reset of its joiner first: removing a node while it
    joins can break the cluster's consensus (FACTS 6), and its own data went when the join began."""
    node, member = scene.facts.nodes[name], scene.members.get(name)
    found.add("record-settings", name, RecordSettings(), "what no cluster replicates", QUICK_S)
    if member is not None and member.code in JOINING:
        why = f"ends its join, which hangs; {via} holds the cluster's data"
        found.add("reset", name, ResetNode(via), why, SERVICES_S)
    if member is not None:
        found.add("remove", name, RemoveNode(via, member.node_id), "its membership is broken", QUICK_S)
    clustered = not isinstance(node.membership, Unknown) and node.membership.clustered
    if clustered or member is not None:
        found.add("delete-cluster", name, DeleteClusterConfig(), "so that it can join again", QUICK_S)


def _in(found: Diagnosis, scene: Scene, name: str, via: str) -> None:
    """Into the cluster: to its version, emptied, joined."""
    own, theirs = scene.facts.nodes[name].version, scene.facts.nodes[via].version
    if isinstance(own, Version) and isinstance(theirs, Version) and not own.same_release(theirs):
        _upgrade(found, scene, name)
    member = scene.members.get(name)
    if member is None or member.code not in JOINING:
        why = f"its data, backups and HSM set-up are erased; {via} holds the cluster's data"
        found.add("reset", name, ResetNode(), why, SERVICES_S)
    found.add("restore-settings", name, RestoreSettings(), "time servers before the join", QUICK_S)
    joining = JoinNode(via, scene.options.shared_hsm_partition)
    found.add("join", name, joining, f"back into the cluster through {via}; one at a time", JOIN_S)
    found.add("compare-settings", name, CompareSettings(), "what is not clustered must be as before", QUICK_S)


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
