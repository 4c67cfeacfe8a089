"""Nodes out of the cluster and back into it, one change at a time.

While a member joins, or is listed as anything but ready, no join can start: what is erased for one then is erased
for nothing. So no step erases a node before the plan has ended or removed what would be in the way.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.plan import common_steps
from ctmupgrade.core.plan.steps import (
    DeleteClusterConfig,
    JoinNode,
    RecordSettings,
    RemoveNode,
    ResetNode,
    RestoreSettings,
    RunUpgrade,
    StageArchive,
    Step,
    step,
)
from ctmupgrade.core.recovery.result import Part, advise
from ctmupgrade.core.recovery.scene import JOINING, Scene
from ctmupgrade.core.timing import JOIN_S, QUICK_S, SERVICES_S, upload_s
from ctmupgrade.core.version import Version


def remove_gone(scene: Scene) -> Part:
    """Return the removal of the members that are gone for good."""
    why = "gone for good; the others then stop queuing changes for it"
    return Part(
        steps=tuple(
            step(RemoveNode(scene.via, scene.members[name].node_id, force=True), name, why, QUICK_S)
            for name in _gone(scene)
        )
    )


def _gone(scene: Scene) -> list[str]:
    return [n for n in scene.silent if n in scene.members and scene.given_up(n)]


def take_all_back(scene: Scene, names: list[str]) -> Part:
    """Return these nodes' way into the cluster again. First goes all that is in the way of a join: hanging ones are
    ended, broken members and those that are gone removed."""
    refused = {name: _refusal(scene, name, scene.via) for name in names}
    back = [name for name in names if not refused[name].advice]
    found = sum(refused.values(), Part())
    gone = _gone(scene)
    if any(name not in back for name in scene.joining):
        return found + _waits_for_joins(scene, [*back, *gone])
    out = [n for n, member in scene.members.items() if not member.ready and n not in (*back, *gone)]
    if out and back:
        text = (
            f"{', '.join(back)}: not erased, because its join could not start: {', '.join(out)} must be ready "
            "or removed first; then check again"
        )
        found += advise(text, scene.again())
        back = [name for name in back if name in scene.joining]  # those are ended all the same
    return found + Part(steps=tuple(_taken_back(scene, back, blocked=bool(out))))


def _taken_back(scene: Scene, back: list[str], *, blocked: bool) -> Iterator[Step]:
    ended = [name for name in back if name in scene.members and not scene.members[name].ready]
    for name in ended:
        yield from _out(scene, name, scene.via)
    if scene.joining:
        yield from remove_gone(scene).steps
    for name in () if blocked else back:
        if name not in ended:
            yield from _out(scene, name, scene.via)
        yield from _in(scene, name, scene.via)


def _waits_for_joins(scene: Scene, names: list[str]) -> Part:
    """Return that members join that nobody has named to be taken out: no other node is touched meanwhile."""
    others = [name for name in names if name not in scene.joining]
    unnamed = [name for name in scene.joining if name not in scene.known.rejoin]
    if not others and len(scene.joining) == len(unnamed):
        return Part()  # how to end it is said already
    again = scene.again(rejoin=tuple(n for n in unnamed if n in scene.facts.nodes))
    return advise(
        f"{', '.join(others) or 'no other node'}: not removed, reset or joined while {', '.join(scene.joining)} is "
        "joining: only one change at a time is possible. Check again when that join has ended; if it is stuck, "
        "end it first",
        again,
    )


def take_back(scene: Scene, name: str, via: str) -> Part:
    """Return the way of a node that no cluster lists into the one that ``via`` forms; it is upgraded before where its
    version is older."""
    refused = _refusal(scene, name, via)
    if refused.advice:
        return refused
    return Part(steps=(*_out(scene, name, via), *_in(scene, name, via)))


def _refusal(scene: Scene, name: str, via: str) -> Part:
    """Return why a node could not join through ``via``, even upgraded to its version; an empty part: it could."""
    node = scene.facts.nodes[name]
    own, theirs = node.version, scene.facts.nodes[via].version
    if isinstance(node.membership, Unknown) or isinstance(own, Unknown) or isinstance(theirs, Unknown):
        return advise(f"{name}: its control plane must answer before it can join again")
    target = scene.cluster.target.version
    if not own.same_release(theirs) and (own.release > theirs.release or not theirs.same_release(target)):
        return advise(
            f"{name} has {own}, {via} has {theirs}: only equal versions join. Bring the cluster to {name}'s version "
            f"(cluster.yaml's target is {target.short}), or install {theirs.short} on {name}"
        )
    return Part()


def _out(scene: Scene, name: str, via: str) -> Iterator[Step]:
    """Out of the cluster. A join that hangs is ended by the reset of its joiner first: removing a node while it
    joins can break the cluster's consensus (docs/appliance.md 6), and its own data was erased when the join began."""
    node, member = scene.facts.nodes[name], scene.members.get(name)
    yield step(RecordSettings(), name, "record what the cluster does not replicate", QUICK_S)
    if member is not None and member.code in JOINING:
        why = f"ends its join, which hangs; {via} has the cluster's data"
        yield step(ResetNode(via), name, why, SERVICES_S)
    if member is not None:
        why = "as asked; it joins again" if member.ready else "its membership is broken"
        yield step(RemoveNode(via, member.node_id), name, why, QUICK_S)
    clustered = not isinstance(node.membership, Unknown) and node.membership.clustered
    if clustered or member is not None:
        yield step(DeleteClusterConfig(), name, "so that it can join again", QUICK_S)


def _in(scene: Scene, name: str, via: str) -> Iterator[Step]:
    """Into the cluster: to its version, emptied, joined."""
    own, theirs = scene.facts.nodes[name].version, scene.facts.nodes[via].version
    if isinstance(own, Version) and isinstance(theirs, Version) and not own.same_release(theirs):
        yield from _upgrade(scene, name)
    member = scene.members.get(name)
    if member is None or member.code not in JOINING:
        why = f"its data, its backups and its HSM set-up are erased; {via} has the cluster's data"
        yield step(ResetNode(), name, why, SERVICES_S)
    yield step(RestoreSettings(), name, "set its time servers before the join", QUICK_S)
    joining = JoinNode(via, scene.options.shared_hsm_partition)
    yield step(joining, name, f"joins the cluster again through {via}; one node at a time", JOIN_S)
    yield common_steps.comparison(name)


def _upgrade(scene: Scene, name: str) -> Iterator[Step]:
    """To the cluster's version, as a removed node in a rebuild."""
    facts = scene.facts
    why = "no node is upgraded before the archive's signature is verified"
    yield common_steps.verification(facts, why)
    yield from common_steps.backups(facts, (name,))
    size = common_steps.archive_size(facts)
    yield step(StageArchive(), name, "the archive for its upgrade", upload_s(size))
    upgrade = RunUpgrade(scene.options.force_path, alone=True)
    yield from common_steps.upgraded_alone(name, upgrade, "only equal versions can join")
