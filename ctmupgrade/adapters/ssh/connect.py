"""From a node's settings to an authenticated SSH connection, or an error that says how far it came.

Everything here happens before a command is sent, so whatever fails is an
:class:`~ctmupgrade.errors.UnreachableError` or one of its two children that a person must solve.
"""

from __future__ import annotations

import getpass
import logging
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from ctmupgrade.adapters.ssh.errors import reason
from ctmupgrade.adapters.ssh.keys import Credential, Wanted, agent_keys, credentials
from ctmupgrade.adapters.ssh.prompt_socket import PromptSocket
from ctmupgrade.adapters.ssh.trust import Trust, known_keys
from ctmupgrade.core.model import Node
from ctmupgrade.errors import AuthenticationError, CtmUpgradeError, UnreachableError, UsageError

CONNECT_TIMEOUT = 10.0  # seconds, of TCP and of a jump host's forwarding
# The same for a node that did not answer a moment ago: the kernel repeats a SYN ever more seldom, so a new
# attempt notices sooner that it is back.
AGAIN_TIMEOUT = 2.0
BANNER_TIMEOUT = 15.0
AUTH_TIMEOUT = 20.0
CHANNEL_TIMEOUT = 15.0
_KEX_TIMEOUT = 30.0  # banner and key exchange together
_KEEPALIVE = 15  # seconds
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr")
_GLOBAL_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_JUMP = re.compile(r"^(?:ssh://)?(?:([^@]+)@)?(\[[^\]]+\]|[^:\[\]]+)(?::(\d+))?/?$")

Log = Callable[[str], None]

# What these say is said by our errors; without a handler paramiko prints tracebacks on stderr.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way to a node: a jump host, or the node itself."""

    label: str
    host: str
    port: int
    user: str
    wanted: Wanted
    files: tuple[Path, ...]  # known_hosts
    known_as: str
    pinned: str | None = None

    @property
    def place(self) -> str:
        """``host:port`` for people."""
        return f"{self.host}:{self.port}"

    def trust(self) -> Trust:
        """What is known of its host keys now."""
        known = known_keys(self.files, self.known_as, self.port)
        return Trust(self.label, self.known_as, self.port, self.files, known, self.pinned)


@dataclass(frozen=True, slots=True)
class Login:
    """How a hop was entered: what another SSH client needs to do the same, with the same trust."""

    hop: Hop
    host_key: paramiko.PKey
    credential: Credential


@dataclass(slots=True)
class Link:
    """An authenticated connection to a node, with the jump hosts' connections that carry it.

    :ivar patience: seconds for TCP, and for a jump host's forwarding.
    """

    transports: list[paramiko.Transport]
    logins: list[Login]
    patience: float = CONNECT_TIMEOUT

    @property
    def transport(self) -> paramiko.Transport:
        """The connection to the node itself."""
        return self.transports[-1]

    @property
    def alive(self) -> bool:
        """False when it is known to have ended; True promises nothing."""
        return all(transport.is_active() for transport in self.transports)

    def close(self) -> None:
        """Ends it, node first. Never raises."""
        for transport in reversed(self.transports):
            with suppress(Exception):
                transport.close()


def route(node: Node) -> tuple[Hop, ...]:
    """The servers on the way, the node last. cluster.yaml wins over ~/.ssh/config.

    :raises UsageError: ``proxy_jump`` or ~/.ssh/config cannot be read.
    """
    config = _config()
    settings = node.ssh
    mine = config.lookup(node.host)
    host = str(mine.get("hostname", node.host))
    jumps = settings.proxy_jump or str(mine.get("proxyjump", "none"))
    hops = [] if jumps.lower() == "none" else [_jump(node, spec.strip(), config) for spec in jumps.split(",")]
    wanted = Wanted(node.name, settings.identity_file, settings.passphrase_env, _identities(mine))
    alias = str(mine.get("hostkeyalias", host))
    files = _known_hosts(settings.known_hosts, mine)
    return *hops, Hop(node.name, host, settings.port, settings.user, wanted, files, alias, settings.host_key)


def _jump(node: Node, spec: str, config: paramiko.SSHConfig) -> Hop:
    found = _JUMP.match(spec)
    if not found:
        raise UsageError(
            f"{node.name}: proxy_jump {spec!r} is not understood", remedy="Write user@host or user@host:port."
        )
    user, name, port = found.groups()
    name = name.strip("[]")
    its = config.lookup(name)
    host = str(its.get("hostname", name))
    label = f"{node.name} (jump host {name})"
    return Hop(
        label,
        host,
        int(port or its.get("port", 22)),
        user or str(its.get("user", "")) or getpass.getuser(),
        Wanted(label, node.ssh.identity_file, node.ssh.passphrase_env, _identities(its)),
        _known_hosts(node.ssh.known_hosts, its),
        str(its.get("hostkeyalias", host)),
    )


def _config() -> paramiko.SSHConfig:
    path = Path.home() / ".ssh" / "config"
    try:
        return paramiko.SSHConfig.from_path(str(path))
    except OSError:
        return paramiko.SSHConfig()
    except (paramiko.SSHException, ValueError) as error:
        raise UsageError(f"{path} is not understood: {error}", remedy="Correct the line it names.") from error


def _identities(config: Mapping[str, object]) -> tuple[Path, ...]:
    names = config.get("identityfile", [])
    return tuple(Path(str(name)).expanduser() for name in names) if isinstance(names, list) else ()


def _known_hosts(given: Path | None, config: Mapping[str, object]) -> tuple[Path, ...]:
    if given:
        return (given, _GLOBAL_KNOWN_HOSTS)
    names = str(config.get("userknownhostsfile", "~/.ssh/known_hosts")).split()
    return (*(Path(name).expanduser() for name in names), _GLOBAL_KNOWN_HOSTS)


def connect(
    node: Node,
    *,
    prefer: Mapping[str, str] | None = None,
    log: Log | None = None,
    patience: float = CONNECT_TIMEOUT,
) -> Link:
    """An authenticated connection to ``node``, through its jump hosts, every host key checked.

    :param prefer: for each hop's label the fingerprint of the key it accepted last time.
    :param patience: seconds for TCP, and for a jump host's forwarding.
    :raises HostKeyError: a host key is unknown, changed or revoked.
    :raises AuthenticationError: no key is usable, or none is accepted.
    :raises UnreachableError: everything else; nothing was sent.
    """
    link = Link([], [], patience)
    try:
        with agent_keys() as agent:
            for hop in route(node):
                offers = credentials(hop.wanted, agent, prefer=(prefer or {}).get(hop.label), log=log)
                transport = _trusted(hop, link)
                link.transports.append(transport)
                accepted = _authenticate(hop, transport, offers)
                link.logins.append(Login(hop, transport.get_remote_server_key(), accepted))
                transport.set_keepalive(_KEEPALIVE)
    except BaseException:
        link.close()  # a failed connect leaves its thread and socket behind otherwise
        raise
    return link


def _trusted(hop: Hop, via: Link) -> paramiko.Transport:
    """A connection whose host key was checked; other key types are tried for a pinned one."""
    trust = hop.trust()
    seen: list[paramiko.PKey] = []
    while True:
        transport = _greeted(hop, via, trust, seen)
        if transport is None:
            raise trust.refusal(seen)
        key = transport.get_remote_server_key()
        try:
            if trust.accepts(key):
                return transport
        except CtmUpgradeError:
            transport.close()
            raise
        transport.close()
        repeated = any(key.get_name() == other.get_name() for other in seen)
        seen.append(key)
        if not hop.pinned or repeated:
            raise trust.refusal(seen)


def _greeted(hop: Hop, via: Link, trust: Trust, seen: list[paramiko.PKey]) -> paramiko.Transport | None:
    """A connection after its key exchange; None when the server has no other key type than ``seen``."""
    sock = _dial(hop, via)
    try:
        transport = paramiko.Transport(sock)
    except Exception as error:
        sock.close()
        raise unreachable(hop, "key exchange", error) from error
    try:
        options = transport.get_security_options()
        options.ciphers = _CIPHERS
        kinds = trust.preference(tuple(options.key_types), [key.get_name() for key in seen])
        if not kinds:
            transport.close()
            return None
        options.key_types = kinds
        transport.banner_timeout = BANNER_TIMEOUT
        transport.auth_timeout = AUTH_TIMEOUT
        transport.channel_timeout = CHANNEL_TIMEOUT
        transport.start_client(timeout=_KEX_TIMEOUT)
        transport.get_remote_server_key()  # start_client returns silently on its timeout: this raises
    except paramiko.ssh_exception.IncompatiblePeer as error:
        transport.close()
        if seen:
            return None
        raise unreachable(hop, "key exchange", error) from error
    except Exception as error:
        transport.close()
        raise unreachable(hop, "banner or key exchange", error) from error
    except BaseException:
        transport.close()
        raise
    return transport


def _dial(hop: Hop, via: Link) -> socket.socket | paramiko.Channel:
    if not via.transports:
        return _tcp(hop, via.patience)
    try:
        target = (hop.host, hop.port)
        return via.transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=via.patience)
    except Exception as error:
        jump = via.logins[-1].hop
        raise unreachable(hop, f"forwarding by the jump host {jump.place}", error) from error


def _tcp(hop: Hop, patience: float) -> socket.socket:
    """A connected socket that notices a dead peer (paramiko's own has 10 times our latency)."""
    last: OSError = OSError("no address")
    try:
        addresses = socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise unreachable(hop, "name resolution", error) from error
    for family, kind, protocol, _, address in addresses:
        sock = PromptSocket(family, kind, protocol)
        try:
            sock.settimeout(patience)
            sock.tune()
            sock.connect(address)
        except TimeoutError:
            sock.close()
            last = OSError(f"no answer within {patience:g} s")
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise unreachable(hop, "TCP", last) from last


def _authenticate(hop: Hop, transport: paramiko.Transport, offers: list[Credential]) -> Credential:
    for number, credential in enumerate(offers, 1):
        try:
            missing = transport.auth_publickey(hop.user, credential.key)
        except paramiko.BadAuthenticationType as error:
            raise _rejected(
                hop, offers[:number], f"it allows only {', '.join(error.allowed_types)}"
            ) from error
        except paramiko.AuthenticationException as error:
            text = str(error)
            # sshd hangs up in the middle while /run/nologin exists: the node is booting or going down.
            if "EOF" in text or "timeout" in text.lower():
                raise unreachable(hop, "authentication", error) from error
        except Exception as error:
            if number > 1 and isinstance(error, paramiko.SSHException):
                raise _rejected(hop, offers[:number], "it ended the connection: too many keys?") from error
            raise unreachable(hop, "authentication", error) from error
        else:
            if not missing:
                return credential
            raise _rejected(hop, [credential], f"it also wants {', '.join(missing)}")
    raise _rejected(hop, offers, "")


def _rejected(hop: Hop, offers: list[Credential], why: str) -> AuthenticationError:
    offered = "\n".join(f"offered {one.origin} ({one.fingerprint})" for one in offers)
    line = offers[0].public_line().strip()
    return AuthenticationError(
        f"{hop.label}: {hop.user}@{hop.place} refuses the SSH key" + (f": {why}" if why else ""),
        details=offered,
        remedy=(
            f"Check ssh.user and ssh.identity_file in cluster.yaml, and that {hop.user}'s "
            f"authorized_keys holds:\n  {line}"
        ),
    )


_REMEDIES = {
    "name resolution": "Check the host name in cluster.yaml, or use the address.",
    "TCP": "Check that the node is up and that port {port} is open from here: nc -vz {host} {port}",
    "authentication": "It may be booting or shutting down (/run/nologin): try again in a minute.",
}


def unreachable(hop: Hop, phase: str, error: BaseException) -> UnreachableError:
    """The error for a connection that failed in ``phase``, before anything was sent."""
    remedy = _REMEDIES.get(phase, "Check that an SSH server answers there: ssh -v -p {port} {host}")
    return UnreachableError(
        f"{hop.label}: no SSH connection to {hop.place}: {phase}: {reason(error)}",
        remedy=remedy.format(host=hop.host, port=hop.port),
    )
