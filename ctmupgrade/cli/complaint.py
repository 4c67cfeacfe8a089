"""Errors as they leave the program: prose on stderr and, with ``--format json``, a document on standard output."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest

from ctmupgrade.errors import CtmUpgradeError, ExitCode

_LINES = ("run", "resume", "watch")  # they print one JSON object a line


def wants_json(words: Sequence[str]) -> bool:
    """Return whether the command line asks for JSON; it may be wrong in every other way."""
    pairs = zip_longest(words, words[1:])
    return any(word == "--format=json" or (word == "--format" and value == "json") for word, value in pairs)


def tell(brief: str, code: int, *, details: str = "", remedy: str = "") -> int:
    """Say what went wrong, in the way that the command line asks for; return the exit code."""
    if wants_json(sys.argv[1:]):
        _put_document(brief, details, remedy, code)
    out = [f"ctmupgrade: {brief}"]
    out += [f"  {line}" for line in details.splitlines()]
    out += [f"  -> {line}" for line in remedy.splitlines()]
    sys.stderr.write("\n".join(_folded(out)) + "\n")
    return code


def _folded(lines: list[str]) -> list[str]:
    """Fold between words where a person reads; what is for copying stays whole."""
    try:
        if not sys.stderr.isatty():
            return lines
    except ValueError:  # it is closed: to write says so
        return lines
    from ctmupgrade.render.folding import folded

    return folded(lines, shutil.get_terminal_size().columns)


def complain(error: CtmUpgradeError) -> int:
    """Return the same of an error of ours."""
    return tell(error.brief, int(error.exit_code), details=error.details, remedy=error.remedy)


def complain_usage(error: BaseException) -> int:
    """Return the same of what the command line's parser refuses; it points to the help of that command."""
    text = _plain(error.format_message() if hasattr(error, "format_message") else str(error))
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "") or next(iter(getattr(error, "__notes__", ())), "ctmupgrade")
    if text or wants_json(sys.argv[1:]):  # without a command its help was shown
        tell(text or "no command is given", ExitCode.USAGE, remedy=f"{path} --help")
    return int(ExitCode.USAGE)


def _plain(text: str) -> str:
    """The parser's words without those of the libraries below it, and its guesses as we ask elsewhere."""
    text = text.replace("Value error, ", "", 1)
    before, guessed, near = text.partition(" (Possible options: ")
    near = near.removesuffix(")").replace(", ", " or ")
    return f"{before}; did you mean {near}?" if guessed else text


def _put_document(brief: str, details: str, remedy: str, code: int) -> None:
    import json

    error = {"brief": brief, "details": details, "remedy": remedy, "exit_code": int(code)}
    document = {"schema": 1, "error": error}
    lines = any(word in _LINES for word in sys.argv[1:])
    with suppress(
        OSError, ValueError
    ):  # nobody reads it: stderr says it too, and the exit code is the error's
        sys.stdout.write(json.dumps(document, indent=None if lines else 2) + "\n")
        sys.stdout.flush()
