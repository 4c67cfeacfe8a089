"""What the operator's SSH configuration says about one server, whoever read it: the ssh program or our own reader."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctmupgrade.adapters.ssh.patterns import filled, with_variables
from ctmupgrade.adapters.ssh.surroundings import expanded, home, local_user
from ctmupgrade.errors import UsageError

GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
# The ssh program separates paths by blanks and quotes none; each begins a new way from the root or the home.
_PATHS = re.compile(r" (?=[/~%$])")


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One server's settings. Paths are whole, tokens are replaced.

    :ivar identity_files: the keys that the configuration names; empty where it names none.
    :ivar default_keys: the keys that are tried where it names none.
    :ivar agent: the agent's socket, or None for no agent.
    :ivar unread: keywords that only a person can follow, for the errors that they may explain.
    """

    hostname: str
    user: str | None
    port: int
    host_key_alias: str | None
    identity_files: tuple[Path, ...]
    default_keys: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    known_hosts: tuple[Path, ...]
    global_known_hosts: tuple[Path, ...]
    revoked_host_keys: Path | None
    proxy_jump: str | None
    proxy_command: str | None
    bind_address: str | None
    family: socket.AddressFamily
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A server as it was asked for: the name that was typed, and what is already decided about it."""

    host: str
    user: str | None = None
    port: int | None = None


_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# Keywords that decide where a connection goes or whom it trusts, and that we cannot follow.
_REFUSED = {"proxyusefdpass": ("yes",), "bindinterface": (), "pubkeyauthentication": ("no", "false")}
_UNREAD = ("knownhostscommand", "pkcs11provider")


def client_config(found: Mapping[str, list[str]], asked: Asked, where: str) -> ClientConfig:
    """Return the values of ``found``: keywords in small letters, each with its values in their order.

    :param where: what was read, for errors.
    :raises UsageError: a keyword that decides the way or the trust, and that we cannot follow.
    """
    _refuse(found, where)
    hostname = _one(found, "hostname") or asked.host
    port = asked.port or int(_one(found, "port") or 22)
    user = asked.user or _one(found, "user")
    alias = _one(found, "hostkeyalias")
    tokens = _tokens(asked.host, hostname, port, user, alias, _one(found, "proxyjump") or "")
    keys = tuple(expanded(name) for name in DEFAULT_KEYS) if home() else ()
    named = _names(found, "identityfile", tokens)
    if keys and set(keys) <= set(named):  # the ssh program lists its defaults where none is named
        named, keys = (), named
    return ClientConfig(
        hostname=hostname,
        user=user,
        port=port,
        host_key_alias=alias,
        identity_files=named,
        default_keys=() if named else keys,
        certificate_files=_names(found, "certificatefile", tokens),
        identities_only=_one(found, "identitiesonly") == "yes",
        agent=_agent(found.get("identityagent", ["SSH_AUTH_SOCK"])[0], tokens),
        known_hosts=_known(found, "userknownhostsfile", tokens),
        global_known_hosts=_known(found, "globalknownhostsfile", {}),
        revoked_host_keys=next(iter(_names(found, "revokedhostkeys", {})), None),
        proxy_jump=_jump(found, tokens),
        proxy_command=_command(found, tokens),
        bind_address=_one(found, "bindaddress"),
        family=_FAMILIES.get(_one(found, "addressfamily") or "", socket.AF_UNSPEC),
        unread=tuple(f"{word} {_one(found, word)}" for word in _UNREAD if _one(found, word)),
    )


def _one(found: Mapping[str, list[str]], keyword: str) -> str | None:
    values = found.get(keyword, [])
    return values[0] if values and values[0].lower() != "none" else None


def _refuse(found: Mapping[str, list[str]], where: str) -> None:
    for keyword, values in _REFUSED.items():
        said = _one(found, keyword)
        if said is not None and said in (values or (said,)):
            raise UsageError(
                f"{where} says {keyword} {said}, which ctmupgrade does not support",
                remedy="Remove it for this host, or set ssh.config: none in cluster.yaml and set the rest there.",
            )


def _tokens(
    host: str, hostname: str, port: int, user: str | None, alias: str | None, jump: str
) -> dict[str, str]:
    local = socket.gethostname()
    joined = f"{local}{hostname}{port}{user or ''}{jump}"
    return {
        "h": hostname,
        "n": host,
        "p": str(port),
        "r": user or local_user(),
        "u": local_user(),
        "d": str(home() or "/"),
        "i": str(os.getuid()),
        "l": local,
        "L": local.partition(".")[0],
        "k": alias or host,
        "j": jump,
        "C": hashlib.sha1(os.fsencode(joined)).hexdigest(),  # noqa: S324 - OpenSSH's own name for a connection
    }


def _path(text: str, keyword: str, tokens: Mapping[str, str]) -> Path:
    return expanded(filled(with_variables(text, keyword), tokens, keyword) if tokens else text)


def _names(found: Mapping[str, list[str]], keyword: str, tokens: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(_path(text, keyword, tokens) for text in found.get(keyword, []) if text.lower() != "none")


def _known(found: Mapping[str, list[str]], keyword: str, tokens: Mapping[str, str]) -> tuple[Path, ...]:
    if keyword not in found and keyword.startswith("user"):
        return tuple(expanded(text) for text in USER_KNOWN_HOSTS) if home() else ()
    line = found.get(keyword, [" ".join(GLOBAL_KNOWN_HOSTS)])[0]
    return tuple(
        _path(text, keyword, tokens) for text in _PATHS.split(line) if text and text.lower() != "none"
    )


def _agent(said: str, tokens: Mapping[str, str]) -> str | None:
    if said.lower() == "none":
        return None
    if said == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if said.startswith("$") and not said.startswith("${"):
        return os.environ.get(said[1:]) or None
    return str(_path(said, "identityagent", tokens))


def _jump(found: Mapping[str, list[str]], tokens: Mapping[str, str]) -> str | None:
    said = _one(found, "proxyjump")
    return filled(said, tokens, "ProxyJump") if said else None


def _command(found: Mapping[str, list[str]], tokens: Mapping[str, str]) -> str | None:
    said = _one(found, "proxycommand")
    if not said:
        return None
    for letter in "hnr":
        if f"%{letter}" in said and shlex.quote(tokens[letter]) != tokens[letter]:
            raise UsageError(
                f"ProxyCommand: {tokens[letter]!r} would mean something to a shell",
                remedy="Give the host and the user plain names.",
            )
    return filled(said, tokens, "ProxyCommand")
