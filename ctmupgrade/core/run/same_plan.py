"""A plan that is read from a journal, held against the one that would be made from what the journal itself tells.

Whoever can write a journal can write any steps into it, also such that follow each other neatly. So the steps are made
again, from the versions, ids, options and target that the plan says it was made from; nothing but what this program
would plan is gone on with. What only the nodes can tell is asked of them by the interlocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.cluster_views import Membership
from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, NodeFacts, SystemInfo, Unknown
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.differences import differences
from ctmupgrade.core.plan.drill import drill_steps, spare_of
from ctmupgrade.core.plan.new_instances import fresh_name
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore import restore_steps
from ctmupgrade.core.plan.restore_actions import (
    CompareCounts,
    EraseNode,
    ProveRestore,
    RestoreBackup,
    UploadKey,
)
from ctmupgrade.core.plan.restore_choice import RestoreChoice
from ctmupgrade.core.plan.steps import Gate, JoinNode, MakeBackup, StageArchive, Step, VerifyArchive
from ctmupgrade.core.plan.strategies import preparation, steps_for
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.version import Version


def foreign_steps(state: RunState, cluster: Cluster) -> tuple[str, ...]:
    """Return in words how the steps of a run differ from those that would be planned; nothing where they are equal.

    Of a recovery nothing is said: what it was made from is not in the journal.

    :param cluster: cluster.yaml's, with the strategy of the run.
    """
    plan = state.plan
    if not plan.steps or kind_of(state) is RunKind.RECOVER:
        return ()
    try:
        ours = _steps(state, cluster)
    except (KeyError, IndexError, ValueError):
        return ("steps: no plan can be made from what the journal says of the nodes",)
    return tuple(differences(_document(plan.steps), _document(ours)))


def _document(steps: Sequence[Step]) -> dict[str, object]:
    """What steps do, as plain data; their reasons and estimates are prose."""
    deeds = [
        {"id": s.id, "node": s.node, "action": asdict(s.action), "after": list(s.after), "holders": s.holders}
        for s in steps
    ]
    return {"id": "", "basis": {}, "steps": deeds}


def _steps(state: RunState, cluster: Cluster) -> tuple[Step, ...]:
    """The steps that would be planned."""
    plan, kind = state.plan, kind_of(state)
    old = [name for name in plan.versions if name not in {fresh_name(one) for one, _ in plan.options.fresh}]
    cluster = replace(cluster, nodes=tuple(cluster.node(name) for name in old), strategy=plan.strategy)
    facts, options = _facts(state, old, cluster), plan.options
    if kind is RunKind.RESTORE:
        return restore_steps(_choice(state), cluster, options)
    if kind is RunKind.DRILL:
        compared = next(
            (s.action for s in plan.steps if isinstance(s.action, CompareCounts)), CompareCounts(())
        )
        return drill_steps(_choice(state), spare_of(plan)[1], compared.members)
    if kind in (RunKind.STAGE, RunKind.BACKUP):
        return tuple(_alone(kind, preparation(facts, replace(options, skips=()), plan.nodes)))
    if plan.strategy is StrategyName.REBUILD and not options.survivor:
        # It is chosen by free space, which the journal does not keep. Its gate names it.
        named = next((step.node for step in plan.steps if isinstance(step.action, Gate)), "")
        options = replace(options, survivor=named)
    return steps_for(facts, cluster, options)


def _choice(state: RunState) -> RestoreChoice:
    """What a restore decided, by its own steps; that they may be done is asked of the nodes. :raises ValueError: no restore."""
    steps = state.plan.steps
    restoring = next((s for s in steps if isinstance(s.action, RestoreBackup)), None)
    proof = next((s.action for s in steps if isinstance(s.action, ProveRestore)), None)
    key = next((s.action for s in steps if isinstance(s.action, UploadKey)), None)
    if restoring is None or proof is None or key is None or not isinstance(restoring.action, RestoreBackup):
        raise ValueError("no restore")
    deed = restoring.action
    made = Manifest(
        "", deed.made_on, deed.backup_id, key.key_id, state.started, deed.file, "",
        sha256=deed.sha256, counts=dict(proof.counts),
    )  # fmt: skip
    joiners = tuple(s.node for s in steps if isinstance(s.action, JoinNode))
    erased = {s.node: "" for s in steps if isinstance(s.action, EraseNode)}
    return RestoreChoice(made, restoring.node, "", joiners, erased, deed.gone, deed.force)


def _alone(kind: RunKind, steps: Iterator[Step]) -> Iterator[Step]:
    """What ``stage`` or ``backup`` takes of the preparation."""
    for step in steps:
        if kind is RunKind.BACKUP and isinstance(step.action, MakeBackup):
            yield replace(step, after=())
        if kind is RunKind.STAGE and isinstance(step.action, StageArchive | VerifyArchive):
            yield step


def _facts(state: RunState, names: Sequence[str], cluster: Cluster) -> Facts:
    """What the plan says that it was made from. A node that the plan backs up had no fresh backup; that each has one
    before it is changed is asked of this machine's disk."""
    plan = state.plan
    backed_up = {step.node for step in plan.steps if isinstance(step.action, MakeBackup)}
    kept = tuple(
        Manifest(name, "", "kept", "", state.started, "", "", downloaded=state.started)
        for name in names
        if name not in backed_up
    )
    archive = ArchiveFacts(plan.target.size, plan.target.sha256, plan.target.signer)
    nodes = {name: _node(plan, name) for name in names}
    return Facts(state.started, nodes, archive, kept, max_backup_age=cluster.backup.max_age)


def _node(plan: Plan, name: str) -> NodeFacts:
    version, node_id = plan.versions[name], plan.basis.get(f"{name}: cluster id", "")
    system = SystemInfo(Version.parse(version)) if version else Unknown("it was not known")
    return NodeFacts(name, system=system, membership=Membership(node_id, "r" if node_id else "none"))
