"""How ksctl, and whoever else talks to a node's control plane, gets to its url."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from ctmupgrade.core.model import Node
from ctmupgrade.errors import CtmUpgradeError


class Place(Protocol):
    """Where a control plane is to be asked for the time of one call."""

    @property
    def url(self) -> str:
        """Return what ksctl is given."""
        ...

    @property
    def proven(self) -> bool:
        """Return whether who answers there is proven by other means than TLS, so that its certificate is not judged."""
        ...

    def named(self, text: str) -> str:
        """Return what a program said, with the node's own url in it and not a port of the moment."""
        ...

    def failure(self, what: str) -> CtmUpgradeError | None:
        """Return why a call that failed could not get through; None where it did. :param what: the call, in words."""
        ...


class Reach(Protocol):
    """The way to one node's control plane."""

    def open(self) -> AbstractContextManager[Place]:
        """Make the control plane reachable inside the block.

        :raises UnreachableError: it is not; nothing was sent. :raises ForwardingRefusedError: SSH does not lead there.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectPlace:
    """The url itself."""

    url: str
    proven: bool = False

    def named(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def failure(self, what: str) -> CtmUpgradeError | None:  # noqa: ARG002 - a Place
        """Return None: ksctl's own words say it."""
        return None


class DirectReach:
    """Implements :class:`Reach` over the network, or on the node's own shell."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @contextmanager
    def open(self) -> Iterator[DirectPlace]:
        """See :meth:`Reach.open`. Raises nothing: whether it answers is ksctl's to say."""
        here = self._node.is_own and self._node.ksctl.through_ssh and _is_here(self._node.url)
        yield DirectPlace(self._node.url, proven=here)


def _is_here(url: str) -> bool:
    """Whether a url is an address of this very machine: nobody else can take a connection to it. A name is not: who
    answers for it is the resolver's to say."""
    host = (urlsplit(url).hostname or "").partition("%")[0]
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or _is_own(
        str(address), socket.AF_INET if address.version == 4 else socket.AF_INET6
    )


def _is_own(address: str, family: socket.AddressFamily) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(
                (address, 9)
            )  # sends nothing; to an address of its own the kernel goes from that same one
            return bool(probe.getsockname()[0] == address)
    except OSError:
        return False
