"""Which of the proposed steps win: one function weighs what all parts of the diagnosis found."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import fresh_manifest
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    DeleteClusterConfig,
    JoinNode,
    MakeBackup,
    NewCluster,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    Settle,
    Step,
    VerifyArchive,
    step,
)
from ctmupgrade.core.recovery.last_way import last_way
from ctmupgrade.core.recovery.nodes import collecting
from ctmupgrade.core.recovery.result import Advice, Part, in_order, merged
from ctmupgrade.core.recovery.scene import JOINING, Counts, Scene
from ctmupgrade.core.restorable import backup_fits
from ctmupgrade.core.timing import BACKUP_S
from ctmupgrade.core.version import Version

ERASING = (ResetNode, JoinNode)
CHANGING = (RemoveNode, ResetNode, JoinNode, NewCluster, DeleteClusterConfig)
HARMLESS = (RestartServices, Reboot, AwaitNode, Settle)  # of a node that nothing erases


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the caller knows besides the facts.

    :ivar unfinished: the run that stopped and whose place the way back would take; "".
    :ivar running: a process works on that run now.
    :ivar blocked: why an upgrade may not be finished now, by the checks; "".
    :ivar counts: how many keys and users each node tells now to have, by name; what is not told is not there.
    """

    unfinished: str = ""
    running: bool = False
    blocked: str = ""
    counts: Counts = field(default_factory=dict)


def decide(scene: Scene, found: Part, around: Circumstances) -> Part:
    """Return what is proposed in the end: the steps that may be taken, in their order, and all advice.

    Who forbids wins over who proposes: no node is erased where a part forbids it, nothing is removed or erased before
    a backup of the data that stays is here, and an upgrade is finished only when no check blocks it.
    """
    steps, advice = (() if around.running else found.steps), found.advice
    if found.forbids and any(isinstance(one.action, ERASING) for one in steps):
        steps, advice = _harmless(steps), advice + found.forbids
    if found.finishing and around.blocked:
        steps = ()
        advice += (Advice(f"the upgrade cannot be finished yet: {around.blocked}", ("ctmupgrade check",)),)
    lacking = _no_backup(scene, steps)
    if lacking:
        steps, advice = (), (*advice, lacking)
    if not found.finishing:  # an upgrade brings its own order
        steps = in_order(_backed_up(scene, _verified_once(steps)))
    advice = (*_about_the_run(around, advice, steps), *advice)
    support = found.support or len(scene.silent) == len(scene.facts.nodes)
    advice += () if around.running else last_way(scene, steps)
    if support:
        advice += (*_restores(scene.facts.manifests, scene.cluster), _ask_support(scene))
    return replace(found, steps=steps, advice=merged(advice), support=support)


def _harmless(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps that only restart nodes which nothing was to erase."""
    erased = {one.node for one in steps if isinstance(one.action, CHANGING)}
    return tuple(s for s in steps if isinstance(s.action, HARMLESS) and s.node not in erased)


def _verified_once(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps with the archive's verification only where it comes first."""
    verified = False
    for one in steps:
        if not (verified and isinstance(one.action, VerifyArchive)):
            yield one
        verified = verified or isinstance(one.action, VerifyArchive)


def _about_the_run(
    around: Circumstances, advice: Sequence[Advice], steps: Sequence[Step]
) -> tuple[Advice, ...]:
    """Return that a run works now or is unfinished, unless the advice says already how it goes on."""
    run = around.unfinished
    if around.running:
        text = "a run works on this cluster now, and may be the reason why a node is out: nothing else is done until it ends"
        return (Advice(f"{text}. Follow it", (f"ctmupgrade watch {run}".strip(),)),)
    resume = f"ctmupgrade resume {run}"
    if not run or (not steps and any(resume in one.commands for one in advice)):
        return ()
    ends = "; the way back ends it. To continue it instead" if steps else ". To continue it"
    return (Advice(f"run {run} is unfinished{ends}", (resume,)),)


# -- backups first ------------------------------------------------------------------------------------------


def _waived(scene: Scene) -> bool:
    return any(check == "backup_downloaded_with_key" for check, _ in scene.options.skips)


def _holder(scene: Scene, steps: Sequence[Step]) -> str:
    """Return the node whose data stays."""
    return next((s.node for s in steps if isinstance(s.action, NewCluster)), scene.via)


def _no_backup(scene: Scene, steps: Sequence[Step]) -> Advice | None:
    """Return why nothing may be removed or erased: no backup is here, and none can be made."""
    possible = not scene.facts.backups_possible
    if possible or _waived(scene) or not any(isinstance(s.action, CHANGING) for s in steps):
        return None
    holder = _holder(scene, steps)
    if fresh_manifest(scene.facts, holder):
        return None
    return Advice(
        f"nothing is removed or erased until a backup of {holder} is on this machine, and none can be made: "
        f"{scene.facts.backups_possible} (--skip backup_downloaded_with_key=REASON waives it)"
    )


def _backed_up(scene: Scene, steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps with a backup of the data that stays before anything is removed or erased, and one of each node
    right before it is erased, where it holds data of its own that can be backed up."""
    given = tuple(steps)
    if _waived(scene):
        yield from given
        return
    holder = _holder(scene, given)
    saved = {s.node for s in given if isinstance(s.action, MakeBackup)}
    for one in given:
        if isinstance(one.action, CHANGING) and holder not in saved:
            saved.add(holder)
            if not fresh_manifest(scene.facts, holder):
                why = "before anything is removed or erased: no fresh backup with its key is on this machine"
                yield step(MakeBackup(), holder, why, BACKUP_S)
        if isinstance(one.action, ResetNode) and one.node not in saved and keeps_own_data(scene, one.node):
            saved.add(one.node)
            why = "before it is erased: it may have data that no other node has"
            yield step(MakeBackup(), one.node, why, BACKUP_S)
        yield one


def keeps_own_data(scene: Scene, name: str) -> bool:
    """Return whether a node holds data that a backup can still save: healthy, and not erased before, nor by a join that is
    under way, and not without any key by what it tells: where no backup can be made, nothing is lost. What its membership says does not count: one that others call down or killed may have been written to.
    A backup that is here, however young, may be from before it left."""
    member = scene.members.get(name)
    return (
        (member is None or member.code not in JOINING)
        and (name not in scene.emptied or name in scene.partial)
        and not scene.as_new(name)
        and scene.healthy(name)
        and not scene.facts.backups_possible
    )


# -- vendor support -----------------------------------------------------------------------------------------


def _ask_support(scene: Scene) -> Advice:
    return Advice("ask vendor support. To collect what they will ask for", (collecting(scene),))


def _restores(manifests: Sequence[Manifest], cluster: Cluster) -> Iterator[Advice]:
    """Yield which downloaded backups an appliance of the old or the target's version could take."""
    usable = [m for m in manifests if not m.problem]
    for manifest in sorted(usable, key=lambda m: m.created, reverse=True)[:3]:
        made = Version.parse(manifest.version)
        fits = backup_fits(made, cluster.target.version)
        also = f" or {cluster.target.version.short}" if fits else ""
        yield Advice(
            f"a backup of {manifest.node} from {manifest.created:%Y-%m-%d %H:%M} ({manifest.file}) can be restored on a new "
            f"appliance on {made.short}{also}, never on an older version; wait until all its services are started before any join",
            (
                f"ksctl backupkeys upload --file {shlex.quote(manifest.key_file)}",
                f"ksctl backup upload --file {shlex.quote(manifest.file)}",
                "ksctl backup restore --id ID",
            ),
        )
