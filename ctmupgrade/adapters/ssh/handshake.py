"""The stream to a server, its greeting and the key exchange: everything up to a checked host key."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Protocol

import paramiko

from ctmupgrade.adapters.ssh.carriers import DroppedError
from ctmupgrade.adapters.ssh.dial import CommandSocket, tcp
from ctmupgrade.adapters.ssh.errors import forbids_forwarding, reason
from ctmupgrade.adapters.ssh.host_certificates import shows_certificate
from ctmupgrade.adapters.ssh.transport import BoundedTransport
from ctmupgrade.adapters.ssh.trust import Trust
from ctmupgrade.adapters.ssh.way import Hop
from ctmupgrade.errors import CtmUpgradeError, IncompatibleError, UnreachableError

CONNECT_TIMEOUT = 10.0  # seconds, of TCP and of a jump host's forwarding
# The same for a node that did not answer a moment ago: the kernel repeats a SYN ever more seldom, so a new
# attempt notices sooner that it is back.
AGAIN_TIMEOUT = 2.0
BANNER_TIMEOUT = 15.0
AUTH_TIMEOUT = 25.0  # a little longer than an agent may take to sign
CHANNEL_TIMEOUT = 15.0
KEX_TIMEOUT = 30.0  # banner and key exchange together

Stream = socket.socket | paramiko.Channel


class Before(Protocol):
    """The connection that leads to the next server, where there is one."""

    patience: float

    @property
    def carrying(self) -> BoundedTransport | None:
        """Return the last server's connection; None for the first server."""
        ...

    @property
    def carrying_place(self) -> str:
        """Return its ``host:port``."""
        ...


def trusted(hop: Hop, via: Before) -> BoundedTransport:
    """Return a connection whose host key was checked; other key types are tried for a pinned one, and the plain key
    of a server whose certificate is not good.

    :raises HostKeyError: :raises IncompatibleError: :raises UnreachableError:
    """
    trust = hop.trust()
    certified: list[paramiko.PKey] = []
    seen: list[paramiko.PKey] = []
    while True:
        signed = trust.by_certificate and not certified
        transport = _greeted(hop, via, trust, seen, certificates=signed)
        if transport is None:
            raise trust.refusal([*certified, *seen])
        key = transport.get_remote_server_key()
        try:
            if trust.accepts(key):
                return transport
        except CtmUpgradeError:
            transport.close()
            raise
        transport.close()
        if signed and shows_certificate(key):
            certified.append(key)
            continue
        repeated = any(key.get_name() == other.get_name() for other in seen)
        seen.append(key)
        if not hop.pinned or repeated:
            raise trust.refusal([*certified, *seen])


def _greeted(
    hop: Hop, via: Before, trust: Trust, seen: list[paramiko.PKey], *, certificates: bool
) -> BoundedTransport | None:
    """A connection after its key exchange; None when the server has no other key type than ``seen``."""
    stream = _dial(hop, via)
    try:
        transport = BoundedTransport(stream)
    except Exception as error:
        stream.close()
        raise unreachable(hop, "key exchange", error) from error
    try:
        options = transport.get_security_options()
        tried = [key.get_name() for key in seen]
        kinds = trust.preference(tuple(options.key_types), tried, certificates=certificates)
        if not kinds:
            stream.close()  # nothing runs yet that would
            return None
        options.key_types = kinds
        transport.banner_timeout = BANNER_TIMEOUT
        transport.auth_timeout = AUTH_TIMEOUT
        transport.channel_timeout = CHANNEL_TIMEOUT
        transport.start_client(timeout=KEX_TIMEOUT)
        transport.get_remote_server_key()  # start_client returns silently on its timeout: this raises
    except paramiko.ssh_exception.IncompatiblePeer as error:
        transport.close()
        if seen:
            return None
        raise _incompatible(hop, transport, error) from error
    except Exception as error:
        said = _said(stream, transport)
        transport.close()
        stream.close()
        raise unreachable(hop, "banner or key exchange", error, said) from error
    except BaseException:
        transport.close()
        stream.close()
        raise
    return transport


def _said(stream: Stream, transport: BoundedTransport) -> str:
    words = stream.said() if isinstance(stream, CommandSocket) else ""
    return "; ".join(text for text in (transport.hung_up_with(), words) if text)


def _dial(hop: Hop, via: Before) -> Stream:
    before = via.carrying
    if before is None:
        return _first(hop, via.patience)
    try:
        return before.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=via.patience
        )
    except Exception as error:
        raise _not_forwarded(hop, via.carrying_place, error) from error


def _not_forwarded(hop: Hop, jump: str, error: Exception) -> UnreachableError:
    """The jump host answers, and makes no connection to the node."""
    forbids = forbids_forwarding(error)
    remedy = (
        "AllowTcpForwarding, PermitOpen or DisableForwarding in the jump host's sshd_config, or restrict, permitopen or "
        f"no-port-forwarding at the key in its authorized_keys: allow {hop.place} there, or take another jump host"
        if forbids
        else f"Check that the node is up and that the jump host reaches it; on the jump host: nc -vz {hop.host} {hop.port}"
    )
    why = "it forbids that" if forbids else reason(error)
    return UnreachableError(
        f"{hop.label}: no SSH connection to {hop.place}: forwarding by the jump host {jump}: {why}",
        remedy=remedy,
    )


def _first(hop: Hop, patience: float) -> socket.socket:
    if hop.command:
        try:
            return CommandSocket(hop.command, hop.environ)
        except OSError as error:
            raise unreachable(hop, "ProxyCommand of the SSH configuration", error) from error
    try:
        return tcp(hop.host, hop.port, patience, family=hop.family, bind=hop.bind)
    except socket.gaierror as error:
        raise unreachable(hop, "name resolution", error) from error
    except OSError as error:
        raise unreachable(hop, "TCP", error) from error


_REMEDIES = {
    "name resolution": "Check the host name in cluster.yaml, or use the address.",
    "TCP": "Check that the node is up and that port {port} is open from here: nc -vz {host} {port}",
    "authentication": "It may be booting or shutting down (/run/nologin): try again in a minute.",
}


def unreachable(hop: Hop, phase: str, error: BaseException, said: str = "") -> UnreachableError:
    """Return the error for a connection that failed in ``phase``, before anything was sent.

    :param said: the server's words, or the ProxyCommand's.
    """
    remedy = _REMEDIES.get(phase, "Check that an SSH server answers there: ssh -v -p {port} {host}")
    kind = DroppedError if phase.startswith("banner") and not hop.command else UnreachableError
    through = f" through {hop.command}" if hop.command else ""
    words = f' ("{said[:300]}")' if said else ""
    return kind(
        f"{hop.label}: no SSH connection to {hop.place}{through}: {phase}: {reason(error)}{words}",
        remedy=remedy.format(host=hop.host, port=hop.port),
    )


# What OpenSSH has had for the longest time: a name that a server does not know keeps its sshd from starting.
_OLDEST = ("ecdh-sha2-nistp256", "rsa-sha2-512", "aes128-ctr", "hmac-sha2-256")


def _oldest(ours: Sequence[str]) -> str:
    return next((name for name in _OLDEST if name in ours), ours[-1])


def _incompatible(hop: Hop, transport: BoundedTransport, error: Exception) -> CtmUpgradeError:
    found = transport.mismatch()
    if found is None:
        return unreachable(hop, "key exchange", error)
    what, keyword, theirs, ours = found
    return IncompatibleError(
        f"{hop.label}: the SSH server at {hop.place} and ctmupgrade have no {what} algorithm in common: "
        f"it has only {', '.join(theirs)[:300]}",
        details=f"ctmupgrade has: {', '.join(ours)}",
        remedy=f"Allow one of them in the server's sshd_config, for example: {keyword} +{_oldest(ours)}. "
        "Try the file before the server reads it: sshd -t",
    )
