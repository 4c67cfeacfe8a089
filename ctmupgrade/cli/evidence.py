"""What an auditor holds on to: the journal's chain and head, and signed reports."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ctmupgrade.adapters.disk.bounded_file import MIB, read_bounded
from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.opening import cluster_name, request_of
from ctmupgrade.cli.output import as_text, bytes_of, put_json, write_out
from ctmupgrade.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ctmupgrade.core.run.report import Report


_LARGEST_REPORT = 256 * MIB  # bytes


def report_text(made: Report, common: Common, output: Path | None) -> str:
    """Return the report in the form that is asked for: by the file's suffix, or ``--format json``."""
    from ctmupgrade.render import documents, markdown

    suffix = output.suffix.lower() if output else ".json" if common.shown is Format.JSON else ""
    if suffix == ".json":
        return as_text(documents.report_document(made))
    if suffix in (".html", ".htm"):
        from ctmupgrade.render import html

        return html.report_html(made)
    return markdown.report_markdown(made)


def one_thing(wanted: Mapping[str, object]) -> None:
    """Refuse two of report's options that do one thing each: one of them would be left undone without a word.

    :param wanted: what was given, by option. :raises UsageError: more than one was.
    """
    given = [option for option, value in wanted.items() if value]
    if len(given) > 1:
        raise UsageError(
            f"report does one thing at a time, not {' and '.join(given)}",
            remedy=f"report {given[0]} first, then {given[1]}",
        )


def check_chain(common: Common, run_id: str | None, head: str) -> int:
    """Do ``report --verify``: 5 where the chain is broken, or does not end in ``head``."""
    from ctmupgrade.commands.choose import find
    from ctmupgrade.commands.status import verified

    folder = find(request_of(common), cluster_name(common, run_id), run_id)
    found = verified(folder, head)
    if common.shown is Format.JSON:
        put_json({
            "schema": 1, "run": found.run, "intact": not found.problems, "problems": list(found.problems),
            "lines": found.lines, "head": found.head, "vouched": found.vouched,
            "ends_in_head": not found.mismatch if found.compared else None, "mismatch": found.mismatch,
        })  # fmt: skip
    elif found.problems or found.mismatch:
        typer.echo("\n".join([*found.problems, *([found.mismatch] if found.mismatch else [])]))
    else:
        typer.echo(f"{found.run}: the journal's chain is intact up to line {found.lines}, head {found.head}")
        typer.echo(f"  {found.vouched}")
    return 0 if found.good else ExitCode.FAILED


def write_signed(text: str, output: Path, key: str) -> None:
    """Write a report and, beside it, its signature."""
    from ctmupgrade.adapters.local.signing import sign, signature_of

    signature = sign(bytes_of(text), key)  # not of what stands in the file by then
    write_out(text, output)
    write_out(signature.decode("ascii").strip(), signature_of(output, key), derived=True)


def check_signature(common: Common, file: Path | None, key: str) -> int:
    """Do ``report --verify-signature FILE --signed-by KEY``: 5 where it is not good."""
    from ctmupgrade.adapters.local.signing import signature_of, verify

    if file is None or not key:
        raise UsageError(
            "--verify-signature and --signed-by belong together",
            remedy="report --verify-signature FILE --signed-by KEY.pub",
        )
    try:
        data = read_bounded(file, _LARGEST_REPORT)
    except OSError as error:
        raise UsageError(
            f"{file}: it cannot be read: {error.strerror}", remedy=f"ls -l {shlex.quote(str(file))}"
        ) from None
    said = verify(data, signature_of(file, key), key)
    if common.shown is Format.JSON:
        put_json({"schema": 1, "file": str(file), "signed_by": key, "good": True})
    else:
        typer.echo(f"{file}: {said}")
    return 0
