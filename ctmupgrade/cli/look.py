"""Commands that look and change nothing: check, plan, verify, path, runbook, record, init."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import LOOK, only_said, opened, registry, request_of
from ctmupgrade.cli.options import OutFile, split
from ctmupgrade.cli.output import as_text, format_of, printed_too, put_json, write_out
from ctmupgrade.cli.place import from_anywhere, place_words, placed, placed_findings, placed_plan
from ctmupgrade.cli.progress import progress, reading
from ctmupgrade.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.checks.check import Check
    from ctmupgrade.core.checks.page import Page
    from ctmupgrade.core.hooks import OwnCheck
    from ctmupgrade.core.model import Options


@registry.command(LOOK)
def check(
    common: Common,
    listing: Annotated[bool, typer.Option("--list", help="list the checks and what each makes sure")] = False,
    explain: Annotated[
        str, typer.Option("--explain", metavar="ID", help="show what a check means, and what to do about it")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID,ID", help="run these checks alone (repeatable)")
    ] = None,
    so_long: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="TIME",
            help="watch for so long whether all stay healthy, where nothing blocks; 0s: look once (default: 15s, or "
            "stable_for where a node has just been started)",
        ),
    ] = "",
    *,
    options: Options,
) -> int:
    """Check every node, all at once. Exit 0: nothing blocks and nothing is unknown."""
    if listing or explain:
        return _catalogue(common, explain)
    from ctmupgrade.commands import check as looking
    from ctmupgrade.render import documents, show

    wanted = tuple(name for text in only or () for name in split(text, "--only"))
    time = _time_of(so_long)
    with opened(common, options, looks_only=True) as made:
        with progress(common, made) as working:
            result = looking.check_for_a_while(made, only=wanted, time=time, tell=working.tell)
        if common.shown is Format.JSON:
            found = placed_findings(result.findings, common)
            put_json(documents.check_document(made.cluster, made.mode, result.facts, found))
        else:
            found = placed_findings(result.findings, common)
            show.findings(found, common.shown, made.cluster.nodes, verbose=common.verbose)
    return result.code


def _time_of(text: str) -> timedelta | None:
    """:raises UsageError: it is no duration."""
    if not text:
        return None
    from ctmupgrade.config.values import duration

    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"--for {text}: {error}", remedy="ctmupgrade check --for 60s") from None


def _catalogue(common: Common, explained: str) -> int:
    """Show the list of checks, or one check's page. Needs no cluster; where there is a cluster.yaml its own checks are
    among them."""
    from ctmupgrade.core.checks.catalogue import by_group
    from ctmupgrade.core.checks.check import Group
    from ctmupgrade.core.checks.own import own_check
    from ctmupgrade.render import check_pages

    as_json, own = common.shown is Format.JSON, _own_checks(common)
    if explained:
        found, page = _explained(explained, own)
        if as_json:
            put_json(check_pages.page_document(found, page))
        else:
            typer.echo("\n".join(check_pages.page_lines(found, page)))
        return 0
    groups = by_group() | ({Group.OWN: [own_check(one) for one in own]} if own else {})
    if as_json:
        put_json(check_pages.list_document(groups))
    else:
        typer.echo("\n".join(check_pages.list_lines(groups)))
    return 0


def _own_checks(common: Common) -> tuple[OwnCheck, ...]:
    """The operator's own checks, where cluster.yaml is there and can be read."""
    from ctmupgrade.config.load import load_cluster
    from ctmupgrade.errors import CtmUpgradeError

    path = common.simulate / "cluster.yaml" if common.simulate else common.cluster or Path("cluster.yaml")
    try:
        if not path.is_file():
            return ()
        return load_cluster(path, simulated=True).own_checks
    except (CtmUpgradeError, OSError) as error:
        typer.echo(f"the checks of {path} are not shown: {error}", err=True)
        return ()


def _explained(name: str, own: tuple[OwnCheck, ...]) -> tuple[Check, Page]:
    """:raises UsageError: there is no such check."""
    from ctmupgrade.commands.check import known_check
    from ctmupgrade.core.checks.explain import PAGES
    from ctmupgrade.core.checks.own import own_check, own_page

    for one in own:
        if one.name == name:
            return own_check(one), own_page(one)
    found = known_check(name, [one.name for one in own])
    return found, PAGES[found.id]


@registry.command(LOOK)
def plan(
    common: Common,
    output: OutFile = None,
    *,
    options: Options,
) -> int:
    """Check, then show the steps: why, in which order, how long, and what users will notice."""
    from ctmupgrade.codec import plan_to_json, sealed
    from ctmupgrade.commands import check as looking
    from ctmupgrade.core.plan.windows import window_fit
    from ctmupgrade.render import documents, show

    format_of(output, ".json")
    with opened(common, options, looks_only=True) as made:
        with progress(common, made):
            result, planned = looking.plan(made)
        fit = window_fit(made.cluster.window, planned.steps, planned.strategy, result.facts.at)
        document = plan_to_json(planned) | {"times": documents.times_document(planned)}
        document = sealed(document | ({"window": documents.window_document(fit)} if fit else {}))
        if printed_too(common, output):
            put_json(document)
        if common.shown is not Format.JSON:
            found = placed_findings(result.findings, common)
            show.findings(found, common.shown, made.cluster.nodes, verbose=common.verbose)
            show.plan(placed_plan(planned, common), common.shown, fit)
        if output is not None:
            write_out(as_text(document), output)
            if common.shown is not Format.JSON:
                typer.echo(placed(f"to execute it: ctmupgrade run --plan {shlex.quote(str(output))}", common))
    return result.code


@registry.command(LOOK)
def verify(
    common: Common,
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="the file from the vendor's support portal")
    ],
    signer: Annotated[
        str, typer.Option("--signer", metavar="FPR", help="use this key, not cluster.yaml's")
    ] = "",
    keyring: Annotated[
        Path | None,
        typer.Option("--keyring", metavar="FILE", help="use these public keys, not cluster.yaml's"),
    ] = None,
) -> int:
    """Verify an archive: signature, signer, size, sha256 and version."""
    from ctmupgrade.commands.verify import verify_archive
    from ctmupgrade.render.signature import signed_document

    with reading(common, archive) as told:
        signed, version = verify_archive(
            archive,
            signer,
            keyring,
            told,
            cluster=common.cluster or Path("cluster.yaml"),
            simulate=common.simulate,
        )
    document = signed_document(signed, version)
    if common.shown is Format.JSON:
        put_json(document)
    else:
        for key in ("archive", "version", "size", "sha256", "signer", "signing_key", "signed_at", "verdict"):
            typer.echo(f"{key:12} {document[key]}")
    return 0


@registry.command(LOOK)
def path(
    common: Common,
    start: Annotated[str, typer.Argument(metavar="FROM", help="a version, X.Y.Z")],
    end: Annotated[str, typer.Argument(metavar="TO", help="a version, X.Y.Z")],
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="k160 has a path of its own")] = "",
) -> int:
    """Show the hops between two versions, each with its rules and sources. Exit 3: no way is published."""
    from ctmupgrade.commands.path import paths_between
    from ctmupgrade.render import hops

    found = paths_between(start, end, common.strategy, model)
    if common.shown is Format.JSON:
        put_json(hops.path_document(*found))
    else:
        for line in hops.path_lines(*found):
            typer.echo(line)
    return ExitCode.DONE if found[0].found else ExitCode.BLOCKED


@registry.command(LOOK)
def runbook(
    common: Common,
    output: OutFile = None,
    change: Annotated[str, typer.Option("--change", metavar="NUMBER", help="print this change number")] = "",
    author: Annotated[
        str, typer.Option("--author", metavar="NAME", help="print this name; default: USER@MACHINE")
    ] = "",
    *,
    options: Options,
) -> int:
    """Write the plan as a runbook to work from without this tool. -o FILE.md or FILE.html: the suffix decides."""
    from ctmupgrade.commands import check
    from ctmupgrade.commands.wiring import whoami
    from ctmupgrade.render.page_markdown import page_markdown
    from ctmupgrade.render.runbook import About, runbook_page

    suffix = format_of(output, ".md", ".markdown", ".html", ".htm")
    with opened(common, options, looks_only=True) as made:
        with progress(common, made):
            result, planned = check.plan(made)
        there = from_anywhere(common)
        about = About(change, author or whoami(), place_words(there))
        found = placed_findings(result.findings, there)
        page = runbook_page(planned, made.cluster, result.facts, found, about)
        if suffix in (".html", ".htm"):
            from ctmupgrade.render.page_html import page_html

            write_out(page_html(page), output)
        elif output is not None or common.shown is not Format.JSON:
            write_out(page_markdown(page), output)
        if printed_too(common, output):
            text = page_markdown(page)
            put_json({"schema": 1, "cluster": made.cluster.name, "plan": planned.id, "markdown": text})
    return result.code


@registry.command(LOOK)
def notify(common: Common) -> int:
    """Send a test message to every receiver of cluster.yaml. Exit 4: not all of them took it."""
    from ctmupgrade.commands.notify import try_receivers

    tried = try_receivers(request_of(common))
    if common.shown is Format.JSON:
        rows = [
            {"receiver": one.name, "sent": one.sent and not one.why, "error": one.why} for one in tried.tried
        ]
        put_json({"schema": 1, "cluster": tried.cluster, "mode": tried.mode.value, "receivers": rows})
        return tried.code
    for one in tried.tried:
        if not one.sent:
            typer.echo(f"{tried.mode.value}: nothing is sent: {one.name}")
        else:
            typer.echo(f"{'FAILED' if one.why else 'sent':8}{one.name}{f': {one.why}' if one.why else ''}")
    return tried.code


@registry.command(LOOK)
def record(
    common: Common,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="a new folder for the recording")],
) -> int:
    """Record what the live cluster answers to every question, without secrets, for a rehearsal: run --simulate DIR."""
    from ctmupgrade.commands.record import record as record_looks

    with opened(common, looks_only=True) as made:
        recorded = record_looks(made, directory)
    if common.shown is Format.JSON:
        put_json({
            "schema": 1, "directory": str(directory), "looks": recorded.looks, "silent": dict(recorded.silent)
        })  # fmt: skip
        return recorded.code
    for name, why in recorded.silent.items():
        typer.echo(f"{name} is not recorded whole: {why}", err=True)
    there = f"--simulate {shlex.quote(str(directory))}"
    typer.echo(f"{recorded.looks} looks are recorded in {directory}")
    typer.echo(
        f"ctmupgrade check {there}   # what they say\nctmupgrade run {there}   # rehearses the upgrade"
    )
    return recorded.code


@registry.command(LOOK)
def init(
    common: Common,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="ask this member for the nodes, by ksctl")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
) -> int:
    """Write a commented cluster.yaml, from `ksctl cluster nodes list` where that answers."""
    from ctmupgrade.commands.init import commented_cluster

    path = common.cluster or Path("cluster.yaml")
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already", remedy="--force replaces it; or name another with -c FILE"
        )
    if common.dry_run:
        return only_said(common, {"file": str(path)}, f"{path} would be written")
    text, said = commented_cluster(url)
    from ctmupgrade.adapters.disk.private_file import write_private

    try:
        write_private(path, text.encode())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", remedy="name another file with -c FILE"
        ) from None
    if common.shown is Format.JSON:
        put_json({"schema": 1, "file": str(path), "said": said})
        return 0
    typer.echo(f"{said}\nwritten: {path}; fix what is marked CHANGE, then: ctmupgrade check")
    return 0
