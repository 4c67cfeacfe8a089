"""From a node's settings to an authenticated SSH connection, or an error that says how far it came.

Everything here happens before a command is sent, so whatever fails is an
:class:`~ctmupgrade.errors.UnreachableError` or one of its children that a person must solve. What the library raises
beyond its own errors, over somebody's keys or surroundings, ends here too: it is never a bug of ours.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from ctmupgrade.adapters.ssh.agent import AgentKey
from ctmupgrade.adapters.ssh.carriers import Carrier, Gate
from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.handshake import (
    AGAIN_TIMEOUT,
    CHANNEL_TIMEOUT,
    CONNECT_TIMEOUT,
    trusted,
    unreachable,
)
from ctmupgrade.adapters.ssh.keys import Credential, Keyring, trouble_of
from ctmupgrade.adapters.ssh.transport import BoundedTransport
from ctmupgrade.adapters.ssh.way import Hop, route
from ctmupgrade.core.model import Node
from ctmupgrade.errors import AuthenticationError, CtmUpgradeError, UnreachableError

__all__ = ["AGAIN_TIMEOUT", "CHANNEL_TIMEOUT", "CONNECT_TIMEOUT", "Link", "Log", "Login", "connect"]

_KEEPALIVE = 15  # seconds

Log = Callable[[str], None]

# What these say is said by our errors; without a handler paramiko prints tracebacks on stderr.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Login:
    """How a hop was entered: what another SSH client needs to do the same, with the same trust."""

    hop: Hop
    host_key: paramiko.PKey
    credential: Credential


@dataclass(slots=True)
class Link:
    """An authenticated connection to a node, with the jump hosts' connections that carry it.

    :ivar transports: its own; ``carrier``: the jump hosts', which others may share.
    :ivar patience: seconds for TCP, and for a jump host's forwarding.
    """

    transports: list[BoundedTransport]
    logins: list[Login]
    patience: float = CONNECT_TIMEOUT
    carrier: Carrier[Link] | None = None

    @property
    def transport(self) -> BoundedTransport:
        """Return the connection to the node itself."""
        return self.transports[-1]

    @property
    def alive(self) -> bool:
        """Return whether it may be alive: False when it is known to have ended; True promises nothing."""
        carried = self.carrier is None or self.carrier.link.alive
        return carried and all(transport.is_active() for transport in self.transports)

    @property
    def carrying(self) -> BoundedTransport | None:
        """Return the connection that leads to the next server; None before the first."""
        if self.transports:
            return self.transports[-1]
        return self.carrier.link.transport if self.carrier else None

    @property
    def carrying_place(self) -> str:
        """Return ``host:port`` of the server whose connection that is."""
        return self.logins[-1].hop.place

    def close(self) -> None:
        """End it, node first. Never raises."""
        for transport in reversed(self.transports):
            with suppress(Exception):
                transport.close()
        carrier, self.carrier = self.carrier, None
        if carrier:
            carrier.leave()


def _silent(_line: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a connection is made with."""

    prefer: Mapping[str, str]
    log: Log
    patience: float


_gates: dict[tuple[str, ...], Gate[Link]] = {}
_gates_lock = threading.Lock()


def connect(
    node: Node,
    *,
    prefer: Mapping[str, str] | None = None,
    log: Log | None = None,
    patience: float = CONNECT_TIMEOUT,
    withheld: Iterable[str] = (),
) -> Link:
    """Return an authenticated connection to ``node``, through its jump hosts, every host key checked.

    :param prefer: for each hop's label the fingerprint of the key it accepted last time.
    :param patience: seconds for TCP, and for a jump host's forwarding.
    :param withheld: names of variables that no program of the SSH configuration gets.
    :raises HostKeyError: a host key is unknown, changed or revoked.
    :raises AuthenticationError: no key is usable, or none is accepted.
    :raises IncompatibleError: the server has no algorithm in common with us.
    :raises UsageError: cluster.yaml or the SSH configuration cannot be followed.
    :raises UnreachableError: everything else; nothing was sent.
    """
    entry = _Entry(prefer or {}, log or _silent, patience)
    try:
        hops = route(node, withheld)
        link = Link([], [], patience)
        return _through(link, hops, entry)
    except CtmUpgradeError:
        raise
    except Exception as error:
        # Keys, agents, configurations and servers are the operator's: what a library says of them is no bug of ours.
        raise UnreachableError(
            f"{node.name}: no SSH connection: {type(error).__name__}: {reason(error)}",
            remedy=f"Check whether the ssh program can log in: ssh -v {node.host}",
        ) from error


def _through(link: Link, hops: tuple[Hop, ...], entry: _Entry) -> Link:
    try:
        if len(hops) > 1:
            link.carrier = _gate(hops[:-1]).board(lambda: _chain(hops[:-1], entry), entry.log)
            link.logins += link.carrier.link.logins
        _enter(link, hops[-1], entry)
    except BaseException:
        link.close()  # a failed connect leaves its thread and socket behind otherwise
        raise
    return link


def _gate(hops: tuple[Hop, ...]) -> Gate[Link]:
    key = tuple(f"{hop.user}@{hop.place} {hop.command or ''}" for hop in hops)
    with _gates_lock:
        return _gates.setdefault(key, Gate())


def _chain(hops: tuple[Hop, ...], entry: _Entry) -> Link:
    link = Link([], [], entry.patience)
    try:
        for hop in hops:
            _enter(link, hop, entry)
    except BaseException:
        link.close()
        raise
    return link


def _enter(link: Link, hop: Hop, entry: _Entry) -> None:
    keyring = Keyring(hop.wanted, entry.prefer.get(hop.label), entry.log)
    try:
        offers = keyring.offers()
        first = next(offers)  # a key that cannot be used is said before anybody is bothered
        transport = trusted(hop, link)
        link.transports.append(transport)
        accepted = _authenticate(hop, transport, itertools.chain([first], offers), keyring)
    finally:
        keyring.close()
    link.logins.append(Login(hop, transport.get_remote_server_key(), accepted))
    transport.set_keepalive(_KEEPALIVE)


def _authenticate(
    hop: Hop, transport: BoundedTransport, offers: Iterable[Credential], keyring: Keyring
) -> Credential:
    offered: list[Credential] = []
    for credential in offers:
        offered.append(credential)
        missing = _answer(hop, transport, offered, keyring)
        if missing is None:
            if isinstance(credential.key, AgentKey) and credential.key.trouble:
                keyring.note(credential.key.trouble)
        elif missing:
            raise _second_factor(hop, [credential], missing)
        else:
            return credential
    raise _rejected(hop, offered, keyring, "")


def _answer(
    hop: Hop, transport: BoundedTransport, offered: list[Credential], keyring: Keyring
) -> list[str] | None:
    """What the server wants besides the last of ``offered``; nothing lets us in, None is a refusal."""
    try:
        # As bytes: a name from the SSH configuration need not be UTF-8.
        user: str = os.fsencode(hop.user)  # type: ignore[assignment]
        return list(transport.auth_publickey(user, offered[-1].key))
    except paramiko.BadAuthenticationType as error:
        raise _second_factor(hop, offered, error.allowed_types) from error
    except paramiko.AuthenticationException as error:
        if transport.said:
            raise _rejected(hop, offered, keyring, f'it hung up: "{transport.said}"') from error
        text = str(error)
        # sshd hangs up in the middle while /run/nologin exists: the node is booting or going down.
        if "EOF" in text or "timeout" in text.lower():
            raise unreachable(hop, "authentication", error) from error
        return None
    except Exception as error:
        if len(offered) > 1 and isinstance(error, paramiko.SSHException):
            raise _rejected(hop, offered, keyring, "it closed the connection (too many keys?)") from error
        raise unreachable(hop, "authentication", error) from error


def _second_factor(hop: Hop, offered: list[Credential], missing: Iterable[str]) -> AuthenticationError:
    """The error for a server that wants more than a key, or something else."""
    wants = ", ".join(missing)
    return AuthenticationError(
        f"{hop.label}: {hop.user}@{hop.place} does not accept a key alone: it requires {wants}",
        details="\n".join(f"offered {one.shown()}" for one in offered),
        remedy=_ask_yourself(hop) if hop.jump else _KEY_ALONE.format(user=hop.user),
    )


_KEY_ALONE = (
    "ctmupgrade logs in to nodes with a key only, and asks for nothing. Allow publickey alone for {user} in the node's "
    "sshd_config (AuthenticationMethods publickey)."
)


def _ask_yourself(hop: Hop) -> str:
    """How to go through a jump host that asks: by a connection that the operator has opened."""
    at = f"-p {hop.port} {hop.user}@{hop.host}"
    return (
        "ctmupgrade asks for nothing. Log in to the jump host yourself, and let the nodes use that connection:\n"
        f"  ssh -fNM -S ~/.ssh/ctm-jump {at}\n"
        "in ~/.ssh/config, for the nodes:\n"
        f"  ProxyCommand ssh -S ~/.ssh/ctm-jump -W %h:%p {at}\n"
        "and remove proxy_jump from cluster.yaml."
    )


def _rejected(hop: Hop, offered: list[Credential], keyring: Keyring, why: str) -> AuthenticationError:
    lines = [f"offered {one.shown()}" for one in offered]
    others = keyring.not_offered(offered)
    lines += [f"not offered (servers take about {len(offered)}): {one.shown()}" for one in others]
    lines += [*trouble_of(offered, hop.user), *keyring.notes]
    setting = hop.wanted.setting
    if others:
        remedy = (
            f"Name the right key in {setting} in cluster.yaml; for one in the agent its public half: "
            "ssh-add -L shows them, one a line, to be saved as KEY.pub."
        )
    else:
        remedy = (
            f"Check ssh.user and {setting} in cluster.yaml, and that {hop.user}'s authorized_keys holds:\n"
            f"  {offered[0].public_line().strip()}"
        )
    if hop.jump:
        remedy = remedy.replace("ssh.user", "the jump host's user")
    return AuthenticationError(
        f"{hop.label}: {hop.user}@{hop.place} refuses the SSH key" + (f": {why}" if why else ""),
        details="\n".join(lines),
        remedy=remedy,
    )
