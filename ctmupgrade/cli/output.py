"""Documents and texts on standard output, or into the file that ``-o`` names."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.errors import UsageError


def put_json(document: object, *, lines: bool = False) -> None:
    """Print one JSON document; ``lines``: on a single line, one of several."""
    import json

    typer.echo(json.dumps(document) if lines else as_text(document))


def as_text(document: object) -> str:
    """Return a JSON document as text, indented."""
    import json

    return json.dumps(document, indent=2)


def fold(common: Common, lines: Iterable[str]) -> list[str]:
    """Return lines as they are shown: folded between words on a terminal, else whole."""
    if common.shown is not Format.RICH:
        return list(lines)
    from ctmupgrade.render.folding import folded

    return folded(lines, shutil.get_terminal_size().columns)


def format_of(output: Path | None, *suffixes: str) -> str:
    """Return the suffix of a file that ``-o`` names, in lower case; the first of the suffixes where none is named.

    :param suffixes: those that can be written.
    :raises UsageError: it has another.
    """
    if output is None:
        return suffixes[0]
    need_file(output, "-o")
    if output.exists() and not output.is_file() and not output.is_dir():
        return suffixes[0]  # /dev/stdout, a pipe: nothing tells what is wanted
    if output.suffix.lower() not in suffixes:
        can = ", ".join(suffixes)
        raise UsageError(
            f"-o {output}: what is written is decided by the suffix, one of {can}",
            remedy=f"-o {output.stem or output.name}{suffixes[0]}",
        )
    return output.suffix.lower()


def need_file(output: Path, option: str) -> None:
    """Refuse, before anything is looked at, what cannot be written: "-", which elsewhere is standard output (a file called
    that is not meant), a folder, a file in no folder. :raises UsageError: it is named."""
    if str(output) == "-":
        raise UsageError(f"{option} -: it names a file; without it standard output is written to",
                         remedy=f"leave {option} away, or {option} ./-FILE")  # fmt: skip
    folder = output.parent
    if output.is_dir():
        raise UsageError(f"{option} {output}: it is a folder", remedy="name a file in it")
    if not folder.is_dir():
        why = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
        raise UsageError(
            f"{option} {output}: {why}", remedy="make that folder first, or name a file in another one"
        )
    if not output.exists() and not os.access(folder, os.W_OK):
        raise UsageError(
            f"{option} {output}: you may not write into {folder}", remedy="name a file in another folder"
        )


def printed_too(common: Common, output: Path | None) -> bool:
    """Return whether a document goes to standard output beside the file: there is one in every case, for programs."""
    return common.shown is Format.JSON and (output is None or Path("/dev") not in output.absolute().parents)


def bytes_of(text: str) -> bytes:
    """Return what :func:`write_out` writes of a text."""
    from ctmupgrade.core.redact import known_hidden

    return f"{known_hidden(text)}\n".encode()


def write_out(text: str, output: Path | None, *, derived: bool = False) -> None:
    """Print a text, or write it into a file that only its owner can read.

    :param derived: nobody named the file: a pipe that is there is replaced, not written to.
    :raises UsageError: the file cannot be written, or is a link.
    """
    if output is None:
        typer.echo(text)
        return
    from ctmupgrade.adapters.disk.private_file import replace_private, write_private

    try:
        write = replace_private if derived and not output.is_symlink() else write_private
        write(output, bytes_of(text))
    except OSError as error:
        raise UsageError(
            f"{output}: {error.strerror}", remedy="name another file, in a folder that you may write to"
        ) from None
    sys.stderr.write(f"written: {output}\n")
