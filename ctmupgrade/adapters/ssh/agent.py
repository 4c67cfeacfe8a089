"""The ssh-agent, asked by ourselves: bounded answers, a time limit, and comments in any encoding.

The protocol is draft-ietf-sshm-ssh-agent; keys whose type we do not know sign all the same, for the agent does it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import paramiko

LIMIT = 5.0  # seconds for the list of keys
SIGN_LIMIT = 20.0  # seconds for a signature: a key may want a touch, or a word on the screen
_MOST = 262_144  # bytes of a message; the agent's own limit
_MOST_KEYS = 1024
_LIST, _KEYS, _SIGN, _SIGNED = 11, 12, 13, 14
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
CERTIFICATE = "-cert-v01@openssh.com"


class AgentError(Exception):
    """The agent does not answer, or not what was asked."""


class Agent:
    """A connection to an agent. Thread-safe."""

    def __init__(self, path: str) -> None:
        """:raises AgentError: nobody answers there."""
        self.path = path
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT)
        try:
            self._socket.connect(path)
        except (OSError, ValueError) as error:
            self._socket.close()
            raise AgentError(getattr(error, "strerror", None) or str(error)) from error

    def close(self) -> None:
        """End the connection. Never raises."""
        with suppress(OSError):
            self._socket.close()

    def held(self) -> list[AgentKey]:
        """Return the keys it holds; those that cannot be read are left out.

        :raises AgentError: no answer in time, or not understood.
        """
        answer = self._ask(bytes([_LIST]), LIMIT)
        if answer[:1] != bytes([_KEYS]):
            raise AgentError("it does not list its keys")
        return list(self._keys(answer[1:]))

    def sign(self, blob: bytes, data: bytes, flags: int) -> bytes:
        """Return a signature in SSH's form.

        :raises AgentError: refused (by a person too), or not in time.
        """
        question = bytes([_SIGN]) + _string(blob) + _string(data) + struct.pack(">I", flags)
        answer = self._ask(question, SIGN_LIMIT)
        if answer[:1] != bytes([_SIGNED]):
            raise AgentError("it does not sign")
        return next(_strings(answer[1:], 1))

    def _keys(self, answer: bytes) -> Iterator[AgentKey]:
        count = min(int.from_bytes(answer[:4], "big"), _MOST_KEYS)
        strings = list(_strings(answer[4:], 2 * count))
        for blob, comment in zip(strings[::2], strings[1::2], strict=True):
            with suppress(AgentError, UnicodeError):
                name = next(_strings(blob, 1)).decode("ascii")
                yield AgentKey(self, name, blob, comment.decode("utf-8", "replace"))

    def _ask(self, question: bytes, limit: float) -> bytes:
        end = time.monotonic() + limit
        with self._lock:
            try:
                self._socket.settimeout(limit)
                self._socket.sendall(struct.pack(">I", len(question)) + question)
                size = int.from_bytes(self._take(4, end), "big")
                if not 0 < size <= _MOST:
                    raise AgentError("its answer is too long")
                return self._take(size, end)
            except TimeoutError:
                raise AgentError(f"no answer within {limit:g} s") from None
            except ConnectionError as error:
                raise AgentError("it closed the connection") from error
            except OSError as error:
                raise AgentError(error.strerror or str(error)) from error

    def _take(self, size: int, end: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise AgentError("it closed the connection")
            data += piece
        return bytes(data)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _strings(data: bytes, count: int) -> Iterator[bytes]:
    at = 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            raise AgentError("its answer is cut off")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


class AgentKey(paramiko.PKey):
    """A key that an agent holds, of whatever type; certificates too."""

    def __init__(self, agent: Agent, name: str, blob: bytes, comment: str) -> None:
        self.public_blob = None
        self.trouble = ""  # why the last signature was not given
        self.agent, self.name, self.blob, self.comment = agent, name, blob, comment

    def asbytes(self) -> bytes:
        """Return the public half (or the certificate) in SSH's form."""
        return self.blob

    def get_name(self) -> str:
        """Return its type, as SSH names it."""
        return self.name

    def can_sign(self) -> bool:
        """Return True: that is what an agent is for."""
        return True

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> paramiko.Message:
        """Return the agent's signature; an empty one, which every server refuses, where it gives none.

        An error raised here would end the connection, and with it the chance of the next key: it is kept in
        :attr:`trouble`.
        """
        flags = _FLAGS.get((algorithm or "").removesuffix(CERTIFICATE), 0)
        try:
            return self.agent.sign(self.blob, data, flags)  # type: ignore[return-value]
        except AgentError as error:
            self.trouble = f"the ssh-agent at {self.agent.path}: {error}"
            return b""  # type: ignore[return-value]
