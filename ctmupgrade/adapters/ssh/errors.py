"""What paramiko's and the socket's errors mean, in words: every part of an SSH connection says it the same way."""

from __future__ import annotations

import paramiko


def forbids_forwarding(error: BaseException) -> bool:
    """Return whether an SSH server answered that it makes no such connection for us (RFC 4254 5.1: administratively
    prohibited, unknown channel type); another answer is that the connection failed."""
    return isinstance(error, paramiko.ChannelException) and error.code in (1, 3)


def reason(error: BaseException) -> str:
    """Return a foreign error in words; many of paramiko's and of the socket's have an empty text."""
    if isinstance(error, paramiko.ChannelException):  # its own text is its constructor's call
        return str(error.text).lower() or "refused"
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(one, TimeoutError) for one in causes):
        return "no answer in time"
    if any(isinstance(one, EOFError) for one in causes):
        return "the other side closed the connection"
    if isinstance(error, paramiko.SSHException) and "No existing session" in str(error):
        return "no answer in time, or closed"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
