"""Commands for while and after a run: status, watch, pause, abort, node, report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctmupgrade.cli.opening import AFTER, cluster_name, only_said, opened, registry, request_of
from ctmupgrade.cli.options import Common, Format, OutFile, RunId
from ctmupgrade.cli.output import put_json, write_out
from ctmupgrade.errors import ConfigError, UsageError

if TYPE_CHECKING:
    pass

decisions = registry.group("node", AFTER, "An operator's decision on a stuck node, kept in the journal.")

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; it is kept in the journal")]
RunArg = Annotated[str, typer.Argument(metavar="RUN")]
NodeArg = Annotated[str, typer.Argument(metavar="NODE")]


@registry.command(AFTER)
def status(common: Common, run_id: RunId = None) -> int:
    """Where a run stands, from the journal alone."""
    from ctmupgrade.commands.status import report_of
    from ctmupgrade.render import documents, show

    made, state, running = report_of(request_of(common), cluster_name(common), run_id)
    if common.shown is Format.JSON:
        put_json({**documents.report_document(made), "process_running": running})
        return 0
    show.report(made, common.shown)
    if state.unfinished:
        typer.echo(
            "  a process runs it now" if running else f"  no process runs it: ctmupgrade resume {state.run}"
        )
    return 0


@registry.command(AFTER)
def watch(common: Common, run_id: RunId = None) -> int:
    """Follows a run that another shell runs, until it ends or pauses."""
    from ctmupgrade.commands.status import report_of
    from ctmupgrade.commands.watch import follow
    from ctmupgrade.render import documents, show

    request = request_of(common)
    with show.watching("json" if common.shown is Format.JSON else "plain") as seen:
        state = follow(request, cluster_name(common), run_id, seen, time.sleep)
    made, _state, _running = report_of(request, cluster_name(common), state.run)
    if common.shown is Format.JSON:
        put_json(documents.report_document(made), lines=True)
    else:
        show.report(made, common.shown)
    return 0


def _stop(common: Common, run_id: str | None, what: Literal["pause", "abort"]) -> int:
    from ctmupgrade.commands import control
    from ctmupgrade.commands.status import state as state_of_run

    cluster = cluster_name(common)
    control.refuse_to_guess(request_of(common), cluster, run_id, what)
    if common.dry_run:
        _folder, state, _running = state_of_run(request_of(common), cluster, run_id)
        return only_said(common, {"request": what}, f"{state.run} would be asked to {what}")
    said = control.ask_stop(request_of(common), cluster, run_id, what)
    if common.shown is Format.JSON:
        put_json({"schema": 1, "request": what, "said": said})
    else:
        typer.echo(said)
    return 0


@registry.command(AFTER)
def pause(common: Common, run_id: RunId = None) -> int:
    """Stops a run after the step in hand; from another shell."""
    return _stop(common, run_id, "pause")


@registry.command(AFTER)
def abort(common: Common, run_id: RunId = None) -> int:
    """Ends a run for good after the step in hand; what was done stays."""
    return _stop(common, run_id, "abort")


def _decide(
    common: Common, run: str, node: str, decision: Literal["retry", "skip", "done"], reason: str
) -> int:
    from ctmupgrade.commands import control
    from ctmupgrade.commands.status import state as state_of_run

    if common.dry_run:
        _folder, state, _running = state_of_run(request_of(common), cluster_name(common), run)
        if node not in state.plan.versions:
            raise UsageError(f"{node}: run {state.run} has no such node", remedy="ctmupgrade status")
        words = {"node": node, "decision": decision}
        return only_said(common, words, f"{node} of {state.run} would be decided: {decision}")
    said = control.decide(request_of(common), run, node, decision, reason)
    if common.shown is Format.JSON:
        put_json({"schema": 1, "node": node, "decision": decision, "said": said})
    else:
        typer.echo(said)
    return 0


@decisions.command("Decisions")
def retry(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """The stuck step is begun anew."""
    return _decide(common, run, node, "retry", reason)


@decisions.command("Decisions")
def skip(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """All that is left to do on the node is left undone."""
    return _decide(common, run, node, "skip", reason)


@decisions.command("Decisions")
def done(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """The stuck step counts as done: you have made sure of it yourself."""
    return _decide(common, run, node, "done", reason)


@registry.command(AFTER)
def report(
    common: Common,
    run_id: RunId = None,
    output: OutFile = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="check the journal's hash chain; exit 5 if broken")
    ] = False,
    head: Annotated[
        str, typer.Option("--head", metavar="HASH", help="with --verify: what the journal must end in")
    ] = "",
    sign: Annotated[
        str, typer.Option("--sign", metavar="KEY", help="sign FILE: an ssh key's file or a gpg fingerprint")
    ] = "",
    verify_signature: Annotated[
        Path | None, typer.Option("--verify-signature", metavar="FILE", help="check a signed report")
    ] = None,
    signed_by: Annotated[
        str, typer.Option("--signed-by", metavar="KEY", help="the signer's public ssh key or gpg fingerprint")
    ] = "",
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="a tar.gz for vendor support, secrets removed"),
    ] = None,
) -> int:
    """What happened, as Markdown, HTML (-o FILE.html) or JSON."""
    from ctmupgrade.cli import evidence
    from ctmupgrade.commands.status import report_of

    if bundle is not None:
        return _bundle(common, run_id, bundle)
    if verify_signature is not None or signed_by:
        return evidence.check_signature(common, verify_signature, signed_by)
    if verify or head:
        return evidence.check_chain(common, run_id, head)
    if sign and output is None:
        raise UsageError("--sign signs a file, and none is named", remedy="report -o FILE --sign KEY")
    made, _state, _running = report_of(request_of(common), cluster_name(common), run_id)
    text = evidence.report_text(made, common, output)
    if sign and output is not None:
        evidence.write_signed(text, output, sign)
    else:
        write_out(text, output)
    return 0


def _bundle(common: Common, run_id: str | None, target: Path) -> int:
    """Whatever can be had goes into it: without a run, without cluster.yaml, with nodes that do not answer."""
    from ctmupgrade.commands.bundle import bundle
    from ctmupgrade.commands.runs import find

    folder, reason = None, ""
    try:
        folder = find(request_of(common), cluster_name(common), run_id)
    except UsageError:
        if run_id is not None:
            raise
    try:
        with opened(common, looks_only=True) as made:
            packed = bundle(made, folder, target)
    except ConfigError as error:
        reason = error.brief
        packed = bundle(None, folder, target, reason)
    if common.shown is Format.JSON:
        put_json(
            {"schema": 1, "bundle": str(target), "files": sorted(packed.files), "missing": packed.missing}
        )
        return 0
    typer.echo(f"{target}: {len(packed.files)} files: {', '.join(sorted(packed.files))}")
    for name, why in packed.missing.items():
        typer.echo(f"  not in it: {name}: {why}")
    return 0
