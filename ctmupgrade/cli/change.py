"""Commands that change nodes: run, resume, stage, backup, recover, restore, drill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade.cli.given import Common
from ctmupgrade.cli.opening import CHANGE, need_cluster_file, opened, registry
from ctmupgrade.cli.options import AcceptPartial, Faults, NodeRate, Pace, Rate, RunId, WaitForWindow, split
from ctmupgrade.cli.progress import progress
from ctmupgrade.cli.rehearsal import faults_of, lists_faults, pace_of
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.model import Options


TakeOver = Annotated[
    str, typer.Option("--take-over", metavar="RUN", help="take over another operator's dead run")
]
BackupFile = Annotated[
    Path | None,
    typer.Option("--backup", metavar="FILE", help="restore this backup, not the newest that is whole"),
]
AnyRelease = Annotated[
    bool, typer.Option("--force", help="restore onto a release for which the vendor says no")
]


@registry.command(CHANGE)
def run(
    common: Common,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="execute a plan that `plan -o FILE` wrote")
    ] = None,
    stop_after: Annotated[
        str, typer.Option("--stop-after", metavar="NODE", help="pause when this node is done")
    ] = "",
    confirm_each: Annotated[bool, typer.Option("--confirm-each", help="ask before every node")] = False,
    take_over: TakeOver = "",
    accept_partial: AcceptPartial = False,
    wait_for_window: WaitForWindow = False,
    limit_rate: Rate = "",
    limit_rate_per_node: NodeRate = "",
    fault: Faults = None,
    pace: Pace = "",
    *,
    options: Options,
) -> int:
    """Check, plan, ask, then upgrade.

    Without a terminal nobody can be asked: without --yes it ends with exit code 2 before anything is changed. A rehearsal
    (--simulate) goes on.
    """
    if lists_faults(common, fault):
        return 0
    faults, speed = faults_of(common, fault), pace_of(common, pace)
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import plan_file as plan_files
    from ctmupgrade.commands import run as running

    reviewed = plan_files.read_plan(plan_file) if plan_file else None
    options = plan_files.with_options_of(reviewed, options) if reviewed else options
    with opened(common, options, rates=(limit_rate, limit_rate_per_node), pace=speed) as made:
        with wishes(
            common,
            made,
            reviewed=reviewed,
            stop_after=stop_after,
            confirm_each=confirm_each,
            take_over=take_over,
            accept_partial=accept_partial,
            wait_for_window=wait_for_window,
            faults=faults,
        ) as wish:
            outcome = running.run(made, wish)
        return finish(common, made, outcome)


@registry.command(CHANGE)
def resume(
    common: Common,
    run_id: RunId = None,
    stop_after: Annotated[
        str, typer.Option("--stop-after", metavar="NODE", help="pause when this node is done")
    ] = "",
    confirm_each: Annotated[bool, typer.Option("--confirm-each", help="ask before every node")] = False,
    accept_partial: AcceptPartial = False,
    wait_for_window: WaitForWindow = False,
    limit_rate: Rate = "",
    limit_rate_per_node: NodeRate = "",
    fault: Faults = None,
    pace: Pace = "",
) -> int:
    """Go on from where a run stopped, after any crash.

    On a terminal it says what is left and asks; --yes answers. Without a terminal, as in a job, it goes on: the run was
    agreed to when it began.
    """
    if lists_faults(common, fault):
        return 0
    faults, speed = faults_of(common, fault), pace_of(common, pace)
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import resume as resuming

    need_cluster_file(common, run_id, "resume")
    with opened(common, rates=(limit_rate, limit_rate_per_node), needs_archive=False, pace=speed) as made:
        with wishes(
            common,
            made,
            stop_after=stop_after,
            confirm_each=confirm_each,
            accept_partial=accept_partial,
            wait_for_window=wait_for_window,
            faults=faults,
        ) as wish:
            outcome = resuming.resume(made, wish, run_id)
        return finish(common, made, outcome)


@registry.command(CHANGE)
def stage(
    common: Common, limit_rate: Rate = "", limit_rate_per_node: NodeRate = "", *, options: Options
) -> int:
    """Upload and verify the archive on every node, before the window."""
    return _prepare(common, options, "stage", (limit_rate, limit_rate_per_node))


@registry.command(CHANGE)
def backup(
    common: Common,
    verify: Annotated[
        bool, typer.Option("--verify", help="verify what was downloaded; no node is asked")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="remove old backups from this machine; no node is asked")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=1, help="with --prune: keep the newest N of each node"),
    ] = None,
    *,
    options: Options,
) -> int:
    """Create and download a system backup and its key from each node that needs one. With --verify, exit 0 means that all
    that were downloaded are whole."""
    if verify or prune or keep:
        from ctmupgrade.cli import backups

        backups.refuse_mixed(common, options, verify=verify, prune=prune, keep=keep or 0)
        return backups.verify(common) if verify else backups.prune(common, keep or 0)
    return _prepare(common, options, "backup")


def _prepare(common: Common, options: Options, what: str, rates: tuple[str, str] = ("", "")) -> int:
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import prepare
    from ctmupgrade.core.plan.steps import MakeBackup, StageArchive

    with opened(common, options, rates=rates, purpose="PREPARE", needs_archive=what == "stage") as made:
        with wishes(common, made) as wish:
            outcome = prepare.prepare_only(made, wish, StageArchive if what == "stage" else MakeBackup)
        return finish(common, made, outcome)


@registry.command(CHANGE)
def recover(
    common: Common,
    gone: Annotated[
        str, typer.Option("--gone", metavar="A,B", help="give up these nodes: they are lost for good")
    ] = "",
    rejoin: Annotated[
        str, typer.Option("--rejoin", metavar="A,B", help="take these nodes out, reset them, join them again")
    ] = "",
    take_over: Annotated[
        str,
        typer.Option(
            "--take-over",
            metavar="RUN",
            help="take over RUN of another operator, or after its journal was lost",
        ),
    ] = "",
    pin: Annotated[
        str,
        typer.Option(
            "--pin", metavar="ID", help="with --yes: act only if nothing has changed since ID was printed"
        ),
    ] = "",
    *,
    options: Options,
) -> int:
    """Find out what is wrong with a cluster and propose the way back; with --yes, take it. Exit 0: nothing is wrong; 3: a
    way back is proposed; 6: a person must decide."""
    from ctmupgrade.cli import recover as cli_recover
    from ctmupgrade.commands import recover as recovering
    from ctmupgrade.core.recovery.scene import OperatorInput

    known = OperatorInput(split(gone, "--gone"), split(rejoin, "--rejoin"), options.survivor)
    both = sorted({*known.gone} & {*known.rejoin})
    if both:
        raise UsageError(
            f"--gone and --rejoin both name {', '.join(both)}: a node that is gone for good cannot join again",
            remedy="name it in one of them",
        )
    asked = cli_recover.Asked(common, known, options, take_over, pin)
    with opened(common, options, looks_only=not common.yes, purpose="RECOVER", needs_archive=False) as made:
        if common.yes and not common.dry_run:
            recovering.refuse_running(made)
        with progress(common, made):
            found = recovering.look(made, known)
        cli_recover.show(asked, made, found)
        if not found.plan.steps:
            return found.code
        cli_recover.refuse_unread(asked, found)
        if common.dry_run:
            return found.code
        return cli_recover.take(asked, made, found)


@registry.command(CHANGE)
def restore(
    common: Common,
    on: Annotated[
        str, typer.Option("--on", metavar="NODE", help="restore the backup onto this node first")
    ] = "",
    backup_file: BackupFile = None,
    gone: Annotated[
        list[str] | None,
        typer.Option(
            "--gone",
            metavar="NODE",
            help="give this node up, with whatever data is on it (repeatable, or A,B)",
        ),
    ] = None,
    force: AnyRelease = False,
    shared_hsm_partition: Annotated[
        bool, typer.Option("--shared-hsm-partition", help="say that all nodes use one HSM partition")
    ] = False,
    take_over: TakeOver = "",
) -> int:
    """Bring a lost cluster back from a downloaded backup; refused while a node still has its data."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import restore as restoring
    from ctmupgrade.core.model import Options

    named = tuple(dict.fromkeys(name for one in gone or () for name in split(one, "--gone")))
    asked = restoring.RestoreRequest(on, backup_file, named, force)
    options = Options(shared_hsm_partition=shared_hsm_partition)
    with opened(common, options, purpose="RECOVER", needs_archive=False) as made:
        with wishes(common, made, take_over=take_over, command=restoring.COMMAND) as wish:
            outcome = restoring.restore(made, wish, asked)
        return finish(common, made, outcome)


@registry.command(CHANGE)
def drill(
    common: Common,
    on: Annotated[
        str,
        typer.Option(
            "--on", metavar="NAME=HOST", help="restore onto this spare appliance, which is reset after"
        ),
    ] = "",
    backup_file: BackupFile = None,
    force: AnyRelease = False,
    take_over: TakeOver = "",
) -> int:
    """Prove on a spare, unclustered appliance that a downloaded backup and its key restore; the spare is reset after. Nothing
    of the cluster is changed."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import drill as drilling

    if not on:
        raise UsageError("drill needs a spare appliance", remedy="ctmupgrade drill --on spare=10.0.0.99")
    with opened(common, purpose="RECOVER", needs_archive=False) as made:
        with wishes(common, made, take_over=take_over, command=drilling.COMMAND) as wish:
            outcome = drilling.drill(made, wish, drilling.DrillRequest(on, backup_file, force))
        return finish(common, made, outcome)
