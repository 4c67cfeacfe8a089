"""Standard streams as callers leave them: closed, without a reader, or onto a disk that is full."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class OutputError(OSError):
    """Standard output takes no more. A kind of its own: ``No space left on device`` alone does not say where."""


class ReaderGoneError(OutputError):
    """Nobody reads *our own* standard output any more. A pipe that breaks anywhere else, to gpg or a node, is
    a plain ``BrokenPipeError`` and proves nothing. It has no ``errno``: the parser ends with 1 for EPIPE."""

    def __init__(self) -> None:
        super().__init__("nobody reads it any more")


class _Output(io.FileIO):
    """Standard output below its buffers.

    :ivar written: bytes that were handed to it.
    :ivar closed_by_caller: there is none (``>&-``), and what is written is lost.
    """

    written = 0
    closed_by_caller = False

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        self.written += len(data)
        try:
            return super().write(data)
        except BrokenPipeError:
            raise ReaderGoneError from None
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from None

    def trouble(self) -> OutputError | None:
        """Why what was written reached nobody; None where it may have."""
        if not self.written:
            return None
        if self.closed_by_caller:
            return OutputError(errno.EBADF, "it is closed")
        with suppress(OSError, ValueError):
            told = select.poll()
            told.register(self.fileno(), 0)
            if any(event & select.POLLERR for _fd, event in told.poll(0)):
                return ReaderGoneError()
        return None


class _Errors(io.FileIO):
    """Standard error below its buffers: what cannot be said there stops nobody."""

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        with suppress(OSError):
            return super().write(data)
        return len(data)


class _Streams:
    """Standard output as :func:`usable_streams` has made it; None where a caller has put in another."""

    output: _Output | None = None


class _Text(io.TextIOWrapper):
    """A standard stream that no known secret passes. The last one to ask: what is printed has been through others."""

    def write(self, text: str, /) -> int:
        # Where the module is not loaded no secret is known; ``--help`` must not wait for it.
        redact = sys.modules.get("ctmupgrade.core.redact")
        super().write(redact.known_hidden(text) if redact else text)
        return len(text)


def usable_streams() -> None:
    """Make trouble with standard output an :class:`OutputError`, and put nothing where a stream was closed
    (``>&-``): left alone, the next file that is opened, which may be the journal, would get its number, and every
    child would write its output into it."""
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - until the process ends
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    # Where it is another one, a caller has put something in its place.
    _Streams.output = None
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        _Streams.output = output = _Output(1, "w", closefd=False)
        output.closed_by_caller = 1 in closed
        sys.stdout = _Text(
            io.BufferedWriter(output), encoding=sys.stdout.encoding, errors=_errors_of(sys.stdout),
            line_buffering=sys.stdout.isatty(),
        )  # fmt: skip
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _Text(
            io.BufferedWriter(_Errors(2, "w", closefd=False)), encoding=sys.stderr.encoding,
            errors="backslashreplace", line_buffering=True,
        )  # fmt: skip


def _is_open(number: int) -> bool:
    """Whether the caller has left this stream open; where not, /dev/null takes its number."""
    try:
        os.fstat(number)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)
        os.set_inheritable(number, True)
        return False
    return True


def _errors_of(stream: Any) -> str:
    """How a character is written that the stream's encoding lacks: never by an exception."""
    return "backslashreplace" if stream.errors == "strict" else str(stream.errors)


def untaken_output() -> OutputError | None:
    """Return why nobody has what was written to standard output; None where somebody may. Writes out what is left."""
    output = _Streams.output
    if output is None:
        return None
    try:
        sys.stdout.flush()
    except OutputError as error:
        return error
    return output.trouble()


def give_up_output(error: OSError) -> None:
    """Say on stderr why there is no (more) output; from now on it goes nowhere, and nobody is missed. That a
    reader went away is said by nobody else either."""
    _Streams.output = None
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if isinstance(error, ReaderGoneError):
        return
    sys.stderr.write(
        f"ctmupgrade: standard output cannot be written to: {error.strerror or error}\n"
        "  -> make space, or send it elsewhere\n"
    )


@contextmanager
def unheard() -> Iterator[None]:
    """Let a run go on while something is said of it, also where nobody reads, or where output is on a full disk."""
    try:
        yield
    except OutputError as error:
        give_up_output(error)


def need_no_reader() -> None:
    """Let the exit code count from now on, whoever reads: what is said can be had again from the journal."""
    _Streams.output = None
