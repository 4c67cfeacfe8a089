"""The command line: parse, call one function of ``app``, render, exit code. Decides nothing.

Imports of ``app`` stand inside the commands, so that ``--help`` loads neither paramiko nor gnupg; a command
is made into a parser only when it is called (:mod:`ctmupgrade.cli.parser`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade import __version__
from ctmupgrade.cli.funnel import funnel
from ctmupgrade.cli.options import Common, Format, no_empty_values, with_common
from ctmupgrade.cli.output import as_text, put_json, write_out
from ctmupgrade.cli.parser import group_of
from ctmupgrade.cli.shared import CHANGE, LOOK, NodeRate, OutFile, Rate, RunId, _setup, shelf

if TYPE_CHECKING:
    from ctmupgrade.core.model import Options

app = typer.Typer(
    name="ctmupgrade",
    help="Upgrades clusters of Thales CipherTrust Manager appliances over SSH, one node at a time, and goes on "
    "after any crash. First: init, check, plan, stage. In the window: run. After anything: resume.",
    cls=group_of(shelf),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctmupgrade {__version__}")
        raise typer.Exit


@app.callback()
@with_common
def root(
    common: Common,
    version: Annotated[
        bool,
        typer.Option("--version", help="the version, and nothing else", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Common options may stand here or after the command."""


@shelf.command(LOOK)
def check(
    common: Common,
    listing: Annotated[bool, typer.Option("--list", help="the checks and what they make sure")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="this check alone; may be repeated")
    ] = None,
    *,
    options: Options,
) -> int:
    """Every check, all nodes at once. Exit 0 when nothing blocks and nothing is unknown."""
    from ctmupgrade.core.checks.catalogue import CHECKS

    if listing:
        if common.shown is Format.JSON:
            put_json(
                {
                    "schema": 1,
                    "checks": [{"id": c.id, "title": c.title, "waivable": c.waivable} for c in CHECKS],
                }
            )
        else:
            width = max(len(c.id) for c in CHECKS)
            for c in CHECKS:
                typer.echo(f"{c.id:{width}}  {c.title}{'' if c.waivable else '  (cannot be skipped)'}")
        return 0
    from ctmupgrade.commands import check as looking
    from ctmupgrade.render import documents, show

    with _setup(common, options, looks_only=True) as made:
        result = looking.check(made, only=only or (), hashed=False)
        if common.shown is Format.JSON:
            put_json(documents.check_document(made.cluster, made.mode, result.facts, result.findings))
        else:
            show.findings(result.findings, common.shown, verbose=common.verbose)
    return result.code


@shelf.command(LOOK)
def plan(
    common: Common,
    output: OutFile = None,
    *,
    options: Options,
) -> int:
    """Checks, then the steps with reasons, order, estimated times and what users will notice."""
    from ctmupgrade.codec import plan_to_json
    from ctmupgrade.commands import check as looking
    from ctmupgrade.render import show

    with _setup(common, options, looks_only=True) as made:
        result, planned = looking.plan(made)
        document = plan_to_json(planned)
        if output is not None:
            write_out(as_text(document), output)
        if common.shown is Format.JSON:
            if output is None:
                put_json(document)
        else:
            show.findings(result.findings, common.shown, verbose=common.verbose)
            show.plan(planned, common.shown)
    return result.code


@shelf.command(LOOK)
def verify(
    common: Common,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE")],
    signer: Annotated[str, typer.Option("--signer", metavar="FPR", help="instead of cluster.yaml's")] = "",
    keyring: Annotated[
        Path | None, typer.Option("--keyring", metavar="FILE", help="public key(s) to use")
    ] = None,
) -> int:
    """Signature, signer, size, sha256 and version of an archive."""
    from ctmupgrade.commands.verify import verify_archive
    from ctmupgrade.render.signature import signed_document

    signed, version = verify_archive(
        archive, signer, keyring, cluster=common.cluster or Path("cluster.yaml"), simulate=common.simulate
    )
    document = signed_document(signed, version)
    if common.shown is Format.JSON:
        put_json(document)
    else:
        for key in ("archive", "version", "size", "sha256", "signer", "signing_key", "signed_at", "verdict"):
            typer.echo(f"{key:12} {document[key]}")
    return 0


@shelf.command(CHANGE)
def run(
    common: Common,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="a plan made before")
    ] = None,
    stop_after: Annotated[
        str, typer.Option("--stop-after", metavar="NODE", help="pause when it is done")
    ] = "",
    confirm_each: Annotated[bool, typer.Option("--confirm-each", help="ask before every node")] = False,
    take_over: Annotated[
        str, typer.Option("--take-over", metavar="RUN", help="another operator's dead run")
    ] = "",
    limit_rate: Rate = "",
    limit_rate_per_node: NodeRate = "",
    *,
    options: Options,
) -> int:
    """Checks, plans, asks, executes."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import run as running

    with _setup(common, options, rates=(limit_rate, limit_rate_per_node)) as made:
        with wishes(
            common,
            made,
            plan_file=plan_file,
            stop_after=stop_after,
            confirm_each=confirm_each,
            take_over=take_over,
        ) as wish:
            outcome = running.run(made, wish)
        return finish(common, made, outcome)


@shelf.command(CHANGE)
def resume(
    common: Common,
    run_id: RunId = None,
    stop_after: Annotated[
        str, typer.Option("--stop-after", metavar="NODE", help="pause when it is done")
    ] = "",
    confirm_each: Annotated[bool, typer.Option("--confirm-each", help="ask before every node")] = False,
    limit_rate: Rate = "",
    limit_rate_per_node: NodeRate = "",
) -> int:
    """Goes on from where a run stopped, after any crash."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import run as running

    with _setup(common, rates=(limit_rate, limit_rate_per_node)) as made:
        with wishes(common, made, stop_after=stop_after, confirm_each=confirm_each) as wish:
            outcome = running.resume(made, wish, run_id)
        return finish(common, made, outcome)


@shelf.command(CHANGE)
def stage(
    common: Common, limit_rate: Rate = "", limit_rate_per_node: NodeRate = "", *, options: Options
) -> int:
    """Uploads and verifies the archive on every node, before the window."""
    return _prepare(common, options, "stage", (limit_rate, limit_rate_per_node))


@shelf.command(CHANGE)
def backup(common: Common, options: Options) -> int:
    """Creates and downloads a system backup and its key from each node that needs one."""
    return _prepare(common, options, "backup")


def _prepare(common: Common, options: Options, what: str, rates: tuple[str, str] = ("", "")) -> int:
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import run as running
    from ctmupgrade.core.plan.steps import MakeBackup, StageArchive

    with _setup(common, options, rates=rates, purpose="PREPARE") as made:
        with wishes(common, made) as wish:
            outcome = running.prepare_only(made, wish, StageArchive if what == "stage" else MakeBackup)
        return finish(common, made, outcome)


def main() -> int:
    """The installed program."""
    import ctmupgrade.cli.runs  # noqa: F401 - registers the commands for while and after a run

    return funnel(_program)


def _program() -> object:
    words = sys.argv[1:]
    no_empty_values(words)
    # Where no options stand before a command's name, those of the program and of the group need no look:
    # typer would load the validation library for them, also where only the command's help is wanted.
    command, rest = shelf.find(words)
    if command is None:
        return app(standalone_mode=False)
    name = " ".join(("ctmupgrade", *words[: len(words) - len(rest)]))
    return command.main(list(rest), prog_name=name, standalone_mode=False)
