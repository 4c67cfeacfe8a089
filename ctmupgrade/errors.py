"""Every error that reaches a person: what happened, the details, what to do, the exit code.

Adapters translate foreign exceptions into these, so nothing above them knows paramiko,
gnupg or the validation library. Two families matter to the executor: :class:`NodeError`
(the node answered "no") and :class:`ConnectionLostError` (nobody knows what happened).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # --help must not wait for it
    from ctmupgrade.core.go_on import GoOn

DOCS = "https://github.com/ctmupgrade/ctmupgrade/tree/main/docs"  # as in pyproject.toml


class ExitCode(IntEnum):
    """The exit codes that schedulers and runbooks rely on."""

    DONE = 0
    USAGE = 2
    BLOCKED = 3
    UNREACHABLE = 4
    FAILED = 5
    NEEDS_OPERATOR = 6
    PAUSED = 7
    LOCKED = 8
    PARTIAL = 9
    BUG = 70
    INTERRUPTED = 130
    NOT_READ = 141  # nobody took the output of a look: as a shell tells SIGPIPE


class Trouble(NamedTuple):
    """Why a run stops. :ivar step: the step that failed; "" where none did."""

    why: str
    code: ExitCode
    step: str = ""


_WORST_FIRST = (
    ExitCode.NEEDS_OPERATOR, ExitCode.FAILED, ExitCode.BLOCKED, ExitCode.UNREACHABLE, ExitCode.PAUSED,
)  # fmt: skip


def worst(troubles: Sequence[Trouble]) -> Trouble:
    """Return the trouble that a run is said to have stopped for; where there is none, it was asked to."""
    asked = Trouble("paused as asked", ExitCode.PAUSED)
    return min(
        troubles, key=lambda t: _WORST_FIRST.index(t.code) if t.code in _WORST_FIRST else 0, default=asked
    )


# What reading an answer may raise that nobody foresaw. It makes that one look unknown, never more.
UNFORESEEN = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError, MemoryError,
)  # fmt: skip


def named(error: BaseException) -> str:
    """Return a foreign error's kind and the beginning of its words."""
    return f"{type(error).__name__}: {str(error)[:80]}"


class CtmUpgradeError(Exception):
    """An error with a remedy.

    :param brief: one line that names the place and what is wrong.
    :param details: more lines, for example what the node answered. Never a secret.
    :param remedy: what to do about it, as something that can be pasted where possible.
    :param go_on: how a run goes on that this has stopped, once the remedy is done; None: as is usual for its kind. The
        executor puts it into words.
    """

    exit_code: ExitCode = ExitCode.FAILED
    refused = False  # whether it says that a change was refused for good, and that nothing came of it

    def __init__(self, brief: str, *, details: str = "", remedy: str = "", go_on: GoOn | None = None) -> None:
        from ctmupgrade.core.clean_text import one_line  # noqa: PLC0415 - as below
        from ctmupgrade.core.redact import foreign  # noqa: PLC0415 - `--version` must not wait for it

        # Much of it is what a node said: it must not move the cursor, and no token may be in it.
        self.brief, self.details, self.remedy = one_line(foreign(brief)), foreign(details), foreign(remedy)
        self.go_on = go_on
        super().__init__(self.brief)


class UsageError(CtmUpgradeError):
    """The command line or cluster.yaml is wrong; nothing was touched."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """cluster.yaml is wrong, or what it needs of the surroundings (a variable, a file) is missing."""


class BlockedError(CtmUpgradeError):
    """A check says no, or something could not be known."""

    exit_code = ExitCode.BLOCKED


class LockedError(CtmUpgradeError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class NodeError(CtmUpgradeError):
    """A node, the control plane or a local tool answered, and the answer is "no"."""


class RefusedError(NodeError):
    """It refused a change for good, and looks show that nothing came of it."""

    refused = True


class NotToldError(NodeError):
    """It answered, but not what was asked. A locked database or a starting service passes by itself."""


class NotYetError(NotToldError):
    """The same from a node that is being added, removed or started, or whose login service starts: that takes up to
    half an hour (vendor's Terraform provider), and is waited for as long as the step itself."""


class TooMuchError(NotToldError):
    """A look was answered without an end, in size or in time. It is not understood, and asked once."""


class LoginRefusedError(NodeError):
    """The control plane refuses the user or the password. Trying again may lock the account."""


class UnreachableError(CtmUpgradeError):
    """No connection could be made; nothing was sent. Worth another try."""

    exit_code = ExitCode.UNREACHABLE


class HostKeyError(UnreachableError):
    """The host key is unknown or changed. Trying again cannot help; a person must look."""


class AuthenticationError(UnreachableError):
    """The node refuses the key. Trying again cannot help, except while it boots."""


class IncompatibleError(AuthenticationError):
    """The SSH server and ctmupgrade have no algorithm in common. Trying again cannot help."""


class ForwardingRefusedError(NodeError):
    """The node's SSH server makes no connections for us. Trying again cannot help: its configuration must change."""

    exit_code = ExitCode.BLOCKED


class ProgramError(NodeError):
    """The vendor CLI cannot be taken from an appliance: it is not there, damaged, or nobody proves whose it is."""

    exit_code = ExitCode.BLOCKED


class ConnectionLostError(CtmUpgradeError):
    """The connection ended before the answer came: the command may or may not have run."""

    exit_code = ExitCode.UNREACHABLE


class SilentError(ConnectionLostError):
    """A command said nothing for as long as was waited: it hangs, or the connection is gone without a word."""


class InconclusiveError(CtmUpgradeError):
    """It cannot be known whether something happened; an operator must decide."""

    exit_code = ExitCode.NEEDS_OPERATOR


class SignatureError(CtmUpgradeError):
    """The archive's signature is not the pinned signer's good signature."""

    exit_code = ExitCode.BLOCKED


class JournalError(CtmUpgradeError):
    """The journal cannot be written or does not hold together."""


class ForeignStateError(JournalError):
    """A file or folder of the state belongs to somebody else, or others may write to it: it is not used."""

    exit_code = ExitCode.BLOCKED


class Interrupted(KeyboardInterrupt):
    """Ctrl-C a second time, SIGTERM or SIGHUP: leave now. Not an Exception: nothing may swallow it.

    :ivar brief: what is left, in words; "": nothing was being changed. :ivar remedy: how to look at it and go on.
    """

    def __init__(self, brief: str = "", remedy: str = "") -> None:
        super().__init__(brief)
        self.brief, self.remedy = brief, remedy
