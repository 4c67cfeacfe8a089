"""``restore``: brings a lost cluster back from a downloaded backup."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ctmupgrade.actions.backup import password_problem
from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.collect.collect import collect_nodes
from ctmupgrade.collect.counts import count_of
from ctmupgrade.commands.check import CheckResult
from ctmupgrade.commands.restore_memory import journals_for
from ctmupgrade.commands.run import Outcome, RunOptions, begin, end, execute_plan
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import hold_cluster, new_run_id, restore_world, unfinished
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.kept_backups import newer_ones
from ctmupgrade.core.ksctl import unverified
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.looks.holding import holding_of
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.restore import restore_notes, restore_steps
from ctmupgrade.core.plan.restore_choice import Lost, Refusal, RestoreChoice, chosen, newest_whole
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.errors import BlockedError, ExitCode, UsageError

COMMAND = "ctmupgrade restore"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What was asked for.

    :ivar on: the node that the backup is restored onto; "": the best one. :ivar backup: None: the newest whole one.
    :ivar gone: nodes that are given up by name, with whatever is on them. :ivar force: also onto a release for which the
        vendor says no."""

    on: str = ""
    backup: Path | None = None
    gone: tuple[str, ...] = ()
    force: bool = False

    @property
    def typed(self) -> str:
        """Return the command that was typed, without ``--gone``."""
        named = ["--backup", shlex.quote(str(self.backup))] if self.backup else []
        return " ".join(
            (COMMAND, *(["--on", self.on] if self.on else []), *named, *(["--force"] if self.force else []))
        )


def restore(setup: Setup, wishes: RunOptions, asked: RestoreRequest) -> Outcome:
    """Look, plan, ask, restore.

    :raises UsageError: a node that cluster.yaml lacks, or a file that is not there. :raises LockedError: another run works.
    :raises BlockedError: the cluster is not lost, no backup can be used, or it fits no node: every reason is told.
    """
    _refuse_unknown(setup, asked)
    run_id = new_run_id(setup.home)
    wishes = replace(wishes, what=RunKind.RESTORE)
    with hold_cluster(setup, run_id):
        return _restore(setup, wishes, asked, run_id)


def _refuse_unknown(setup: Setup, asked: RestoreRequest) -> None:
    names = {node.name for node in setup.cluster.nodes}
    wrong = sorted({*asked.gone, asked.on} - names - {""})
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: no such node in cluster.yaml", remedy=f"it has: {', '.join(sorted(names))}"
        )
    if asked.backup is not None and not asked.backup.is_file():
        raise UsageError(
            f"--backup {asked.backup}: there is no such file",
            remedy=f"ls {shlex.quote(str(asked.backup.parent))}",
        )


def _restore(setup: Setup, wishes: RunOptions, asked: RestoreRequest, run_id: str) -> Outcome:
    left = _stopped(setup)
    if left is not None and (left.path / "world.json").is_file():
        restore_world(left, setup)  # a simulated cluster, as the run that stopped has left it
    wishes = replace(wishes, take_over=(*wishes.take_over, *([left.run] if left else [])))
    Marks(setup, run_id, wishes.take_over, COMMAND).respect()
    plan, facts = planned(setup, asked)
    result = CheckResult(facts, ())
    if setup.mode is Mode.DRY_RUN:
        state, folder = begin(setup, wishes, plan, run_id)
        return end(folder, state, "dry-run", setup, result)
    if not wishes.confirm_plan(plan, result):
        return Outcome(ExitCode.PAUSED, result=result, why="not confirmed; nothing was changed")
    outcome = execute_plan(
        setup, wishes, plan, run_id, spared=asked.gone,
        marked=lambda: _end(setup, left, run_id) if left is not None else None,
    )  # fmt: skip
    return replace(outcome, result=result)


def _stopped(setup: Setup) -> RunFolder | None:
    """The run that stopped, whose place the restore takes: what it would do next was planned for a cluster that is lost.

    :raises BlockedError: it is a restore itself, which goes on.
    """
    mode = Mode.SIMULATED if setup.request.simulate else Mode.LIVE
    for folder, state in unfinished(setup.home, mode):
        if state.custody.away:
            continue
        if kind_of(state) is RunKind.RESTORE:
            raise BlockedError(
                f"run {folder.run} is a restore of {setup.cluster.name} that is unfinished ({state.name})",
                remedy=f"ctmupgrade resume {folder.run}   or   ctmupgrade abort {folder.run}",
            )
        return folder
    return None


def _end(setup: Setup, folder: RunFolder, run_id: str) -> None:
    ended = journal.RunEnded("taken-over", {}, f"restore took its place: {run_id}", run_id)
    setup.runs.append(folder.run, ended, setup.clock.now())


def planned(setup: Setup, asked: RestoreRequest) -> tuple[Plan, Facts]:
    """Return the plan, and what it was made from. It only looks. :raises BlockedError: there is none."""
    manifest = backup_named(setup, asked.backup)
    if problem := password_problem(setup.cluster):
        name = setup.cluster.backup.key_password_env or "CTM_BACKUP_KEY_PASSWORD"
        raise BlockedError(f"the backup key cannot be opened: {problem}", remedy=f"export {name}=...")
    nodes = collect_nodes(setup.fleet, setup.cluster, setup.clock, setup.tools.gather)
    facts = Facts(setup.clock.now(), nodes, Unknown("no archive is needed"), setup.tools.store.manifests())
    choice = _chosen(setup, asked, nodes, manifest)
    options = setup.request.options
    steps = restore_steps(choice, setup.cluster, options)
    notes = tuple(restore_notes(choice, facts.at))
    notes += tuple(newer_ones(facts.manifests, manifest))
    notes += tuple(f"{', '.join(names)}: {one.why}" for one, names in unverified(setup.cluster).items())
    made = plan_of(steps, facts, setup.cluster, options, notes)
    return replace(made, without_data=tuple(nodes)), facts


def _chosen(
    setup: Setup, asked: RestoreRequest, nodes: Mapping[str, NodeFacts], manifest: Manifest
) -> RestoreChoice:
    apart = [
        n for n, f in nodes.items() if not isinstance(f.membership, Unknown) and not f.membership.clustered
    ]
    counted = setup.tools.gather(lambda name: count_of(setup.fleet.control(name)), apart)
    journals = journals_for(setup)
    held = {n: holding_of(f, counted.get(n, {}), journals, manifest.counts) for n, f in nodes.items()}
    lost = Lost(setup.cluster, nodes, held, asked.gone, asked.force, asked.typed)
    found = chosen(lost, manifest, asked.on)
    if isinstance(found, RestoreChoice):
        return found
    raise _refused(found)


def _refused(refusals: Sequence[Refusal]) -> BlockedError:
    """The first reason, with what to do about it; the others as details."""
    more = [f"{one.why}{f' -> {one.remedy}' if one.remedy else ''}" for one in refusals[1:]]
    return BlockedError(refusals[0].why, details="\n".join(more), remedy=refusals[0].remedy)


def backup_named(setup: Setup, named_file: Path | None) -> Manifest:
    """Return the backup that is meant: the one in this file, or, where none is named, the newest whole one.

    :raises BlockedError: it cannot be used, or there is none.
    """
    store, folder = setup.tools.store, setup.cluster.backup.directory
    if named_file is not None:
        named = store.manifest_of(str(named_file.absolute()))
        if named is None:
            raise BlockedError(
                f"--backup {named_file}: no manifest of cluster {setup.cluster.name} is beside it, so that nothing proves "
                "what it is",
                remedy=f"ls {shlex.quote(str(folder))}/*.manifest.json   # those that can be used",
            )
        if named.problem:
            raise BlockedError(
                f"--backup {named_file}: {named.problem}",
                remedy="put the file back, or name another backup",
            )
        return named
    known = store.manifests()
    newest = newest_whole(known)
    if newest is None:
        raise BlockedError(
            f"no backup of {setup.cluster.name} in {folder} can be restored: {'none is whole' if known else 'there is none'}",
            details="\n".join(f"{one.node}, {one.created:%Y-%m-%d %H:%M}: {one.problem}" for one in known),
            remedy="bring a backup, its key and its manifest into that folder, or name it: --backup FILE",
        )
    return newest
