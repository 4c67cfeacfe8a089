"""The servers on the way to a node, and what is known of each: cluster.yaml first, then the SSH configuration.

Each jump host is a server of its own: with its own user, keys, known hosts, and jump hosts before it. What
cluster.yaml says of the node is the node's; what it says of the jump hosts stands under ``ssh.jump``.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade.adapters.ssh.ask_openssh import ask_openssh
from ctmupgrade.adapters.ssh.client_config import Asked, ClientConfig
from ctmupgrade.adapters.ssh.config_subset import is_plain, read_subset
from ctmupgrade.adapters.ssh.keys import Wanted
from ctmupgrade.adapters.ssh.surroundings import helper_environ, home_of_ssh, local_user
from ctmupgrade.adapters.ssh.trust import Trust, authorities, known_keys, revoked_keys
from ctmupgrade.core.model import Node
from ctmupgrade.errors import UsageError

_JUMP = re.compile(r"^(?:ssh://)?(?:([^@]+)@)?(\[[^\]]+\]|[^:\[\]@]+)(?::(\d{1,5}))?/?$")
_MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way to a node: a jump host, or the node itself.

    :ivar files: known_hosts. :ivar command: a ProxyCommand that leads there, ready for a shell.
    """

    label: str
    host: str
    port: int
    user: str
    wanted: Wanted
    files: tuple[Path, ...]
    known_as: str
    known_port: int
    pinned: str | None = None
    jump: bool = False
    command: str | None = None
    bind: str | None = None
    family: socket.AddressFamily = socket.AF_UNSPEC
    revoked: Path | None = None
    unread: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)  # of the command

    @property
    def place(self) -> str:
        """Return ``host:port`` for people."""
        return f"{self.host}:{self.port}"

    def trust(self) -> Trust:
        """Return what is known of its host keys now.

        :raises HostKeyError: a list of revoked keys that cannot be read.
        """
        known = known_keys(self.files, self.known_as, self.known_port)
        if self.revoked:
            known += revoked_keys(self.revoked)
        return Trust(
            self.label,
            self.known_as,
            self.known_port,
            self.files,
            known,
            self.pinned,
            pinnable=not self.jump,
            unread=tuple(f"not asked: {word} of the SSH configuration" for word in self.unread),
            authorities=authorities(self.files, self.known_as, self.known_port),
        )


def route(node: Node, withheld: Iterable[str] = ()) -> tuple[Hop, ...]:
    """Return the servers on the way, the node last. cluster.yaml wins over the SSH configuration.

    :param withheld: names of variables with secrets of the cluster's, which no program of that configuration gets.
    :raises UsageError: ``proxy_jump`` or the SSH configuration cannot be followed.
    :raises UnreachableError: the ssh program gave no answer about it in time.
    """
    return _Way(node, withheld).hops()


class _Way:
    def __init__(self, node: Node, withheld: Iterable[str]) -> None:
        self._node, self._settings = node, node.ssh
        self._environ = helper_environ(frozenset(withheld))
        # Without a passwd entry the ssh program does not run at all.
        self._program = shutil.which("ssh") if home_of_ssh() else None

    def hops(self) -> tuple[Hop, ...]:
        settings, node = self._settings, self._node
        own = self._ask(Asked(node.host, settings.user, settings.port))
        spec = settings.proxy_jump or own.proxy_jump or "none"
        before = [] if spec.lower() == "none" else self._before(spec, ())
        command = own.proxy_command if not settings.proxy_jump else None
        wanted = Wanted(
            label=node.name,
            user=settings.user,
            identity_file=settings.identity_file,
            passphrase_env=settings.passphrase_env,
            named=own.identity_files,
            defaults=own.default_keys,
            certificates=own.certificate_files,
            only=own.identities_only,
            agent=own.agent,
            unread=own.unread,
        )
        known = (settings.known_hosts,) if settings.known_hosts else own.known_hosts
        files = (*known, *own.global_known_hosts)
        last = self._hop(own, wanted, files, settings.user, None if before else command)
        return *before, last

    def _before(self, spec: str, seen: tuple[str, ...]) -> list[Hop]:
        """The jump hosts of ``user@host:port,...``; the first of them may have its own before it."""
        hops: list[Hop] = []
        for text in (part.strip() for part in spec.split(",")):
            asked = self._asked(text)
            found = self._ask(asked)
            place = f"{asked.host}:{found.port}"
            if place in seen or len(hops) + len(seen) >= _MOST_HOPS:
                raise UsageError(
                    f"{self._node.name}: the jump hosts form a circle: {' -> '.join([*seen, place])}",
                    remedy="In ~/.ssh/config, set ProxyJump none for the jump host itself (or use Host * !NAME).",
                )
            command = None
            if not hops:
                command = found.proxy_command
                if found.proxy_jump:
                    hops += self._before(found.proxy_jump, (*seen, place))
                    command = None
            hops.append(self._jump(asked, found, command))
        return hops

    def _asked(self, text: str) -> Asked:
        found = _JUMP.match(text)
        if not found:
            raise UsageError(
                f"{self._node.name}: proxy_jump {text!r} is not understood",
                remedy="Write user@host or user@host:port.",
            )
        user, name, port = found.groups()
        jump = self._settings.jump
        return Asked(name.strip("[]"), user or jump.user, int(port) if port else jump.port)

    def _jump(self, asked: Asked, found: ClientConfig, command: str | None) -> Hop:
        settings, jump = self._settings, self._settings.jump
        user = found.user or local_user()
        strict = found.identities_only and found.identity_files
        wanted = Wanted(
            label=f"{self._node.name} (jump host {asked.host})",
            user=user,
            identity_file=jump.identity_file,
            passphrase_env=jump.passphrase_env or settings.passphrase_env,
            named=found.identity_files,
            defaults=found.default_keys,
            certificates=found.certificate_files,
            only=found.identities_only,
            agent=found.agent,
            last=None if strict else settings.identity_file,
            setting="ssh.jump.identity_file",
            unread=found.unread,
        )
        if jump.known_hosts:
            files = (jump.known_hosts, *found.global_known_hosts)
        else:
            also = (settings.known_hosts,) if settings.known_hosts else ()
            files = (*found.known_hosts, *found.global_known_hosts, *also)
        return self._hop(found, wanted, files, user, command)

    def _hop(
        self, found: ClientConfig, wanted: Wanted, files: tuple[Path, ...], user: str, command: str | None
    ) -> Hop:
        jump = wanted.label != self._node.name
        return Hop(
            label=wanted.label,
            host=found.hostname,
            port=found.port,
            user=user,
            wanted=wanted,
            files=files,
            known_as=found.host_key_alias or found.hostname,
            known_port=22 if found.host_key_alias else found.port,
            pinned=None if jump else self._settings.host_key,
            jump=jump,
            command=command,
            bind=found.bind_address,
            family=found.family,
            revoked=found.revoked_host_keys,
            unread=tuple(word for word in found.unread if word.startswith("knownhosts")),
            environ=self._environ if command else {},
        )

    def _ask(self, asked: Asked) -> ClientConfig:
        if self._program and not is_plain(asked, self._settings.config):
            return ask_openssh(self._program, asked, self._settings.config, self._environ)
        return read_subset(asked, self._settings.config)
