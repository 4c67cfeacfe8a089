"""A cluster that is healthy but for its versions: the upgrade is finished like any other."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.strategies import in_place
from ctmupgrade.core.recovery.result import Part, Trouble, Urgency, advise
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.version import Version


def mixed_versions(scene: Scene, before: Part) -> Part:
    """Return that the versions differ, and how the upgrade is finished. Steps and advice in ``before`` come first."""
    nodes, target = scene.facts.nodes, scene.cluster.target.version
    versions = {n: f.version for n, f in nodes.items() if not isinstance(f.version, Unknown)}
    if len({v.release for v in versions.values()}) < 2:
        return Part()
    found = Part((_trouble(versions, formed=bool(scene.via)),))
    if before.steps:
        return found  # those come first; what is left then is said then
    if scene.past.run and scene.past.upgrades:
        return found + _finish(
            before, "finish the upgrade as soon as possible", f"ctmupgrade resume {scene.past.run}"
        )
    old = {v.release for v in versions.values() if not v.same_release(target)}
    if len(old) > 1 or any(release > target.release for release in old):
        newest = max(versions.values(), key=lambda v: v.release)
        text = (
            f"{_oldest(versions, target)} must first be upgraded to the version of the others (the newest is "
            f"{newest}): set target in cluster.yaml to that version's archive, then upgrade"
        )
        return found + advise(text, *_run(scene))
    if scene.cluster.strategy is StrategyName.IN_PLACE and _all_members(scene) and not before.advice:
        steps = tuple(in_place(scene.facts, scene.cluster, scene.options))
        return found + Part(steps=steps, finishing=True)
    return found + _finish(
        before, "finish the upgrade as soon as possible, after the rest is fixed", *_run(scene)
    )


def _run(scene: Scene) -> tuple[str, ...]:
    """Return how a run is started: not before one that stopped has ended."""
    stopped = (f"ctmupgrade abort {scene.past.run}",) if scene.past.run else ()
    return (*stopped, "ctmupgrade run")


def _finish(before: Part, text: str, *commands: str) -> Part:
    """Return that the upgrade is to be finished, where nothing said before ends in the same command."""
    said = any(commands[-1] in advice.commands for advice in before.advice)
    return Part() if said else advise(text, *commands)


def _trouble(versions: Mapping[str, Version], *, formed: bool) -> Trouble:
    return Trouble(
        f"mixed versions: {', '.join(f'{n} {v}' for n, v in versions.items())}",
        sentence="the versions are mixed",
        if_left="the cluster continues to work; the vendor asks to upgrade all nodes as soon as possible"
        if formed
        else "",
        urgency=Urgency.TODAY,
    )


def _oldest(versions: Mapping[str, Version], target: Version) -> str:
    lowest = min(v.release for v in versions.values() if not v.same_release(target))
    return ", ".join(n for n, v in versions.items() if v.release == lowest)


def _all_members(scene: Scene) -> bool:
    return all(n in scene.members and scene.members[n].ready for n in scene.facts.nodes)
