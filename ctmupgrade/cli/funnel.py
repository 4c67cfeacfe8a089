"""The one error funnel: every way in which a command can end becomes an exit code here and nowhere else."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress

import typer

from ctmupgrade.cli.complaint import complain, complain_usage, tell
from ctmupgrade.cli.memory import no_core_dumps
from ctmupgrade.cli.waking import wake_for_signals
from ctmupgrade.errors import CtmUpgradeError, ExitCode
from ctmupgrade.render.streams import (
    OutputError,
    ReaderGoneError,
    give_up_output,
    untaken_output,
    usable_streams,
)

_SURROUNDINGS = (
    "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE",
    "ENOLCK", "ENODEV", "ENXIO", "ELOOP", "ENAMETOOLONG", "EISDIR", "ENOTDIR",
)  # fmt: skip
_DISK = {getattr(errno, name) for name in _SURROUNDINGS}


def _of_this_machine(error: OSError) -> int:
    """Output that nobody takes, or a disk that is full: nothing that a traceback would explain."""
    if isinstance(error, OutputError):
        give_up_output(error)
        return ExitCode.NOT_READ if isinstance(error, ReaderGoneError) else ExitCode.USAGE
    if error.errno not in _DISK:
        return bug(error)
    place = f"{error.filename}: " if error.filename else ""
    return tell(
        f"this machine says: {place}{error.strerror}", ExitCode.FAILED,
        remedy="make space or fix the permissions there (df, ls -ld), or name another folder for the state (--state-dir DIR); "
        "then: ctmupgrade status",
    )  # fmt: skip


def bug(error: BaseException) -> int:
    """Write a log file with a bug's traceback (no locals: they may hold secrets) and say where."""
    from ctmupgrade.core.redact import redacted

    try:
        handle, name = tempfile.mkstemp(prefix="ctmupgrade-bug-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(redacted("".join(traceback.format_exception(error))))
    except Exception as full:  # no place for it, or no memory: the exit code must come out all the same
        name = f"not written: {getattr(full, 'strerror', None) or type(full).__name__}"
    return tell(
        f"a bug: {type(error).__name__}. Nothing on the appliances was stopped.", ExitCode.BUG,
        details=f"its traceback: {name}",
        remedy="ctmupgrade status; ctmupgrade resume goes on from the journal",
    )  # fmt: skip


class LeftError(Exception):
    """Ctrl-C, SIGTERM or SIGHUP ended a command, which the parser must not see as its own.

    :ivar brief: what is left; "": nothing was being changed. :ivar remedy: how to go on.
    """

    def __init__(self, brief: str = "", remedy: str = "") -> None:
        super().__init__(brief)
        self.brief, self.remedy = brief, remedy


class ParserMustNotSeeError(Exception):
    """Carries what ended a command past the parser, which reads meanings into it: a pipe that breaks anywhere is
    1 to it, the end of any input is Ctrl-C, and whatever asks to leave may leave, with 0 too."""

    def __init__(self, inside: BaseException) -> None:
        super().__init__(repr(inside))
        self.inside = inside


def _is_usage(error: BaseException) -> bool:
    """Whether it comes from the command line parser. Its base class has lived in two packages."""
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)


def _leave_now() -> None:
    """Ends the process although threads still wait for nodes' answers; what had to be closed is closed."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


def funnel(program: Callable[[], object]) -> int:
    """Run ``program``; every way of ending becomes an exit code here and nowhere else. It is 0 only where the
    program itself says so and somebody could read what it said: a look that nobody could read is not done."""
    try:
        usable_streams()
        no_core_dumps()
        wake_for_signals()
        code = program()
        if type(code) is bool or not isinstance(code, int) or not 0 <= code <= 255:
            raise TypeError(f"a command ended without an exit code: {code!r}")
        untaken = untaken_output() if code == ExitCode.DONE else None
        return _of_this_machine(untaken) if untaken else int(code)
    except BaseException as error:
        return _failed(error) or ExitCode.BUG


def _failed(error: BaseException) -> int:
    """The exit code of whatever ended a command too early, and its words."""
    if isinstance(error, ParserMustNotSeeError):
        error = error.inside
    if isinstance(error, CtmUpgradeError):
        return complain(error)
    if isinstance(error, (typer.Abort, KeyboardInterrupt, LeftError)):
        left = error if isinstance(error, LeftError) else LeftError()
        tell(left.brief or "interrupted; nothing was being changed", ExitCode.INTERRUPTED, remedy=left.remedy)
        _leave_now()
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError):
        return _of_this_machine(error)
    if _is_usage(error):
        return complain_usage(error)
    return bug(error)
