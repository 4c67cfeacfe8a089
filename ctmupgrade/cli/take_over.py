"""A run that goes to a colleague, or to another machine: handover, take-over."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import AFTER, need_cluster_file, opened, registry
from ctmupgrade.cli.options import NodeRate, Rate, RunId
from ctmupgrade.cli.output import fold, need_file, put_json
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.commands.handover import HandedOver
    from ctmupgrade.core.run.summary import Summary

File = Annotated[Path, typer.Argument(metavar="FILE", help="the packed run")]


@registry.command(AFTER)
def handover(
    common: Common,
    file: File,
    run_id: RunId = None,
    without_backups: Annotated[
        bool, typer.Option("--without-backups", help="only say where the backups and their keys are")
    ] = False,
) -> int:
    """Pack a paused or dead run into FILE, for another machine to go on with it."""
    from ctmupgrade.commands import handover as handing

    need_file(file, "handover")
    need_cluster_file(common, run_id, f"handover {shlex.quote(str(file))}")
    with opened(common) as made:
        done = handing.handover(made, run_id, file, with_backups=not without_backups)
    if common.shown is Format.JSON:
        put_json({"schema": 1, **_document(done, common)})
    else:
        _tell(done, common)
    return 0


@registry.command(AFTER, name="take-over")
def take_over(
    common: Common,
    file: File,
    stop_after: Annotated[
        str, typer.Option("--stop-after", metavar="NODE", help="pause when it is done")
    ] = "",
    limit_rate: Rate = "",
    limit_rate_per_node: NodeRate = "",
) -> int:
    """Go on with a run that another machine packed into FILE; that machine refuses it from then on."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import take_over as taking

    offered = taking.read_offered(file)
    json = common.shown is Format.JSON
    for line in fold(common, _page(offered.summary)):
        typer.echo(line, err=json)
    path = common.cluster or Path("cluster.yaml")
    if not common.dry_run and common.simulate is None and taking.place_cluster_file(offered, path):
        typer.echo(f"the run's cluster.yaml was put here: {path.absolute()}; its paths must be right on this machine",
                   err=json)  # fmt: skip
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file", remedy="name the cluster's file with -c FILE")
    with opened(common, rates=(limit_rate, limit_rate_per_node)) as made:
        with wishes(common, made, stop_after=stop_after) as wish:
            outcome = taking.take_over(made, wish, offered)
        return finish(common, made, outcome)


def _page(summary: Summary) -> list[str]:
    lines = [f"{summary.title}: run {summary.run}, {summary.state}"]
    for heading, sentences in summary.parts:
        lines += [f"{heading}:", *(f"  {sentence}" for sentence in sentences or ("nothing",))]
    return lines


def _document(done: HandedOver, common: Common) -> dict[str, object]:
    summary = {heading.lower(): list(sentences) for heading, sentences in done.summary.parts}
    return {
        "run": done.run, "file": None if common.dry_run else str(done.file), "digest": done.digest, "summary": summary,
        "offered_by": list(done.nodes),
        "backups": [
            {"node": one.node, "file": one.file, "key_file": one.key_file, "included": done.included} for one in done.backups
        ],
    }  # fmt: skip


def _tell(done: HandedOver, common: Common) -> None:
    from ctmupgrade.commands.handover import backup_lines

    for line in fold(common, [*_page(done.summary), *backup_lines(done)]):
        typer.echo(line)
    if common.dry_run:
        typer.echo(f"{done.run} would be packed into {done.file}; nothing was changed")
        return
    name = shlex.quote(done.file.name)
    typer.echo(
        f"written: {done.file} (0600: it holds the journal{' and the backups' if done.included else ''})"
    )
    typer.echo(
        f"{done.run} is offered by {', '.join(done.nodes)} to whoever has this file. On the other machine:"
    )
    typer.echo(f"  ctmupgrade take-over {name}")
    if done.own_node:
        typer.echo(
            f"cluster.yaml calls {done.own_node} `local`, which is this machine: put its address there instead (host: ADDRESS)"
        )
