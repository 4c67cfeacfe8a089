"""Nobody forms a cluster: a rebuild stopped between the survivor's deletion of its cluster and the new one.

A removed node holds the whole old data until its own reset or join, so a rebuild can always be turned back on one
of them, or finished from the survivor.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.commands import new_cluster_argv
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.manual_commands import ksctl
from ctmupgrade.core.plan.steps import NewCluster, Reboot, step
from ctmupgrade.core.recovery import copies, joins
from ctmupgrade.core.recovery.last_way import if_none_has_data
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, advise, together
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.timing import QUICK_S
from ctmupgrade.core.version import Version


def no_cluster(scene: Scene, before: Part) -> Part:
    """Return what is wrong where no node forms a cluster, and a new cluster where it is known whose data counts."""
    coming = [s.node for s in before.steps if isinstance(s.action, Reboot)]
    if coming:
        text = f"no node forms a cluster yet; when {', '.join(coming)} is back, check again"
        return advise(text, scene.again())
    mute = _mute(scene)
    if mute:
        return _not_known(mute)
    found = Part((_trouble(scene),))
    able = [n for n in scene.facts.nodes if n not in scene.silent and scene.healthy(n)]
    if not able:
        text = "no node is healthy; fix one first, then check again"
        return found + Part(advice=(Advice(text, (scene.again(),)),), support=not before.steps)
    clustered = [n for n in able if _clustered(scene, n) and n != scene.replaced]
    if clustered:
        text = (
            f"{', '.join(clustered)} reports that it is a member, but its cluster is not ready: wait, then check again. If "
            "that lasts, ask vendor support"
        )
        return found + advise(text, scene.again())
    return found + _new_cluster(scene, able)


def _trouble(scene: Scene) -> Trouble:
    text = "no node forms a cluster"
    if poor := scene.replaced:
        base = scene.known.survivor
        text = f"{poor} alone forms the cluster, and has {scene.lacks(poor, base)} that {base} has"
    return Trouble(
        text, sentence=text, urgency=Urgency.NOW,
        if_left="what clients write to one node does not reach the others; only what is on the node whose "
        "data is chosen is kept",
    )  # fmt: skip


def _mute(scene: Scene) -> list[str]:
    """Return the nodes that answer without telling whether they are members, where one of them may be the cluster:
    nobody has named whose data counts, and no journal says it."""
    nodes = scene.facts.nodes
    if scene.known.survivor or scene.past.survivor:
        return []
    return [n for n, f in nodes.items() if n not in scene.silent and isinstance(f.membership, Unknown)]


def _not_known(mute: list[str]) -> Part:
    """Return that it is not known whether a cluster is formed; unknown is not gone, and no new cluster is made."""
    names = ", ".join(mute)
    trouble = Trouble(
        f"whether the nodes form a cluster is not known: no answer from {names}",
        sentence="whether the nodes form a cluster is not known", urgency=Urgency.TODAY,
        if_left="as far as is known, the cluster goes on as before",
    )  # fmt: skip
    text = f"the control plane of {names} must answer first: until that is known, no cluster is made and no node is erased"
    return Part((trouble,), (Advice(text, ("ctmupgrade check",)),))


def _clustered(scene: Scene, name: str) -> bool:
    membership = scene.facts.nodes[name].membership
    return not isinstance(membership, Unknown) and not membership.left


def _new_cluster(scene: Scene, able: list[str]) -> Part:
    chosen = _base(scene, able)
    said = Part(advice=chosen.advice)
    if not chosen.name:
        return said + together(_partial(scene, name) for name in scene.partial if name in able)
    base = chosen.name
    made = step(NewCluster(), base, "its data becomes the cluster's", QUICK_S)
    rest = {name: _apart(scene, name) for name in able if name != base}
    kept, free = copies.kept(scene, [name for name, part in rest.items() if part is None], base)
    joining = (part or _joins(scene, name, base) for name, part in rest.items() if part or name in free)
    return said + Part(steps=(made,)) + together(joining) + Part(advice=kept)


def _apart(scene: Scene, name: str) -> Part | None:
    """Return why a node that is not the base stays apart until somebody names it; None: nothing but its data may speak for it."""
    again = scene.again(rejoin=(name,))
    if scene.held_back(name):
        return advise(f"{name} is held back with the old data. To take it back, which erases it", again)
    named = name in scene.known.rejoin
    if name == scene.past.survivor and scene.past.hurt and not named:
        return Part()  # said where the base was chosen
    if name in scene.past.alone and not named:
        text = (
            f"{name} stays outside the cluster: what clients wrote to it after the others were removed is on it alone; if nobody "
            "needs that data, take it back, which erases it"
        )
        return advise(text, again)
    return None


def _joins(scene: Scene, name: str, base: str) -> Part:
    """Return how a node joins; or that it has more keys than the base, though less than twice as many."""
    if scene.richer(name, base) and name not in scene.known.rejoin:
        text = (
            f"{name} stays outside the cluster with its data: it has more keys than {base} ({scene.keys(name)}, not "
            f"{scene.keys(base)}). If nobody needs what is on it, take it back, which erases it"
        )
        return advise(text, scene.again(rejoin=(name,)))
    return joins.take_back(scene, name, base)


def _partial(scene: Scene, name: str) -> Part:
    """Return that a node is no base although it has keys, and what a person can do who knows better."""
    text = (
        f"{name} is not offered: its join began, and nothing here proves that it ended, so it may have only a part of the data "
        f"({scene.part_of(name)}). Bring back a node that has all, or restore a backup. If you know that its join ended, or if "
        "this part is all that is left, make a cluster of it by hand, then check again"
    )
    node = scene.cluster.node(name)
    return advise(text, ksctl(node, *new_cluster_argv(node, "")), scene.again())


@dataclass(frozen=True, slots=True)
class Base:
    """The node whose data becomes the cluster's; without a name, why none can be chosen."""

    name: str = ""
    advice: tuple[Advice, ...] = ()


def _base(scene: Scene, able: list[str]) -> Base:
    """Return the base: named, or known from the journal of a rebuild; else asked for."""
    past, named = scene.past, scene.known.survivor
    holding = [n for n in able if n not in scene.emptied]
    words = ", ".join(_described(scene, n) for n in holding) or "none"
    if named:
        return _named_base(scene, able, holding, words)
    poor = past.survivor in holding and any(scene.lacks(past.survivor, n) for n in holding)
    if past.survivor in holding and not poor and not (past.hurt and _old(scene, past.survivor)):
        return Base(
            past.survivor,
            (
                Advice(
                    f"{past.survivor} is chosen because it kept the data in run {past.run}. To choose another",
                    tuple(scene.again(survivor=n) for n in holding if n != past.survivor),
                ),
            ),
        )
    apart = (past.survivor, past.held_back, *past.replaced, *past.emptied)
    untouched = [n for n in holding if n not in apart]
    lost_sight = past.survivor in scene.silent and past.survivor not in scene.known.gone
    instead = untouched or (holding if lost_sight else [])
    if past.survivor and (instead or lost_sight) and not poor:
        return _without_survivor(scene, *instead[:1])
    others = tuple(scene.again(survivor=n) for n in holding)
    text = (
        f"choose the node whose data counts; the others are erased and join it. Healthy nodes with data: {words}. "
        "What clients wrote to the others since then is lost, so ask which one they used"
    )
    if not holding:
        return Base()  # the last way back is told with all the rest
    return Base(advice=(Advice(text, others), *if_none_has_data(scene)))


def _described(scene: Scene, name: str) -> str:
    told = any(scene.keys(n) for n in scene.facts.nodes) and "keys" in scene.counts.get(name, {})
    keys = f", {scene.keys(name)} keys" if told else ""
    return f"{name} ({scene.facts.nodes[name].version}{keys})"


def _named_base(scene: Scene, able: list[str], holding: list[str], words: str) -> Base:
    named = scene.known.survivor
    if named not in able:
        return Base(advice=(Advice(f"{named} is not healthy; healthy nodes with data: {words}"),))
    if named in scene.partial:
        ways = tuple(
            scene.again(survivor=n) for n in holding
        )  # why not this one is told with the others of its kind
        return Base(advice=(Advice(f"healthy nodes with data: {words}", ways),) if ways else ())
    if named not in holding:
        return Base(
            advice=(
                Advice(
                    f"{named} holds no data: it was erased, or it is new; healthy nodes with data: {words}"
                ),
            )
        )
    return Base(named)


def _without_survivor(scene: Scene, instead: str = "") -> Base:
    """Return a node that was removed with all data, where the survivor of a rebuild cannot be the base; "": there is none, and
    the survivor is only out of sight."""
    past = scene.past
    silent = past.survivor in scene.silent
    alone = f"what clients wrote to {past.survivor} after the others were removed is on it alone"
    if silent and past.survivor not in scene.known.gone:
        kept = Advice(
            f"{past.survivor} kept the data in run {past.run}, and {alone}: bring it back, then continue the run",
            (f"ctmupgrade resume {past.run}",),
        )
        lost = Advice(
            f"if {past.survivor} is lost, the old cluster is restored on {instead} without what was written then",
            (scene.again(gone=past.survivor),),
        )
        return Base(advice=(kept, lost) if instead else (kept,))
    why = "does not answer" if silent else "was not upgraded as planned"
    return Base(
        instead,
        (
            Advice(
                f"{past.survivor} {why}; the old cluster is restored on {instead}, which was removed with all data. "
                f"{past.survivor} stays outside the cluster, unchanged: {alone}. To use its data instead, if it is healthy",
                (scene.again(survivor=past.survivor),),
            ),
            Advice(
                f"if nobody needs what is on {past.survivor} alone, take it back afterwards, which erases it",
                (scene.again(rejoin=(past.survivor,)),),
            ),
        ),
    )


def _old(scene: Scene, name: str) -> bool:
    version = scene.facts.nodes[name].version
    return not isinstance(version, Version) or not version.same_release(scene.cluster.target.version)
