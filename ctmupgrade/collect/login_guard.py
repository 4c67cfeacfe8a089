"""Tries a login of ``ksctl`` no more often than the account can bear.

Every call of ksctl logs in again. The appliance locks an account after failed logins, for longer each time, as its
password policy says (`failed_logins_lockout_thresholds` of the vendor's Terraform provider; users are replicated, so
it is locked in the whole cluster). And a login may fail for up to half an hour after a reboot, a join or a removal,
because the login service starts (docs/appliance.md 6). So a refusal is remembered as long as the process lives, whoever asks:
checks, waits, settings and orders alike; there are a few more tries, far apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ctmupgrade.core.ksctl import order_wants_login, sounds_like_login
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.json_rows import listing
from ctmupgrade.core.model import Cluster, KsctlSettings, Secret
from ctmupgrade.core.timing import clock_time
from ctmupgrade.errors import LoginRefusedError
from ctmupgrade.ports import Clock, Control, Fleet, Reply, Shell

REFUSALS = 2  # so many nodes may refuse a login that no node has taken since
FIRST = 5.0  # seconds others wait for the first one that tries a login
# Seconds until the next try after the first, second, third and each further refusal: five tries in the half hour that
# a login may fail for. The first two are further apart than the locks of the vendor's example policy (0 and 5 minutes).
SPACED = (60.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one node said last to a login; ``until``: by the monotonic clock, no try before."""

    said: str
    count: int
    until: float


class Account:
    """What is known of one login of the cluster. Until a node has taken it, one look at a time is made with it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._refused: dict[str, Refusal] = {}
        self._held: dict[
            str, tuple[float, float]
        ] = {}  # node -> when it was last refused or not tried, and until when
        self._trying = ""

    def enter(self, name: str, now: float) -> None:
        """Wait for its turn.

        :raises LoginRefusedError: it is not worth trying, or would lock the account.
        """
        with self._changed:
            while not self._taken and len(self._refused) < REFUSALS and self._trying:
                before = self._trying
                if not self._changed.wait(FIRST) and self._trying == before:
                    break
            self._refuse(name, now)
            self._trying = name

    def _refuse(self, name: str, now: float) -> None:
        own = self._refused.get(name)
        if own and now < own.until:
            self._held[name] = now, own.until
            raise LoginRefusedError(f"{own.said}; tried again in {clock_time(round(own.until - now))}")
        until = max((refusal.until for refusal in self._refused.values()), default=now)
        if not self._taken and len(self._refused) >= REFUSALS and now < until:
            first = next(iter(self._refused.values()))
            self._held[name] = now, until
            raise LoginRefusedError(
                f"not asked, for {' and '.join(self._refused)} refuse the login: {first.said}"
            )

    def leave(self, name: str, now: float, *, taken: bool, refused: str) -> None:
        """Take in how it went. ``refused``: what was said, "" where it was something else."""
        with self._changed:
            if refused:
                count = self._refused[name].count + 1 if name in self._refused else 1
                until = now + SPACED[min(count, len(SPACED)) - 1]
                self._refused[name], self._held[name] = Refusal(refused, count, until), (now, until)
                self._taken = False  # it may be the account: the next node tries alone
            elif taken:
                self._taken = True
                self._refused.pop(name, None)
            self._trying = ""
            self._changed.notify_all()

    def held_back(self, since: float) -> float:
        """See :meth:`Accounts.held_back`."""
        with self._changed:
            return max((until for at, until in self._held.values() if at >= since), default=0.0)


class Accounts:
    """The accounts of a cluster: nodes with the same user and the same place of the password share one."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Account] = {}
        self._lock = threading.Lock()

    def of(self, ksctl: KsctlSettings) -> Account:
        """Return the account of a node's login."""
        key = ksctl.username, ksctl.password_env, ksctl.password_file, ksctl.password_command
        with self._lock:
            return self._made.setdefault(key, Account())

    def held_back(self, since: float) -> float:
        """Return when the last of those logins may be tried again that were refused since then, or not tried for an earlier refusal;
        0.0: none was. Both by the monotonic clock."""
        with self._lock:
            made = list(self._made.values())
        return max((account.held_back(since) for account in made), default=0.0)


class GuardedControl:
    """Implements :class:`ctmupgrade.ports.Control`: each call of it is a login, and is made only where that is wise."""

    def __init__(self, control: Control, name: str, user: str, account: Account, clock: Clock) -> None:
        self._control, self._name, self._user = control, name, user
        self._account, self._clock = account, clock

    def read(self, *argv: str, timeout: float | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`.

        :raises LoginRefusedError: the login was refused a moment ago.
        """
        with _Try(self) as attempt:
            more = {} if timeout is None else {"timeout": timeout}
            return attempt.heard(self._control.read(*argv, **more))

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`; errors as :meth:`read`."""
        with _Try(self):
            yield from self._control.stream(*argv, timeout=timeout)

    def login(self) -> AbstractContextManager[Secret]:
        """See :meth:`ctmupgrade.ports.Control.login`."""
        return self._control.login()

    def change(
        self,
        *argv: str,
        timeout: float | None = None,
        answer: Secret | None = None,
        files: Mapping[str, Secret] | None = None,
    ) -> Reply:
        """See :meth:`ctmupgrade.ports.Control.change`.

        :raises LoginRefusedError: the login was refused a moment ago: nothing was sent.
        """
        with _Try(self) as attempt:
            reply = self._control.change(*argv, timeout=timeout, answer=answer, files=files)
            return attempt.heard(reply, order_wants_login)

    def enter(self) -> None:
        """Wait for its turn with the account. :raises LoginRefusedError: as above."""
        self._account.enter(self._name, self._clock.monotonic())

    def leave(self, *, taken: bool, refused: str) -> None:
        """Tell the account how it went."""
        said = f"{self._name} refuses the login as {self._user}: {refused}" if refused else ""
        self._account.leave(self._name, self._clock.monotonic(), taken=taken, refused=said)


class _Try:
    """One call, from the account's permission to what it learns from it."""

    def __init__(self, control: GuardedControl) -> None:
        self._control = control
        self._taken, self._refused = False, ""

    def __enter__(self) -> _Try:
        self._control.enter()
        return self

    def heard(self, reply: Reply, refuses: Callable[[str], bool] = sounds_like_login) -> Reply:
        """Remembers what an answer says of the login. An order's may speak of another node's: ``fulljoin`` logs in there."""
        self._taken, self._refused = _login_of(reply, refuses)
        return reply

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, LoginRefusedError):
            self._refused = error.brief
        self._control.leave(taken=self._taken, refused=self._refused)


class GuardedFleet:
    """Implements :class:`ctmupgrade.ports.Fleet` over another one; its control planes share one memory of logins."""

    def __init__(self, fleet: Fleet, cluster: Cluster, clock: Clock) -> None:
        self._fleet, self._cluster, self._clock = fleet, cluster, clock
        self._accounts = Accounts()

    def shell(self, node: str) -> Shell:
        """See :meth:`ctmupgrade.ports.Fleet.shell`."""
        return self._fleet.shell(node)

    def control(self, node: str) -> Control:
        """See :meth:`ctmupgrade.ports.Fleet.control`."""
        ksctl = self._cluster.node(node).ksctl
        account = self._accounts.of(ksctl)
        return GuardedControl(self._fleet.control(node), node, ksctl.username, account, self._clock)

    def held_back(self, since: float) -> float:
        """See :meth:`Accounts.held_back`."""
        return self._accounts.held_back(since)

    def learn(self, cluster: Cluster) -> None:
        """Take in that the cluster has more nodes than at first: the new instances of a run that is resumed."""
        self._cluster = cluster
        self._fleet.learn(cluster)

    def close(self) -> None:
        """See :meth:`ctmupgrade.ports.Fleet.close`."""
        self._fleet.close()


def _login_of(reply: Reply, refuses: Callable[[str], bool]) -> tuple[bool, str]:
    """(the login was taken, what refuses it). Neither, where it is about something else."""
    if reply.ok and reply.out[:1] in ("{", "[") and "codeDesc" not in reply.out[:256]:
        return True, ""  # a long summary is not read twice: an error body begins with its code
    text = f"{reply.out} {reply.err}"
    try:
        listing(text)
    except NotUnderstoodError as error:
        no = not reply.ok or "codeDesc" in text
        return False, error.said if no and refuses(error.said) else ""
    return True, ""
