"""``backup --verify`` and ``backup --prune``: the backups on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import request_of
from ctmupgrade.cli.output import put_json
from ctmupgrade.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.kept_backups import KeptBackup
    from ctmupgrade.core.model import Options


def refuse_mixed(common: Common, options: Options, *, verify: bool, prune: bool, keep: int) -> None:
    """Refuse what does not go together. :raises UsageError: it says what does."""
    if verify and (prune or keep):
        raise UsageError(
            "--verify and --prune are two commands",
            remedy="ctmupgrade backup --verify, then --prune --keep N",
        )
    if prune != bool(keep):
        raise UsageError("--prune and --keep belong together", remedy="ctmupgrade backup --prune --keep 3")
    from ctmupgrade.core.model import Options

    word = "--verify" if verify else "--prune"
    if options != Options():  # who wrote --nodes ctm-1 must not lose the backups of the others
        raise UsageError(
            f"{word} is for all backups of the cluster on this machine: --nodes, --order, --skip and --parallel are for a "
            "backup that is made",
            remedy="leave them out",
        )
    if common.simulate:
        raise UsageError(
            f"{word} looks at the backups on this machine, and a simulated cluster has none here",
            remedy="leave --simulate out",
        )


def verify(common: Common) -> int:
    """Do ``backup --verify``: 0 where there are backups and all are whole, 3 where there is none, 5 where one is damaged."""
    from ctmupgrade.commands.backups import kept
    from ctmupgrade.render import kept_backups

    found = kept(request_of(common))
    if common.shown is Format.JSON:
        put_json(kept_backups.document(found))
    else:
        typer.echo("\n".join(kept_backups.lines(found)))
    if found.damaged or found.unread:
        return ExitCode.FAILED
    return ExitCode.DONE if found.backups else ExitCode.BLOCKED


def prune(common: Common, keep: int) -> int:
    """Do ``backup --prune --keep N``: show what would go and why the rest stays, ask, remove."""
    from ctmupgrade.cli.questions import ask
    from ctmupgrade.commands import backups
    from ctmupgrade.render import kept_backups

    json = common.shown is Format.JSON
    request = request_of(common)
    chosen = backups.prunable(request, keep)
    for line in kept_backups.prune_lines(chosen, keep):
        typer.echo(line, err=json)
    gone: tuple[KeptBackup, ...] = ()
    if chosen and not common.dry_run:
        if not common.yes and not ask("Remove them?", no="nothing is removed", json=json):
            typer.echo("nothing was removed", err=json)
            return ExitCode.PAUSED
        gone = backups.prune(request, chosen, keep)
    if json:
        put_json(kept_backups.prune_document(chosen, gone, dry_run=common.dry_run))
    else:
        typer.echo(f"removed: {len(gone)}" if not common.dry_run else "DRY-RUN: nothing was removed")
    return ExitCode.DONE
