"""Documents and texts on standard output, or into the file that ``-o`` names."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ctmupgrade.errors import UsageError


def put_json(document: object, *, lines: bool = False) -> None:
    """Print one JSON document; ``lines``: on a single line, one of several."""
    import json

    typer.echo(json.dumps(document) if lines else as_text(document))


def as_text(document: object) -> str:
    """Return a JSON document as text, indented."""
    import json

    return json.dumps(document, indent=2)


def write_out(text: str, output: Path | None) -> None:
    """Print a text, or write it into a file that only its owner can read.

    :raises UsageError: the file cannot be written, or is a link.
    """
    if output is None:
        typer.echo(text)
        return
    from ctmupgrade.adapters.disk.private_file import write_private
    from ctmupgrade.core.redact import known_hidden

    try:
        write_private(output, f"{known_hidden(text)}\n".encode())
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    sys.stderr.write(f"written: {output}\n")
