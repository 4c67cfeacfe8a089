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

from ctmupgrade.cli.memory import no_core_dumps
from ctmupgrade.errors import CtmUpgradeError, ExitCode
from ctmupgrade.render.streams import OutputError, give_up_output, usable_streams


def complain(error: CtmUpgradeError) -> None:
    """An error as a person reads it: what, details, what to do."""
    out = [f"ctmupgrade: {error.brief}"]
    out += [f"  {line}" for line in error.details.splitlines()]
    if error.remedy:
        out += [f"  -> {line}" for line in error.remedy.splitlines()]
    sys.stderr.write("\n".join(out) + "\n")


_DISK = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EMFILE")}


def _of_this_machine(error: OSError) -> int:
    """Output that nobody takes, or a disk that is full: nothing that a traceback would explain."""
    if isinstance(error, OutputError):
        give_up_output(error)
        return ExitCode.USAGE
    if error.errno not in _DISK:
        return bug(error)
    place = f"{error.filename}: " if error.filename else ""
    sys.stderr.write(
        f"ctmupgrade: this machine says: {place}{error.strerror}\n"
        "  -> make space or mend the permissions there (df, ls -ld), then: ctmupgrade status\n"
    )
    return ExitCode.FAILED


def bug(error: BaseException) -> int:
    """A bug leaves a log file with the traceback (no locals: they may hold secrets) and says where."""
    from ctmupgrade.core.redact import redacted

    try:
        handle, name = tempfile.mkstemp(prefix="ctmupgrade-bug-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(redacted("".join(traceback.format_exception(error))))
    except OSError as full:
        name = f"not written: {full.strerror}"
    sys.stderr.write(
        f"ctmupgrade: a bug: {type(error).__name__}. Nothing on the appliances was stopped.\n"
        f"  its traceback: {name}\n  -> ctmupgrade status; ctmupgrade resume goes on from the journal\n"
    )
    return ExitCode.BUG


class LeftError(Exception):
    """Ctrl-C, SIGTERM or SIGHUP ended a command; the text says how to go on."""


def _is_usage(error: Exception) -> bool:
    """Whether it comes from the command line parser. Its base class has lived in two packages."""
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)


def _leave_now() -> None:
    """Ends the process although threads still wait for nodes' answers; what had to be closed is closed."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


CHANGING = ("run", "resume", "stage", "backup", "recover")


def _nobody_reads() -> int:
    """The exit code where standard output was closed: a look is done, but nothing that changes nodes may say
    that it is (0) when it could not even ask."""
    sys.stdout = None
    return ExitCode.INTERRUPTED if any(word in CHANGING for word in sys.argv[1:]) else ExitCode.DONE


def funnel(program: Callable[[], object]) -> int:
    """Runs ``program``; every way of ending becomes an exit code here and nowhere else."""
    usable_streams()
    no_core_dumps()
    try:
        result = program()
        return int(result) if isinstance(result, int) else 0
    except CtmUpgradeError as error:
        complain(error)
        return int(error.exit_code)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except (typer.Abort, KeyboardInterrupt, LeftError) as leave:
        sys.stderr.write(f"ctmupgrade: {str(leave) or 'interrupted; nothing was being changed'}\n")
        _leave_now()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        return _of_this_machine(error)
    except SystemExit as leave:  # 1 is the parser's own answer to a reader that went away
        return _nobody_reads() if leave.code == 1 else int(leave.code or 0)
    except Exception as error:
        if _is_usage(error):
            text = error.format_message() if hasattr(error, "format_message") else str(error)
            if text:  # without a command its help was shown
                sys.stderr.write(f"ctmupgrade: {text}\n  -> ctmupgrade --help\n")
            return ExitCode.USAGE
        return bug(error)
