"""A node's control plane reached through its SSH connection, as the node sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import paramiko

from ctmupgrade.adapters.ssh.forward import Forward, forwarded
from ctmupgrade.core.model import Node
from ctmupgrade.errors import ConnectionLostError, CtmUpgradeError, NodeError, UnreachableError

_REMEMBERED = (
    3.0  # seconds in which a node that did not answer is not dialled again: looks come one after the other
)

Tcp = Callable[[str, int], AbstractContextManager[paramiko.Channel]]


@dataclass(frozen=True, slots=True)
class ForwardedPlace:
    """Implements :class:`ctmupgrade.adapters.local.reach.Place`: the host key has proven who answers."""

    node: Node
    forward: Forward
    proven: bool = True

    @property
    def url(self) -> str:
        """Return the port on loopback, with the scheme of the node's url."""
        return f"{urlsplit(self.node.url).scheme}://{self.forward.authority}"

    def named(self, text: str) -> str:
        """Return the text with the node's url in place of the port of the moment."""
        return text.replace(self.forward.authority, urlsplit(self.node.url).netloc)

    def failure(self, what: str) -> CtmUpgradeError | None:
        """Return why a call that failed could not get through; None where it did. :param what: the call, in words."""
        forward, place = self.forward, f"{self.node.name} (ksctl, {self.node.url} through SSH)"
        if forward.broken or forward.trouble:
            why = forward.trouble.brief if forward.trouble else "the SSH connection broke"
            return ConnectionLostError(
                f"{place}: no answer from ksctl: {why}",
                details=f"command: {what}",
                remedy="It may have done its work: check before you repeat it.",
            )
        if forward.strangers and not forward.taken:
            return NodeError(
                f"{place}: ksctl came as another user, and only programs of this one may use the SSH connection",
                remedy=(
                    "Name a program in ksctl.command that runs as you are: no sudo, su or container around it. "
                    "/proc/net/tcp must be readable: it tells users apart."
                ),
            )
        return None


class ThroughSsh:
    """Implements :class:`ctmupgrade.adapters.local.reach.Reach`. Thread-safe."""

    def __init__(self, node: Node, tcp: Tcp) -> None:
        """:param tcp: lets the node connect to a host and a port, as :meth:`SshShell.tcp` does."""
        self._node, self._tcp = node, tcp
        self._lock = threading.Lock()
        self._failed: tuple[UnreachableError, float] | None = None

    @contextmanager
    def open(self) -> Iterator[ForwardedPlace]:
        """See :meth:`ctmupgrade.adapters.local.reach.Reach.open`."""
        with self._lock:
            failed = self._failed
        if failed and time.monotonic() - failed[1] < _REMEMBERED:
            error = failed[0]
            raise type(error)(error.brief, details=error.details, remedy=error.remedy)
        with forwarded(self._dial) as forward:
            yield ForwardedPlace(self._node, forward)

    @contextmanager
    def _dial(self) -> Iterator[paramiko.Channel]:
        parts = urlsplit(self._node.url)
        host = (parts.hostname or "").replace("%25", "%")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with ExitStack() as stack:
            try:
                channel = stack.enter_context(self._tcp(host, port))
            except UnreachableError as error:
                with self._lock:
                    self._failed = (error, time.monotonic())
                raise
            with self._lock:
                self._failed = None
            yield channel
