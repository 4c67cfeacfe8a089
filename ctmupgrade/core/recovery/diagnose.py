"""What is wrong with a cluster, what works meanwhile, and the way back as steps like any other.

It proposes nothing that loses the last copy of the data: nodes are reset or joined only into a cluster that
another healthy node forms, a node whose own data was erased is never the base of a new cluster, and a node
that does not answer is removed only when an operator says that it is gone. Where the only honest answer is
vendor support, it says so.
"""

from __future__ import annotations

from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.recovery import copies, health, identity, members, no_cluster, nodes, outlook, versions
from ctmupgrade.core.recovery.decide import Circumstances, decide
from ctmupgrade.core.recovery.result import Advice, Diagnosis, Part
from ctmupgrade.core.recovery.scene import JOINING, Counts, OperatorInput, Scene, scene_of
from ctmupgrade.core.run.past_runs import RunHistory

__all__ = [
    "JOINING",
    "Circumstances",
    "Diagnosis",
    "OperatorInput",
    "diagnose",
    "unheard_survivor",
    "without_data",
]


def diagnose(
    facts: Facts,
    cluster: Cluster,
    known: OperatorInput,
    past: RunHistory | None = None,
    options: Options | None = None,
    around: Circumstances | None = None,
) -> Diagnosis:
    """Return the diagnosis of what was seen.

    :param past: what this machine's journals know.
    :param options: of the command line; they shape the steps that finish an upgrade.
    """
    around = around or Circumstances()
    scene = scene_of(facts, cluster, known, past or RunHistory(), options or Options(), around.counts)
    untouchable = nodes.running_upgrades(scene) + identity.one_appliance(scene)
    if untouchable.wrong:
        return _concluded(scene, untouchable, passing=False)
    found = _parts(scene)
    unwell = health.unhealthy(scene, found)
    passing = bool(unwell.wrong) and not found.wrong
    found += unwell
    if not scene.standalone:
        found += versions.mixed_versions(scene, found)
    return _concluded(scene, decide(scene, found, around), passing=passing)


def _parts(scene: Scene) -> Part:
    """Return what each part found of its own, each knowing what the parts before it found."""
    found = nodes.unfinished_upgrades(scene) + nodes.services(scene)
    if scene.standalone:
        return found + members.silent_appliance(scene) + nodes.reboots(scene)
    found += members.silent(scene) + identity.foreign(scene)
    found += nodes.reboots(scene)
    return found + _membership(scene, found)


def _membership(scene: Scene, before: Part) -> Part:
    """Return what is wrong with nodes that answer but are not ready members."""
    if scene.all_named:
        return copies.all_named(scene)
    if scene.via:
        return members.apart(scene, before)
    if len(scene.silent) < len(scene.facts.nodes):
        return no_cluster.no_cluster(scene, before)
    return Part()


def _concluded(scene: Scene, part: Part, *, passing: bool) -> Diagnosis:
    return Diagnosis(
        headline=outlook.headline(part.wrong, scene),
        urgency=outlook.urgency_of(part.wrong, scene),
        wrong=tuple(trouble.text for trouble in part.wrong),
        works=outlook.works(scene),
        advice=part.advice,
        steps=part.steps,
        losses=outlook.losses(scene, part.steps),
        if_left=outlook.if_left(part.wrong) if part.wrong else (),
        support=part.support,
        finishing=part.finishing,
        passing=passing,
    )


def without_data(
    facts: Facts, cluster: Cluster, known: OperatorInput, past: RunHistory, counts: Counts | None = None
) -> tuple[str, ...]:
    """Return the nodes that cannot be relied on to hold the cluster's data: for the guard of a run."""
    scene = scene_of(facts, cluster, known, past, Options(), counts)
    ready = {n for n, m in scene.members.items() if m.ready}
    return tuple(
        n for n in facts.nodes if n in (scene.emptied - ready) | set(scene.joining) | set(scene.silent)
    )


def unheard_survivor(
    facts: Facts, cluster: Cluster, known: OperatorInput, past: RunHistory, counts: Counts
) -> Advice | None:
    """Return why the survivor that a person named cannot be the base of a cluster; None where nothing speaks against it."""
    return copies.unheard_survivor(scene_of(facts, cluster, known, past, Options(), counts))
