"""A run that is resumed, held against cluster.yaml, and against the plan that we would make: its aim never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ctmupgrade.collect.ask import ask
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.new_instances import with_fresh
from ctmupgrade.core.plan.steps import Reboot, RunUpgrade, StageArchive, Step, VerifyArchive
from ctmupgrade.core.run.again import again_command, recover_command
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.same_plan import foreign_steps
from ctmupgrade.errors import BlockedError, ConfigError, UsageError


def learn_of_run(setup: Setup, state: RunState) -> None:
    """Add to the cluster what the run's command line said: new instances (``--fresh``) and ``--strategy``."""
    setup.cluster = replace(setup.cluster, strategy=state.plan.strategy)
    names = {node.name for node in setup.cluster.nodes}
    pairs = tuple(pair for pair in state.plan.options.fresh if pair[0] in names)
    if pairs:
        setup.learn(with_fresh(setup.cluster, pairs))


def refuse_other_cluster(cluster: Cluster, state: RunState) -> None:
    """Make sure that the run's target and nodes are still those of cluster.yaml.

    :raises BlockedError: they are not; what differs is named.
    """
    target, planned = cluster.target, state.plan.target
    here = {node.name for node in (*cluster.nodes, *cluster.fresh)}
    compared = (
        ("target.version", str(target.version) != planned.version),
        ("target.archive", target.archive.name != planned.archive),
        ("target.signer", target.signer != planned.signer),
        ("nodes", here != set(state.plan.versions)),
    )
    different = [what for what, differs in compared if differs]
    if different:
        raise BlockedError(
            f"cluster.yaml is no longer that of run {state.run}: {', '.join(different)}",
            remedy=f"put it back as it was; or: ctmupgrade abort {state.run}; then: {again_command(state)}",
        )


def refuse_missing_archive(setup: Setup, steps: Iterable[Step]) -> None:
    """Make sure that the archive is here where a step that is to be done needs it. A backup, a restore and a drill need none,
    nor does what is left of a run behind its last upgrade.

    :raises ConfigError: it is not, or its keyring.
    """
    needing = VerifyArchive | StageArchive | RunUpgrade
    if setup.request.simulate or not any(isinstance(step.action, needing) for step in steps):
        return
    target = setup.cluster.target
    for key, path in (("archive", target.archive), ("keyring", target.keyring)):
        if path is not None and not path.is_file():
            raise ConfigError(
                f"target.{key}: there is no file {path}",
                remedy="put it there: this run upgrades a node with it; nothing was done",
            )


def refuse_foreign_plan(cluster: Cluster, state: RunState, vouched: Callable[[], bool]) -> None:
    """Make sure that the steps of a run are those that this program planned when it began.

    :param vouched: whether a node keeps the head of this very journal, or the plan is made again; only asked where the steps cannot be made again
        from what the journal says: an earlier version planned otherwise, or it is a recovery, which follows from much
        that no journal keeps.
    :raises BlockedError: they are not; what differs is named.
    """
    different = foreign_steps(state, cluster)
    recovery = kind_of(state) is RunKind.RECOVER and state.mode is Mode.LIVE
    if not (different or recovery) or vouched():
        return
    if different:
        raise BlockedError(
            f"the plan in the journal of run {state.run} is not one that ctmupgrade would make: {different[0]}",
            details="\n".join(different[1:20]),
            remedy=f"find out who wrote to the journal; then: ctmupgrade abort {state.run}; then: {again_command(state)}",
        )
    raise BlockedError(
        f"no node that answers keeps the head of the journal of run {state.run}, so that nothing vouches for its steps",
        remedy=f"{recover_command(state)}   # looks again at what is wrong; the way back that it takes then ends this run",
    )


def own_node_is_last(setup: Setup, state: RunState) -> None:
    """Refuse to go on from an appliance whose reboot would end us while others are still to be upgraded: the run was begun
    elsewhere, or before cluster.yaml called that node ``local``. In a rebuild the survivor's reboot is in its place.

    :raises BlockedError: it would.
    """
    own = setup.cluster.own_node
    if not own or state.plan.strategy is StrategyName.REBUILD:
        return
    left = [
        step.node
        for step in state.plan.steps
        if isinstance(step.action, RunUpgrade | Reboot)
        and state.steps[step.id].status not in (Status.DONE, Status.SKIPPED)
    ]
    if own in left and left[-1] != own:
        raise BlockedError(
            f"run {state.run} upgrades {own} before {left[-1]}, and ctmupgrade would end with the reboot of {own}, on which it "
            "runs (host: local)",
            remedy=f"go on with it on another machine than {own}, by {own}'s address",
        )


def own_node_is_this_machine(setup: Setup, state: RunState) -> None:
    """Refuse a run of another machine whose ``host: local`` would mean another appliance here, or none.

    :raises UsageError: nothing shows that this machine is the own node: it has no boot id that the run has seen there.
    """
    own = setup.cluster.own_node
    if not own:
        return
    boot = ask(setup.fleet.shell(own), shell_probes.BOOT)
    if isinstance(boot, BootMark) and boot.boot_id and boot.boot_id in boots_of(state, own):
        return
    raise UsageError(
        f"{own} is called `local` in {setup.request.cluster}, and nothing shows that this machine is {own}: its boot id is "
        "none that the run has seen there",
        remedy=f"host: ADDRESS   # of {own} in {setup.request.cluster}; then the same command again",
    )


def boots_of(state: RunState, name: str) -> set[str]:
    """Return the boot ids that a run has seen on a node; "" and "?" may be among them, which no node has."""
    marks = {state.plan.basis.get(f"{name}: boot", "")}
    for step in state.plan.steps:
        if step.node == name and step.id in state.steps:
            held = state.steps[step.id]
            marks |= {_boot_id(held.before.get("boot", "")), held.evidence.get("boot", "")}
    return marks


def _boot_id(text: str) -> str:
    try:
        return BootMark.of_text(text).boot_id
    except (ValueError, TypeError):  # a journal that somebody has written to
        return ""
