"""Standard streams as callers leave them: closed, or onto a disk that is full."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any


class OutputError(OSError):
    """Standard output takes no more. A kind of its own: ``No space left on device`` alone does not say where."""


class _Output(io.FileIO):
    """Standard output below its buffers; a reader that went away stays what it is."""

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from None


class _Text(io.TextIOWrapper):
    """A standard stream that no known secret passes. The last one to ask: what is printed has been through others."""

    def write(self, text: str, /) -> int:
        # Where the module is not loaded no secret is known; ``--help`` must not wait for it.
        redact = sys.modules.get("ctmupgrade.core.redact")
        super().write(redact.known_hidden(text) if redact else text)
        return len(text)


def usable_streams() -> None:
    """Makes trouble with standard output an :class:`OutputError`, and puts nothing where a stream was closed
    (``>&-``): left alone, the next file that is opened, which may be the journal, would get its number, and every
    child would write its output into it."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            os.set_inheritable(number, True)
        stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - until the process ends
        setattr(sys, name, stream)

    # Where it is another one, a caller has put something in its place.
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        raw = io.BufferedWriter(_Output(1, "w", closefd=False))
        sys.stdout = _Text(
            raw, encoding=sys.stdout.encoding, errors=sys.stdout.errors, line_buffering=sys.stdout.isatty()
        )
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        errors = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
        sys.stderr = _Text(
            errors, encoding=sys.stderr.encoding, errors=sys.stderr.errors, line_buffering=True
        )


def give_up_output(error: OSError) -> None:
    """Says on stderr why there is no (more) output; from now on it goes nowhere."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    sys.stderr.write(
        f"ctmupgrade: standard output cannot be written to: {error.strerror or error}\n"
        "  -> make space, or send it elsewhere\n"
    )
