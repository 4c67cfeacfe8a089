"""Commands for while and after a run: status, watch, pause, abort, node, report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import AFTER, cluster_name, only_said, opened, registry, request_of
from ctmupgrade.cli.options import OutFile, RunId
from ctmupgrade.cli.output import fold, format_of, need_file, printed_too, put_json, write_out
from ctmupgrade.cli.place import of_run, placed, placed_report
from ctmupgrade.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ctmupgrade.commands.control import Said
    from ctmupgrade.commands.status import Standing
    from ctmupgrade.core.run.report import Report

decisions = registry.group(
    "node", AFTER, "Decide what happens with a stuck node; the journal keeps the decision."
)

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="say why; the journal keeps it")]
RunArg = Annotated[str, typer.Argument(metavar="RUN", help="its id, the beginning of it, or latest")]
NodeArg = Annotated[str, typer.Argument(metavar="NODE", help="the node that is stuck")]


@registry.command(AFTER)
def status(common: Common, run_id: RunId = None) -> int:
    """Show where a run is, from the journal alone."""
    from ctmupgrade.commands.status import standing_of
    from ctmupgrade.render import documents, show
    from ctmupgrade.render.progress_document import progress_document
    from ctmupgrade.render.status import status_lines

    found = standing_of(request_of(common), cluster_name(common, run_id), run_id)
    state = found.view.state
    there = of_run(common, state.files)
    made = placed_report(found.report, there)
    if common.shown is Format.JSON:
        more = {"process_running": found.running, "progress": progress_document(found.view, found.news)}
        put_json({**documents.report_document(made), **more})
        return 0
    width = shutil.get_terminal_size().columns if common.shown is Format.RICH else 0
    show.run_lines(status_lines(made, found.view, found.news, width), made, common.shown)
    for line in _who_runs_it(found, made, there):
        typer.echo(line)
    return 0


def _who_runs_it(found: Standing, made: Report, there: Common) -> list[str]:
    """Whether an unfinished run goes on, and how to go on with it where it does not."""
    state = found.view.state
    if not state.unfinished:
        return []
    advised = any(step.remedy for step in made.steps)  # each remedy ends in how to go on
    how = "" if advised else placed(f": ctmupgrade resume {state.run}", there)
    elsewhere = f"a process of {found.view.doing.by} runs it"
    here = "a process runs it now" if found.running else elsewhere
    return [f"  {here}" if found.view.alive else f"  no process runs it{how}"]


@registry.command(AFTER)
def runs(common: Common) -> int:
    """List every run that is known here: id, cluster, what it was, when it began, its outcome."""
    from ctmupgrade.commands.choose import every_run
    from ctmupgrade.core.run.listed import table
    from ctmupgrade.render import documents

    found = every_run(request_of(common))
    if common.shown is Format.JSON:
        put_json({"schema": 1, "runs": [documents.listed_document(one) for one in found]})
        return 0
    for line in table(found) if found else ["there is no run here yet"]:
        typer.echo(line)
    return 0


@registry.command(AFTER)
def watch(common: Common, run_id: RunId = None) -> int:
    """Follow a run that another shell runs, until it ends or pauses."""
    from ctmupgrade.cli.following import followed
    from ctmupgrade.commands.status import standing_of
    from ctmupgrade.render import documents, show
    from ctmupgrade.render.status import took_of

    request = request_of(common)
    state = followed(common, request, cluster_name(common, run_id), run_id)
    found = standing_of(request, cluster_name(common, state.run), state.run)
    there = of_run(common, state.files)
    made = placed_report(found.report, there)
    if common.shown is Format.JSON:
        put_json(documents.report_document(made), lines=True)
    else:
        show.report(
            made, common.shown, told=show.told_as_it_went(common.shown), took=took_of(found.view.rows)
        )
        for line in _who_runs_it(found, made, there):
            typer.echo(line)
    return 0


def _stop(common: Common, run_id: str | None, what: Literal["pause", "abort"]) -> int:
    from ctmupgrade.cli.questions import AS_IT_IS, ask, at_terminal
    from ctmupgrade.commands import control
    from ctmupgrade.commands.status import state as state_of_run
    from ctmupgrade.core.run.journal import RunState
    from ctmupgrade.core.run.remaining import what_is_left

    def confirm(state: RunState) -> bool:
        if common.yes or not at_terminal(common):
            return True
        lines = fold(common, what_is_left(state))
        return ask("End this run for good? It cannot be resumed then.", lines, no=AS_IT_IS)

    cluster = cluster_name(common, run_id)
    control.refuse_to_guess(request_of(common), cluster, run_id, what)
    if common.dry_run:
        _folder, state, _running = state_of_run(request_of(common), cluster, run_id, going=True)
        return only_said(common, {"request": what}, f"{state.run} would be asked to {what}")
    return _said(
        common, {"request": what}, control.ask_stop(request_of(common), cluster, run_id, what, confirm)
    )


def _said(common: Common, words: dict[str, str], said: Said) -> int:
    lines = [placed(line, of_run(common, said.files)) for line in said.lines]
    if common.shown is Format.JSON:
        put_json({"schema": 1, **words, "said": "\n".join(lines)})
    else:
        for line in fold(common, lines):
            typer.echo(line)
    return 0


@registry.command(AFTER)
def pause(common: Common, run_id: RunId = None) -> int:
    """Stop a run after the step in hand; from another shell."""
    return _stop(common, run_id, "pause")


@registry.command(AFTER)
def abort(common: Common, run_id: RunId = None) -> int:
    """End a run for good after the step in hand; what was done stays.

    On a terminal it says what is left and asks; --yes answers. Without a terminal it is done at once.
    """
    return _stop(common, run_id, "abort")


def _decide(
    common: Common, run: str, node: str, decision: Literal["retry", "skip", "done"], reason: str
) -> int:
    from ctmupgrade.cli.questions import AS_IT_IS, ask, at_terminal
    from ctmupgrade.commands import control
    from ctmupgrade.core.run.decisions import Meaning, meaning_lines

    def confirm(meaning: Meaning) -> bool:
        if common.yes or not at_terminal(common):
            return True
        there = of_run(common, meaning.before.files)
        return ask(
            "Go on?", fold(common, [placed(line, there) for line in meaning_lines(meaning)]), no=AS_IT_IS
        )

    request, cluster = request_of(common), cluster_name(common, run)
    if common.dry_run:
        folder, meaning, _running = control.what_it_means(request, cluster, run, node, decision)
        words = {"node": node, "decision": decision}
        would = f"{node} of {folder.run} would be decided: {decision}. {' '.join(meaning_lines(meaning))}"
        return only_said(common, words, placed(would.rstrip("."), of_run(common, meaning.before.files)))
    said = control.decide(request, cluster, run, node, decision, reason, confirm)
    return _said(common, {"node": node, "decision": decision}, said)


@decisions.command("Decisions")
def retry(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """Run the failed step again."""
    return _decide(common, run, node, "retry", reason)


@decisions.command("Decisions")
def skip(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """Do nothing more on this node."""
    return _decide(common, run, node, "skip", reason)


@decisions.command("Decisions")
def done(common: Common, run: RunArg, node: NodeArg, reason: Reason) -> int:
    """Count the failed step as done: you have made sure of it yourself. The run goes on with the next one."""
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
        str,
        typer.Option("--head", metavar="HASH", help="with --verify: make sure that the journal ends in HASH"),
    ] = "",
    sign: Annotated[
        str, typer.Option("--sign", metavar="KEY", help="sign FILE: an ssh key's file or a gpg fingerprint")
    ] = "",
    verify_signature: Annotated[
        Path | None, typer.Option("--verify-signature", metavar="FILE", help="check a signed report")
    ] = None,
    signed_by: Annotated[
        str,
        typer.Option(
            "--signed-by", metavar="KEY", help="name the signer: a public ssh key or a gpg fingerprint"
        ),
    ] = "",
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="write a tar.gz (a zip where FILE ends in .zip) for vendor support, secrets removed",
        ),
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option("--live", metavar="FILE", help="keep an HTML file fresh until the run ends or pauses"),
    ] = None,
) -> int:
    """Write what happened, as Markdown, HTML (-o FILE.html) or JSON."""
    from ctmupgrade.cli import evidence
    from ctmupgrade.commands.status import report_of

    evidence.one_thing({
        "--live": live, "--bundle": bundle, "--verify-signature": verify_signature or signed_by,
        "--verify": verify or head, "-o": output,
    })  # fmt: skip
    if live is not None:
        from ctmupgrade.cli.serve import keep_file

        return keep_file(common, run_id, live)
    if bundle is not None:
        need_file(bundle, "--bundle")
        return _bundle(common, run_id, bundle)
    if verify_signature is not None or signed_by:
        return evidence.check_signature(common, verify_signature, signed_by)
    if verify or head:
        return evidence.check_chain(common, run_id, head)
    if sign and output is None:
        raise UsageError("--sign signs a file, and none is named", remedy="report -o FILE --sign KEY")
    format_of(output, ".md", ".markdown", ".html", ".htm", ".json")
    made, state, _running = report_of(request_of(common), cluster_name(common, run_id), run_id)
    made = placed_report(made, of_run(common, state.files))
    text = evidence.report_text(made, common, output)
    if sign and output is not None:
        evidence.write_signed(text, output, sign)
    else:
        write_out(text, output)
    if output is not None and printed_too(common, output):
        write_out(evidence.report_text(made, common, None), None)
    return 0


def _bundle(common: Common, run_id: str | None, target: Path) -> int:
    """Whatever can be had goes into it: without a run, without cluster.yaml, with nodes that do not answer."""
    from ctmupgrade.commands.bundle import bundle
    from ctmupgrade.commands.choose import find

    folder, reason = None, ""
    try:
        cluster = cluster_name(common, run_id)
    except UsageError:  # a file that is gone: the journal of the latest run is still worth having
        cluster = None
    try:
        folder = find(request_of(common), cluster, run_id)
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
