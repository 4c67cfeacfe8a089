"""``drill``: proves on a spare appliance that a downloaded backup and its key restore. Nothing of the cluster is changed."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

from ctmupgrade.actions.backup import password_problem
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.collect.counts import count_of
from ctmupgrade.commands.check import CheckResult
from ctmupgrade.commands.restore import backup_named
from ctmupgrade.commands.restore_memory import past_states
from ctmupgrade.commands.run import Outcome, RunOptions, begin, end, execute_plan
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import hold_cluster, new_run_id, unfinished
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.config.addresses import host as host_of
from ctmupgrade.core.kept_backups import newer_ones
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.looks.holding import Holding, Holds, Journals, holding_of
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.drill import drill_notes, drill_steps, spare_of, spare_only
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.restore_choice import Lost, RestoreChoice, chosen
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.spare import listed_by, spare_problem, was_member
from ctmupgrade.errors import BlockedError, ExitCode, UnreachableError, UsageError

COMMAND = "ctmupgrade drill"


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """What was asked for. :ivar on: NAME=HOST of the spare. :ivar backup, force: as for a restore."""

    on: str
    backup: Path | None = None
    force: bool = False

    @property
    def spare(self) -> tuple[str, str]:
        """Return name and address of the spare. :raises UsageError: it is not NAME=HOST."""
        name, sign, host = self.on.partition("=")
        try:
            if (
                not sign
                or not name.strip()
                or not name.replace("-", "").replace("_", "").replace(".", "").isalnum()
            ):
                raise ValueError("NAME=HOST is expected")
            return name.strip(), host_of(host.strip())
        except ValueError as error:
            raise UsageError(f"--on {self.on}: {error}", remedy="--on spare=10.0.0.99") from None


def drill(setup: Setup, wishes: RunOptions, asked: DrillRequest) -> Outcome:
    """Look, plan, ask, restore onto the spare, prove, reset.

    :raises UsageError: no NAME=HOST. :raises LockedError: another run works on this cluster.
    :raises BlockedError: the spare is or was a member, or may be; the backup cannot be used or does not fit.
    :raises UnreachableError: the spare does not answer.
    """
    name, host = asked.spare  # refused before anything is looked at
    run_id = new_run_id(setup.home)
    wishes = replace(wishes, what=RunKind.DRILL)
    with hold_cluster(setup, run_id):
        for folder, state in unfinished(setup.home, Mode.LIVE) if setup.mode is Mode.LIVE else ():
            if not state.custody.away:
                raise BlockedError(
                    f"run {folder.run} of {setup.cluster.name} is unfinished ({state.name})",
                    remedy=f"ctmupgrade resume {folder.run}   or   ctmupgrade abort {folder.run}",
                )
        return _drill(setup, wishes, asked, with_spare_alone(setup, name, host), run_id)


def _drill(setup: Setup, wishes: RunOptions, asked: DrillRequest, apart: Setup, run_id: str) -> Outcome:
    Marks(apart, run_id, wishes.take_over, COMMAND).respect()
    plan, facts = planned(setup, apart, asked)
    result = CheckResult(facts, ())
    if setup.mode is Mode.DRY_RUN:
        state, folder = begin(apart, wishes, plan, run_id)
        return end(folder, state, "dry-run", apart, result)
    if not wishes.confirm_plan(plan, result):
        return Outcome(ExitCode.PAUSED, result=result, why="not confirmed; nothing was changed")
    return replace(execute_plan(apart, wishes, plan, run_id), result=result)


def with_spare_alone(setup: Setup, name: str, host: str) -> Setup:
    """Return the same tools for a cluster that is the spare alone: no other node is marked, asked as one that is to be changed,
    or changed. Looks still reach the cluster's own nodes.

    :raises BlockedError: by cluster.yaml it is no spare.
    """
    if problem := spare_problem(setup.cluster, name, host):
        raise BlockedError(
            f"no drill on {name}: {problem}",
            remedy="name a spare appliance that is not, and never was, a node of the cluster: --on spare=HOST",
        )
    spare = spare_only(setup.cluster, name, host)
    setup.learn(replace(setup.cluster, fresh=spare.nodes))  # so that looks reach both
    apart = copy(setup)
    apart.cluster = spare
    return apart


def resumed(setup: Setup, state: RunState) -> Setup:
    """Return what a run is gone on with: a drill has a cluster of its own. :raises BlockedError: by cluster.yaml it is no spare."""
    if kind_of(state) is not RunKind.DRILL:
        return setup
    try:
        return with_spare_alone(setup, *spare_of(state.plan))
    except ValueError:
        raise BlockedError(
            f"the plan of run {state.run} is not one that ctmupgrade would make: it is a drill without a spare",
            remedy=f"ctmupgrade abort {state.run}",
        ) from None


def planned(setup: Setup, apart: Setup, asked: DrillRequest) -> tuple[Plan, Facts]:
    """Return the plan, and what it was made from. It only looks. :raises BlockedError: there is none."""
    manifest = backup_named(setup, asked.backup)
    if problem := password_problem(setup.cluster):
        name = setup.cluster.backup.key_password_env or "CTM_BACKUP_KEY_PASSWORD"
        raise BlockedError(f"the backup key cannot be opened: {problem}", remedy=f"export {name}=...")
    living = collect_nodes(setup.fleet, replace(setup.cluster, fresh=()), setup.clock, setup.tools.gather)
    nodes = collect_nodes(apart.fleet, apart.cluster, setup.clock, setup.tools.gather)
    (spare,) = nodes.values()
    members = _who_tells(setup, living)
    host = apart.cluster.nodes[0].host
    states = [state.plan for state in past_states(setup)]
    _refuse_member(setup, spare, host, living if members else {}, was_member(spare, states))
    held = _held(apart, spare)
    choice = _chosen(apart, nodes, held, manifest, force=asked.force)
    facts = Facts(setup.clock.now(), nodes, Unknown("no archive is needed"), setup.tools.store.manifests())
    notes = tuple(drill_notes(choice, members, facts.at))
    notes += tuple(newer_ones(facts.manifests, manifest))
    made = plan_of(drill_steps(choice, host, members), facts, apart.cluster, setup.request.options, notes)
    return replace(made, without_data=(spare.name,)), facts


def _who_tells(setup: Setup, living: Mapping[str, NodeFacts]) -> tuple[str, ...]:
    """The nodes that say who is a member: those that list the members; of a standalone appliance itself, which says that it is
    in no cluster."""
    if setup.cluster.strategy is StrategyName.STANDALONE:
        told = {n: f.membership for n, f in living.items()}
        return tuple(n for n, own in told.items() if not isinstance(own, Unknown) and not own.clustered)
    return tuple(n for n, f in living.items() if not isinstance(f.members, Unknown) and f.node_id)


def _refuse_member(
    setup: Setup, spare: NodeFacts, host: str, living: Mapping[str, NodeFacts], known: str
) -> None:
    """:raises BlockedError: it is or was a member, or nobody can tell."""
    if not living:
        raise BlockedError(
            f"no node of {setup.cluster.name} lists its members, so nobody can say that {spare.name} is none of them",
            remedy="ctmupgrade check; if the whole cluster is lost: ctmupgrade restore",
        )
    if why := listed_by(spare, host, setup.cluster, living) or known:
        raise BlockedError(
            f"no drill on {spare.name}: {why}; a drill overwrites and erases its appliance",
            remedy="name a spare appliance that never was a node of the cluster: --on spare=HOST",
        )


def _held(apart: Setup, spare: NodeFacts) -> Holding:
    """What the spare holds. :raises BlockedError: anything but nothing. :raises UnreachableError: it does not answer."""
    membership = spare.membership
    alone = not isinstance(membership, Unknown) and not membership.clustered
    held = holding_of(spare, count_of(apart.fleet.control(spare.name)) if alone else {}, Journals(), {})
    if held.state is Holds.NOTHING:
        return held
    if held.state is Holds.DATA:
        what = "is a member of a cluster" if held.member else "is not empty"
        raise BlockedError(
            f"no drill on {spare.name}: it {what}: {held.why}",
            remedy=f"name an appliance that is new; or, where nothing on {spare.name} is needed: ksctl services reset   # on it",
        )
    kind = UnreachableError if held.state is Holds.SILENT else BlockedError
    raise kind(
        f"no drill on {spare.name}: {held.why}",
        remedy=f"make it answer first; nothing on {spare.name} was changed",
    )


def _chosen(
    apart: Setup, nodes: Mapping[str, NodeFacts], held: Holding, manifest: Manifest, *, force: bool
) -> RestoreChoice:
    """:raises BlockedError: the backup does not fit its release or its HSM."""
    (name,) = nodes
    found = chosen(Lost(apart.cluster, nodes, {name: held}, (), force), manifest, name)
    if isinstance(found, RestoreChoice):
        return found
    more = [f"{one.why}{f' -> {one.remedy}' if one.remedy else ''}" for one in found[1:]]
    raise BlockedError(found[0].why, details="\n".join(more), remedy=found[0].remedy)
