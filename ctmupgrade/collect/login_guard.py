"""Asks a control plane no more often than it can bear: a login that is refused is not tried again and again,
and one that does not answer is not waited for again and again.

Every call of ksctl logs in anew. The appliance locks an account after failed logins, for longer each time, as
its password policy says (`failed_logins_lockout_thresholds` of the vendor's Terraform provider): twenty nodes
with nine looks each would lock `admin` out of the whole cluster for one mistyped password.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from ctmupgrade.core.ksctl import sounds_away, sounds_like_login
from ctmupgrade.core.looks.parse_ksctl import ERROR_BODY, NotUnderstoodError, excerpt, json_object
from ctmupgrade.core.model import Cluster, KsctlSettings, Node
from ctmupgrade.errors import ConnectionLostError, LoginRefusedError, UnreachableError
from ctmupgrade.ports import Clock, Reader, Reply

LONG = 10.0  # seconds: an answer "away" that took longer was a time-out
BRIEF = 30.0  # seconds a look gets where the one before was not answered
SILENCES = 2  # so many looks in a row without an answer, and no more is asked
REFUSALS = 2  # so many nodes may refuse a login that no node has taken yet
FIRST = 5.0  # seconds others wait for the first one that tries a login


class Account:
    """What is known of one login of the cluster: the first look with it is made alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._refused: dict[str, str] = {}
        self._trying = ""

    def enter(self, name: str) -> None:
        """Waits for its turn.

        :raises LoginRefusedError: it is not worth trying.
        """
        with self._changed:
            while not self._taken and len(self._refused) < REFUSALS and self._trying:
                before = self._trying
                if not self._changed.wait(FIRST) and self._trying == before:
                    break
            if not self._taken and len(self._refused) >= REFUSALS:
                first = next(iter(self._refused.items()))
                raise LoginRefusedError(
                    f"not asked, for {' and '.join(self._refused)} refuse the login: {first[1]}"
                )
            self._trying = name

    def leave(self, name: str, *, taken: bool, refused: str) -> None:
        """How it went. ``refused``: what was said, "" where it was something else."""
        with self._changed:
            self._taken = self._taken or taken
            if refused:
                self._refused.setdefault(name, refused)
            self._trying = ""
            self._changed.notify_all()


class Accounts:
    """The accounts of one gathering: nodes with the same user and the same place of the password share one."""

    def __init__(self, cluster: Cluster) -> None:
        self._of = {node.name: _key(node.ksctl) for node in (*cluster.nodes, *cluster.fresh)}
        self._made = {key: Account() for key in self._of.values()}

    def account(self, name: str) -> Account:
        """Return what is known of this user's logins, shared by all nodes that have it."""
        return self._made[self._of[name]]


def _key(ksctl: KsctlSettings) -> tuple[object, ...]:
    return ksctl.username, ksctl.password_env, ksctl.password_file, ksctl.password_command


class CarefulControl:
    """Implements :class:`ctmupgrade.ports.Reader` for one node's control plane in one gathering of looks."""

    def __init__(self, reader: Reader, node: Node, clock: Clock, account: Account) -> None:
        self._reader, self._clock, self._account = reader, clock, account
        self._name, self._usual = node.name, node.ksctl.timeout
        self._taken = False
        self._refused = ""
        self._silent = 0
        self._said = ""

    def hurry(self) -> None:
        """Its shell does not answer either: no look is given the usual time."""
        self._silent = max(self._silent, 1)

    def read(self, *argv: str, timeout: float | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`.

        :param timeout: seconds; None is the configured time, or less where the look before had no answer.
        :raises LoginRefusedError: the login was refused a moment ago.
        :raises UnreachableError: the looks before were not answered.
        """
        if self._refused:
            raise LoginRefusedError(self._refused)
        if self._silent >= SILENCES:
            raise UnreachableError(
                f"not asked again after {self._silent} looks without an answer: {self._said}"
            )
        if self._taken:
            return self._asked(argv, timeout)
        self._account.enter(self._name)
        try:
            reply = self._asked(argv, timeout)
            self._taken, self._refused = _login_of(reply)
            return reply
        except LoginRefusedError as error:
            self._refused = error.brief
            raise
        finally:
            self._account.leave(self._name, taken=self._taken, refused=self._refused)

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`."""
        return self._reader.stream(*argv, timeout=timeout)

    def _asked(self, argv: tuple[str, ...], timeout: float | None) -> Reply:
        if self._silent:
            timeout = min(BRIEF, timeout or self._usual)
        began = self._clock.monotonic()
        try:
            reply = self._reader.read(*argv) if timeout is None else self._reader.read(*argv, timeout=timeout)
        except ConnectionLostError as error:
            self._count(began, error.brief)
            raise
        if not reply.ok and sounds_away(said := f"{reply.out} {reply.err}"):
            self._count(began, excerpt(said))
        else:
            self._silent = 0
        return reply

    def _count(self, began: float, said: str) -> None:
        """An "away" that came at once costs nothing: others may be answered."""
        if self._clock.monotonic() - began >= min(LONG, self._usual):
            self._silent += 1
            self._said = said


def _login_of(reply: Reply) -> tuple[bool, str]:
    """(the login was taken, what refuses it). Neither, where it is about something else."""
    text = f"{reply.out} {reply.err}"
    try:
        json_object(text)
    except NotUnderstoodError as error:
        said = str(error)
        no = not reply.ok or "codeDesc" in text
        return False, said.removeprefix(ERROR_BODY) if no and sounds_like_login(said) else ""
    return True, ""
