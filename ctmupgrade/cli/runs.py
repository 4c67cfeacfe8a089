"""Commands for while and after a run, and those that write files: see :mod:`ctmupgrade.cli.app`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctmupgrade.cli.options import Common, Format, split
from ctmupgrade.cli.output import as_text, put_json, write_out
from ctmupgrade.cli.shared import AFTER, CHANGE, LOOK, OutFile, RunId, _request, _setup, shelf
from ctmupgrade.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.model import Options

decisions = shelf.group("node", AFTER, "An operator's decision on a stuck node, kept in the journal.")

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; it is kept in the journal")]
RunArg = Annotated[str, typer.Argument(metavar="RUN")]
NodeArg = Annotated[str, typer.Argument(metavar="NODE")]


def _cluster_name(common: Common) -> str | None:
    """The cluster's name where its file is there; a run can be looked at without it."""
    from ctmupgrade.config.load import load_cluster

    path = common.simulate / "cluster.yaml" if common.simulate else common.cluster
    if path is None or not path.is_file():
        return None
    return load_cluster(path, simulated=True).name


@shelf.command(AFTER)
def status(common: Common, run_id: RunId = None) -> int:
    """Where a run stands, from the journal alone."""
    from ctmupgrade.commands import control
    from ctmupgrade.core.run.report import make_report
    from ctmupgrade.render import documents, show

    _folder, state, running = control.state(_request(common), _cluster_name(common), run_id)
    made = make_report(state)
    if common.shown is Format.JSON:
        put_json({**documents.report_document(made), "process_running": running})
        return 0
    show.report(made, common.shown)
    if state.unfinished:
        typer.echo(
            "  a process runs it now" if running else f"  no process runs it: ctmupgrade resume {state.run}"
        )
    return 0


@shelf.command(AFTER)
def watch(common: Common, run_id: RunId = None) -> int:
    """Follows a run that another shell runs, until it ends or pauses."""
    from ctmupgrade.commands.watch import follow
    from ctmupgrade.core.run.report import make_report
    from ctmupgrade.render import documents, show

    request = _request(common)
    with show.watching("json" if common.shown is Format.JSON else "plain") as seen:
        state = follow(request, _cluster_name(common), run_id, seen, time.sleep)
    made = make_report(state)
    if common.shown is Format.JSON:
        put_json(documents.report_document(made), lines=True)
    else:
        show.report(made, common.shown)
    return 0


def _only_said(common: Common, words: Mapping[str, str], said: str) -> int:
    """What a dry run of a request says."""
    said = f"DRY-RUN: {said}; nothing was changed"
    if common.shown is Format.JSON:
        put_json({"schema": 1, **words, "mode": "DRY-RUN", "said": said})
    else:
        typer.echo(said)
    return 0


def _stop(common: Common, run_id: str | None, what: Literal["pause", "abort"]) -> int:
    from ctmupgrade.commands import control

    if common.dry_run:
        _folder, state, _running = control.state(_request(common), _cluster_name(common), run_id)
        return _only_said(common, {"request": what}, f"{state.run} would be asked to {what}")
    said = control.ask_stop(_request(common), _cluster_name(common), run_id, what)
    if common.shown is Format.JSON:
        put_json({"schema": 1, "request": what, "said": said})
    else:
        typer.echo(said)
    return 0


@shelf.command(AFTER)
def pause(common: Common, run_id: RunId = None) -> int:
    """Stops a run after the step in hand; from another shell."""
    return _stop(common, run_id, "pause")


@shelf.command(AFTER)
def abort(common: Common, run_id: RunId = None) -> int:
    """Ends a run for good after the step in hand; what was done stays."""
    return _stop(common, run_id, "abort")


def _decide(
    common: Common, run: str, node: str, decision: Literal["retry", "skip", "done"], reason: str
) -> int:
    from ctmupgrade.commands import control

    if common.dry_run:
        _folder, state, _running = control.state(_request(common), _cluster_name(common), run)
        if node not in state.plan.versions:
            raise UsageError(f"{node}: run {state.run} has no such node", remedy="ctmupgrade status")
        words = {"node": node, "decision": decision}
        return _only_said(common, words, f"{node} of {state.run} would be decided: {decision}")
    said = control.decide(_request(common), run, node, decision, reason)
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


@shelf.command(AFTER)
def report(
    common: Common,
    run_id: RunId = None,
    output: OutFile = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="check the journal's hash chain; exit 5 if broken")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="a tar.gz for vendor support, secrets removed"),
    ] = None,
) -> int:
    """What happened, as Markdown, HTML (-o FILE.html) or JSON."""
    from ctmupgrade.commands import control
    from ctmupgrade.commands.runs import find
    from ctmupgrade.core.run.report import make_report
    from ctmupgrade.render import documents, markdown

    if bundle is not None:
        return _bundle(common, run_id, bundle)
    if verify:
        folder = find(_request(common), _cluster_name(common), run_id)
        problems = control.chain_problems(folder)
        if common.shown is Format.JSON:
            put_json({"schema": 1, "run": folder.run, "intact": not problems, "problems": problems})
        else:
            typer.echo("\n".join(problems) if problems else f"{folder.run}: the journal's chain is intact")
        return ExitCode.FAILED if problems else 0
    _folder, state, _running = control.state(_request(common), _cluster_name(common), run_id)
    made = make_report(state)
    suffix = output.suffix.lower() if output else ""
    if common.shown is Format.JSON or suffix == ".json":
        write_out(as_text(documents.report_document(made)), output)
    elif suffix in (".html", ".htm"):
        from ctmupgrade.render import html

        write_out(html.report_html(made), output)
    else:
        write_out(markdown.report_markdown(made), output)
    return 0


def _bundle(common: Common, run_id: str | None, target: Path) -> int:
    """Whatever can be had goes into it: without a run, without cluster.yaml, with nodes that do not answer."""
    from ctmupgrade.commands.bundle import bundle
    from ctmupgrade.commands.runs import find

    folder, reason = None, ""
    try:
        folder = find(_request(common), _cluster_name(common), run_id)
    except UsageError:
        if run_id is not None:
            raise
    try:
        with _setup(common, looks_only=True) as made:
            packed = bundle(made, folder, target)
    except UsageError as error:
        if "cluster.yaml" not in error.brief and "variable" not in error.brief:
            raise
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


@shelf.command(CHANGE)
def recover(
    common: Common,
    gone: Annotated[str, typer.Option("--gone", metavar="A,B", help="nodes that are gone for good")] = "",
    rejoin: Annotated[
        str, typer.Option("--rejoin", metavar="A,B", help="take out, reset and join again")
    ] = "",
    take_over: Annotated[
        str, typer.Option("--take-over", metavar="RUN", help="a dead run whose journal is lost, or another's")
    ] = "",
    *,
    options: Options,
) -> int:
    """Diagnoses a broken cluster and proposes, or with --yes performs, the way back."""
    from ctmupgrade.cli.attend import finish, wishes
    from ctmupgrade.commands import recover as recovering
    from ctmupgrade.core.recovery.scene import Known
    from ctmupgrade.render import documents, plain

    known = Known(split(gone, "--gone"), split(rejoin, "--rejoin"), options.survivor)
    both = sorted({*known.gone} & {*known.rejoin})
    if both:
        raise UsageError(
            f"--gone and --rejoin both name {', '.join(both)}: a node that is gone for good cannot join again",
            remedy="name it in one of them",
        )
    with _setup(common, options, looks_only=not common.yes, purpose="RECOVER") as made:
        found = recovering.look(made, known)
        if common.shown is Format.JSON:
            put_json(
                documents.recovery_document(made.cluster, made.mode, found.diagnosis, found.plan), lines=True
            )
        else:
            typer.echo("\n".join(plain.diagnosis_lines(found.diagnosis, found.plan)))
        if not found.plan.steps or not common.yes or common.dry_run:
            return found.code
        command = f"ctmupgrade recover{known.words} --yes"
        with wishes(common, made, take_over=take_over, command=command) as wish:
            outcome, after = recovering.perform(made, wish, found)
        if after is not None and common.shown is Format.JSON:
            document = documents.recovery_document(made.cluster, made.mode, after.diagnosis, after.plan)
            put_json({**document, "after": True}, lines=True)
        code = finish(common, made, outcome)
        if after is not None and common.shown is not Format.JSON:
            typer.echo("\n".join(["afterwards:", *plain.diagnosis_lines(after.diagnosis, after.plan)]))
        return code


@shelf.command(LOOK)
def runbook(common: Common, output: OutFile = None, *, options: Options) -> int:
    """The plan as a Markdown runbook with the manual command for every step."""
    from ctmupgrade.commands import check
    from ctmupgrade.render import markdown

    with _setup(common, options, looks_only=True) as made:
        result, planned = check.plan(made)
        text = markdown.runbook_markdown(planned, made.cluster, result.facts, result.findings)
        if common.shown is Format.JSON and output is None:
            put_json({"schema": 1, "cluster": made.cluster.name, "plan": planned.id, "markdown": text})
        else:
            write_out(text, output)
    return result.code


@shelf.command(LOOK)
def record(common: Common, directory: Annotated[Path, typer.Argument(metavar="DIR")]) -> int:
    """Records every look at the live cluster as a fixture, secrets removed."""
    from ctmupgrade.commands.record import record as record_looks

    with _setup(common, looks_only=True) as made:
        count = record_looks(made, directory)
    said = f"{count} looks are recorded in {directory}; ctmupgrade check --simulate {directory} replays them"
    if common.shown is Format.JSON:
        put_json({"schema": 1, "directory": str(directory), "looks": count})
    else:
        typer.echo(said)
    return 0


@shelf.command(LOOK)
def init(
    common: Common,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="a member to ask for the nodes, by ksctl")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
) -> int:
    """Writes a commented cluster.yaml, from `ksctl cluster nodes list` where it can."""
    from ctmupgrade.commands.init import commented_cluster

    path = common.cluster or Path("cluster.yaml")
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already", remedy="--force replaces it; or name another with -c FILE"
        )
    if common.dry_run:
        return _only_said(common, {"file": str(path)}, f"{path} would be written")
    text, said = commented_cluster(url)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", remedy="name another file with -c FILE"
        ) from None
    if common.shown is Format.JSON:
        put_json({"schema": 1, "file": str(path), "said": said})
        return 0
    typer.echo(f"{said}\nwritten: {path}; mend what is marked CHANGE, then: ctmupgrade check")
    return 0
