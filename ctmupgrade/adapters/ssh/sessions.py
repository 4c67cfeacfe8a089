"""Sessions and TCP connections on a connection to a node: opened, and what a refusal of one means."""

from __future__ import annotations

import paramiko

from ctmupgrade.adapters.ssh.channel import bounded, outlives
from ctmupgrade.adapters.ssh.connect import CHANNEL_TIMEOUT, Link
from ctmupgrade.adapters.ssh.errors import forbids_forwarding, reason
from ctmupgrade.errors import ForwardingRefusedError, NodeError, UnreachableError

FOREIGN = (paramiko.SSHException, OSError, EOFError)  # what paramiko raises
_NO_SESSION = 2  # the code of a refused channel where MaxSessions is used up


_TCP_TIMEOUT = 10.0  # seconds until the node must have connected


class NobodyThereError(UnreachableError):
    """The node answers, and nothing answers the node at the place that it was to connect to."""


class FullError(NodeError):
    """The connection has as many sessions as the server allows."""


class Shared:
    """A connection with a count of the channels in use, so that giving it up cuts nobody off."""

    def __init__(self, link: Link) -> None:
        """:param link: the connection."""
        self.link = link
        self.users = 0


def new_session(link: Link, place: str) -> paramiko.Channel:
    """Open a session.

    :param place: the node, for errors.
    :raises NodeError: the server refuses it. :raises UnreachableError: it does not answer.
    """
    try:
        return link.transport.open_session(timeout=CHANNEL_TIMEOUT)
    except paramiko.ChannelException as error:
        raise NodeError(f"{place}: the SSH server refuses a session: {reason(error)}") from error
    except FOREIGN as error:
        raise UnreachableError(f"{place}: no answer to a new session: {reason(error)}") from error


def session_of_several(link: Link, place: str) -> paramiko.Channel:
    """Open one of several sessions on a connection.

    :raises FullError: it has as many as the server allows; otherwise as :func:`new_session`.
    """
    try:
        return new_session(link, place)
    except NodeError as error:
        cause = error.__cause__
        if isinstance(cause, paramiko.ChannelException) and cause.code == _NO_SESSION:
            raise FullError(error.brief, remedy="Raise MaxSessions in the node's sshd_config.") from cause
        raise


def session_with_pty(link: Link, place: str) -> paramiko.Channel:
    """Open a session that has a terminal. :raises NodeError, UnreachableError: as :func:`new_session`."""
    channel = new_session(link, place)
    try:
        with bounded(link.transport):
            channel.get_pty(term="xterm", width=200, height=50)
    except FOREIGN as error:
        if not outlives(link.transport):
            raise UnreachableError(f"{place}: the connection ended: {reason(error)}") from error
        raise NodeError(
            f"{place}: the SSH server refuses a pseudo-terminal",
            remedy="PermitTTY no in sshd_config, or no-pty in authorized_keys? Allow it for this key.",
        ) from error
    return channel


def tcp_from_node(link: Link, place: str, host: str, port: int) -> paramiko.Channel:
    """Let the node connect to ``host:port``, as it sees them (``ssh -W``).

    :raises ForwardingRefusedError: its SSH server forbids that.
    :raises NobodyThereError: nothing answers it there. :raises UnreachableError: the SSH server does not answer.
    """
    there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return link.transport.open_channel(
            "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=_TCP_TIMEOUT
        )
    except paramiko.ChannelException as error:
        if forbids_forwarding(error):
            raise ForwardingRefusedError(
                f"{place}: its SSH server forbids forwarding to {there} (TCP forwarding: {reason(error)})",
                remedy=(
                    "AllowTcpForwarding, PermitOpen or DisableForwarding in the node's sshd_config, or restrict, "
                    f"permitopen or no-port-forwarding at the key in authorized_keys: allow {there} there, or reach "
                    "the url without SSH: ksctl.through_ssh: false"
                ),
            ) from error
        raise NobodyThereError(
            f"{place}: SSH works, but nothing answers the node at {there}: {reason(error)}",
            remedy=f"Its services may be starting. If not: is {there} the node's url as the node itself sees it?",
        ) from error
    except FOREIGN as error:
        raise UnreachableError(f"{place}: no answer to a connection to {there}: {reason(error)}") from error
