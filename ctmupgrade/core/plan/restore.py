"""A lost cluster from a backup, as a graph: onto one node, proven, a new cluster, then the others one at a time.

Nothing joins, and no cluster is made, before the restore is proven to have ended: joined earlier, other nodes may not
boot again (vendor page "Clusters and Nodes"). That is an interlock too (:mod:`ctmupgrade.core.run.restore_order`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan import common_steps
from ctmupgrade.core.plan.restore_actions import (
    EraseNode,
    ProveRestore,
    RecallSettings,
    RestoreBackup,
    UploadBackup,
    UploadKey,
)
from ctmupgrade.core.plan.restore_choice import RestoreChoice
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, ResetNode, RestoreSettings, Step, step, step_id
from ctmupgrade.core.timing import JOIN_S, QUICK_S, RESTORE_S, SERVICES_S, clock_time


def restore_steps(choice: RestoreChoice, cluster: Cluster, options: Options) -> tuple[Step, ...]:
    """Return the whole graph."""
    return tuple(_steps(choice, cluster, options))


def _steps(choice: RestoreChoice, cluster: Cluster, options: Options) -> Iterator[Step]:
    first, nodes = choice.first, (choice.first, *choice.joiners)
    recalled = tuple(step_id("recall-settings", name) for name in nodes)
    for name in nodes:
        text = "its own settings, which no backup of another node has"
        yield step(RecallSettings(), name, text, QUICK_S)
    yield from steps_onto(choice, recalled)
    proof = (step_id("prove-restore", first),)
    yield step(RestoreSettings(), first, "set its time servers before the others join", QUICK_S, proof)
    back = last = step_id("restore-settings", first)
    if cluster.strategy is not StrategyName.STANDALONE:
        text = "the restored data becomes the new cluster's"
        yield step(NewCluster(), first, text, QUICK_S, (back, *proof), 1)
        last = step_id("new-cluster", first)
    for count, name in enumerate(choice.joiners, start=1):
        yield from _joined(choice, name, last, count, options)
        last = step_id("join", name)
    yield from (common_steps.comparison(name, (last,)) for name in nodes)


def steps_onto(choice: RestoreChoice, after: tuple[str, ...]) -> Iterator[Step]:
    """Yield the steps that bring the backup onto the first node, and its proof: the key first, so that a wrong password is
    known before anything is lost."""
    first, made = choice.first, choice.manifest
    key = UploadKey(made.key_id, made.file, made.sha256)
    opened = step(key, first, "proves that the password opens it, before anything is lost", QUICK_S, after)
    yield opened
    if first in choice.erased:
        text = "its data was given up by --gone"
        erasing = step(EraseNode(first=True), first, text, SERVICES_S, (opened.id,), 0)
        yield erasing
        opened = replace(
            step(key, first, "again: the reset has removed it", QUICK_S, (erasing.id,)), id=f"{opened.id}:2"
        )
        yield opened
    upload = UploadBackup(made.backup_id, made.file, made.sha256)
    yield step(upload, first, "the backup itself", QUICK_S, (opened.id,))
    deed = RestoreBackup(made.backup_id, made.file, made.sha256, made.version, choice.force, choice.gone)
    text = f"{choice.why or 'as chosen'}; overwrites its data"
    yield step(deed, first, text, RESTORE_S, (step_id("upload-backup", first),), 0)
    proof = ProveRestore(made.backup_id, made.sha256, tuple(sorted(made.counts.items())))
    text = "services started for a while, the restored login, as much data as the backup had"
    yield step(proof, first, text, SERVICES_S, (step_id("restore", first),), 0)


def _joined(choice: RestoreChoice, name: str, last: str, count: int, options: Options) -> Iterator[Step]:
    """One of the others: reset and joined, when the one before it is."""
    given_up = name in choice.erased
    text = "its data was given up by --gone" if given_up else "as the vendor recommends before a join"
    emptied = step(EraseNode() if given_up else ResetNode(), name, text, SERVICES_S, (last,), count)
    yield emptied
    yield step(RestoreSettings(), name, "set its time servers before the join", QUICK_S, (emptied.id,))
    waits = (step_id("restore-settings", name), last)
    joining = JoinNode(choice.first, options.shared_hsm_partition)
    yield step(joining, name, "one node at a time; copies the restored data", JOIN_S, waits, count)


def restore_notes(choice: RestoreChoice, now: datetime) -> Iterator[str]:
    """Yield what a person must know before saying yes: which backup, what is lost, what is left to do by hand."""
    made = choice.manifest
    lost = clock_time(max(0, round((now - made.made_at).total_seconds())))
    known = ", ".join(f"{count} {name}" for name, count in sorted(made.counts.items())) or "not written down"
    yield (
        f"backup {made.backup_id}: made by {made.node} on {made.version or 'an unknown release'} at "
        f"{made.made_at:%Y-%m-%d %H:%M %Z}, sha256 {made.sha256[:16]}..., key {made.key_id}; in it: {known}"
    )
    yield f"LOST: what clients wrote in the {lost} since then. Keys that were made in that time do not come back"
    yield f"onto {choice.first} first: {choice.why}"
    yield (
        "after the restore all nodes have the users and passwords of the backup: ksctl.password must be the one that the "
        "cluster had then, and a new appliance must be given the same first password before this"
    )
    if made.tied_to_hsm or made.hsm:
        tied = "the backup is tied to it" if made.tied_to_hsm else "domains that are anchored in it need it"
        yield f"HSM partition {', '.join(made.hsm or ()) or 'not written down'}: {tied}; the same root of trust on every node"
    if made.tied_to_hsm is None:
        yield "whether the backup is tied to an HSM is not known: if the cluster used one, set the same partition up first"
    for name, why in choice.erased.items():
        yield f"{name} was given up by name and is ERASED with all that is on it: {why}"
    for name, why in choice.left_out.items():
        yield f"{name} takes no part: {why}. Never let it serve clients again before: ctmupgrade recover --rejoin {name}"
    yield "licences are each node's own, and the lock codes of new appliances are new: what must be added is told at the end"
    yield "clients: they must be pointed at the new nodes; CTE clients are unenrolled before they register again"
    yield "at the end make a new backup of every node: ctmupgrade backup"
