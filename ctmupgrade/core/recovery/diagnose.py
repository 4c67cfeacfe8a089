"""What is wrong with a cluster, what works meanwhile, and the way back as steps like any other.

It proposes nothing that loses the last copy of the data: nodes are reset or joined only into a cluster that
another healthy node forms, a node whose own data was erased is never the base of a new cluster, and a node
that does not answer is removed only when an operator says that it is gone. Where the only honest answer is
vendor support, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.facts import Facts, Manifest, Unknown, fresh_manifest
from ctmupgrade.core.model import Cluster, Options, Version
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import (
    DeleteClusterConfig,
    JoinNode,
    MakeBackup,
    NewCluster,
    RemoveNode,
    ResetNode,
    Step,
)
from ctmupgrade.core.plan.strategies import in_place
from ctmupgrade.core.recovery import cluster as recovery_cluster
from ctmupgrade.core.recovery import health as recovery_unwell
from ctmupgrade.core.recovery import nodes as recovery_nodes
from ctmupgrade.core.recovery.scene import JOINING, Diagnosis, OperatorInput, Scene, scene_of
from ctmupgrade.core.releases import backup_fits
from ctmupgrade.core.run.past_runs import RunHistory
from ctmupgrade.core.timing import BACKUP_S

__all__ = ["JOINING", "Diagnosis", "OperatorInput", "diagnose", "renumbered", "without_data"]


def diagnose(
    facts: Facts,
    cluster: Cluster,
    known: OperatorInput,
    past: RunHistory | None = None,
    options: Options | None = None,
) -> Diagnosis:
    """The diagnosis of what was seen.

    :param past: what this machine's journals tell.
    :param options: of the command line; they shape the steps that finish an upgrade.
    """
    found = Diagnosis()
    scene = scene_of(facts, cluster, known, past or RunHistory(), options or Options())
    busy = [n for n, f in facts.nodes.items() if isinstance(f.processes, tuple) and f.processes]
    if busy:
        found.wrong.append(f"ks_upgrade.sh runs on {', '.join(busy)}")
        found.advice.append(
            "leave it alone: never reboot a node meanwhile; ctmupgrade resume follows its own run"
        )
        _works(found, scene)
        return found
    recovery_nodes.unfinished_upgrades(found, scene)
    recovery_nodes.services(found, scene)
    if cluster.strategy is StrategyName.STANDALONE:
        for name in scene.silent:
            found.blame(name, f"{name} does not answer")
        found.advice += ["bring it back at its console; a backup is no use before it answers"] * bool(
            scene.silent
        )
        recovery_nodes.reboots(found, scene)
        recovery_unwell.unwell(found, scene)
    else:
        recovery_cluster.gone(found, scene)
        recovery_nodes.reboots(found, scene)
        recovery_cluster.membership(found, scene)
        recovery_unwell.unwell(found, scene)
        _versions(found, scene)
    _backup_first(found, scene)
    _works(found, scene)
    if found.support or len(scene.silent) == len(facts.nodes):
        found.support = True
        found.advice += list(_restores(facts.manifests, cluster))
        found.advice.append("vendor support; ctmupgrade report --bundle FILE packs what they will ask for")
    return found


def without_data(facts: Facts, cluster: Cluster, known: OperatorInput, past: RunHistory) -> tuple[str, ...]:
    """The nodes that cannot be relied on to hold the cluster's data: for the guard."""
    scene = scene_of(facts, cluster, known, past, Options())
    joining = {n for n, m in scene.members.items() if m.code in JOINING}
    ready = {n for n, m in scene.members.items() if m.ready}
    return tuple(n for n in facts.nodes if n in (past.emptied - ready) | joining | set(scene.silent))


ERASING = (RemoveNode, ResetNode, JoinNode, NewCluster, DeleteClusterConfig)


def _backup_first(found: Diagnosis, scene: Scene) -> None:
    """Before anything is removed or erased, a fresh backup and its key lie here: of the node whose data stays."""
    first = next((i for i, s in enumerate(found.steps) if isinstance(s.action, ERASING)), -1)
    if first < 0 or any(check == "backup_downloaded_with_key" for check, _ in scene.options.skips):
        return
    holder = next((s.node for s in found.steps if isinstance(s.action, NewCluster)), scene.via)
    if fresh_manifest(scene.facts, holder):
        return
    if scene.facts.backups_possible:
        found.steps = []
        found.advice.append(
            f"nothing is removed or erased before a backup of {holder} lies here, and none can be made: "
            f"{scene.facts.backups_possible} (--skip backup_downloaded_with_key=REASON waives it)"
        )
        return
    step = found.steps[first]
    why = "before anything is removed or erased: no fresh downloaded backup with its key"
    backup = Step(f"backup:{holder}", holder, MakeBackup(), why, step.after, BACKUP_S)
    found.steps[first : first + 1] = [backup, replace(step, after=(backup.id,))]


def _works(found: Diagnosis, scene: Scene) -> None:
    nodes = scene.facts.nodes
    bad = {p.node for p in health.service_problems(nodes)}
    good = [n for n in nodes if n not in scene.silent and n not in bad]
    found.works.append(f"serving: {', '.join(good)}" if good else "no node serves")
    members = [n for n in good if n in scene.members and scene.members[n].ready]
    if scene.via and len(members) > 1:
        others = "" if len(members) == len(nodes) else "; clients of the others must use these"
        found.works.append(f"a cluster of {', '.join(members)}{others}")
    elif scene.via:
        found.works.append(f"{scene.via} alone is a cluster: no high availability")
    elif good and not scene.all_named and scene.cluster.strategy is not StrategyName.STANDALONE:
        found.works.append("each by itself: what clients write to one of them does not reach the others")


def _versions(found: Diagnosis, scene: Scene) -> None:
    """A cluster that is well but for its versions: the upgrade is finished like any other."""
    nodes, target = scene.facts.nodes, scene.cluster.target.version
    versions = {n: f.version for n, f in nodes.items() if not isinstance(f.version, Unknown)}
    if len({v.release for v in versions.values()}) < 2:
        return
    found.wrong.append(f"mixed versions: {', '.join(f'{n} {v}' for n, v in versions.items())}")
    if found.steps:
        return  # those come first; what is left then is said then
    if scene.past.run:
        found.advice.append(f"finish the upgrade as soon as possible: ctmupgrade resume {scene.past.run}")
        return
    old = {v.release for v in versions.values() if not v.same_release(target)}
    if len(old) > 1 or any(release > target.release for release in old):
        newest = max(versions.values(), key=lambda v: v.release)
        found.advice.append(
            f"no way by itself: {_oldest(versions, target)} must first be brought to one version with the others "
            f"(the newest seen is {newest}): name that version's archive in cluster.yaml, then: ctmupgrade run"
        )
    elif scene.cluster.strategy is StrategyName.IN_PLACE and _all_members(scene) and not found.advice:
        found.finishing = True
        found.steps = list(in_place(scene.facts, scene.cluster, scene.options))
    else:
        found.advice.append("finish the upgrade as soon as possible: ctmupgrade run, once the rest is mended")


def _oldest(versions: Mapping[str, Version], target: Version) -> str:
    lowest = min(v.release for v in versions.values() if not v.same_release(target))
    return ", ".join(n for n, v in versions.items() if v.release == lowest)


def _all_members(scene: Scene) -> bool:
    return all(n in scene.members and scene.members[n].ready for n in scene.facts.nodes)


def _restores(manifests: Sequence[Manifest], cluster: Cluster) -> Iterator[str]:
    """Which downloaded backups an appliance of the old or the target's version could take."""
    usable = [m for m in manifests if not m.problem]
    for manifest in sorted(usable, key=lambda m: m.created, reverse=True)[:3]:
        made = Version.parse(manifest.version)
        fits = backup_fits(made, cluster.target.version)
        also = f" or {cluster.target.version.short}" if fits else ""
        yield (
            f"a backup of {manifest.node} from {manifest.created:%Y-%m-%d %H:%M} ({manifest.file}) restores on a fresh "
            f"appliance of {made.short}{also}, never on an older one: ksctl backupkeys upload --file {manifest.key_file}; "
            f"ksctl backup upload --file {manifest.file}; ksctl backup restore --id ID; wait until all services are up "
            "before any join"
        )


def renumbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps with ids that occur once."""
    seen: dict[str, int] = {}
    made = []
    for step in steps:
        seen[step.id] = seen.get(step.id, 0) + 1
        made.append(step if seen[step.id] == 1 else replace(step, id=f"{step.id}:{seen[step.id]}"))
    return tuple(made)
