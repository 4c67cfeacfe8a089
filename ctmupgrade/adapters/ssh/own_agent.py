"""An ssh-agent of our own for one key, for the ssh program that we start: so a key whose passphrase only we know, or
whose form only we can read, serves for fast uploads and for a terminal that outlives us.

It answers on a socket in a private folder while the program enters, and signs with the keys it was given only.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko

_LIST, _KEYS, _SIGN, _SIGNED, _FAILED = 11, 12, 13, 14, 5
_MOST = 262_144  # bytes of a question
_ALGORITHMS = {2: "rsa-sha2-256", 4: "rsa-sha2-512"}


@contextmanager
def own_agent(path: Path, keys: Sequence[paramiko.PKey]) -> Iterator[None]:
    """Serve ``keys`` on a socket at ``path``, inside the block."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(8)
        threading.Thread(target=_accept, args=(server, tuple(keys)), daemon=True).start()
        try:
            yield
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, keys: tuple[paramiko.PKey, ...]) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_serve, args=(client, keys), daemon=True).start()


def _serve(client: socket.socket, keys: tuple[paramiko.PKey, ...]) -> None:
    with client, suppress(OSError, struct.error), client.makefile("rb") as asked:
        while len(head := asked.read(4)) == 4:
            size = int.from_bytes(head, "big")
            if size > _MOST:
                return
            answer = _answer(asked.read(size), keys)
            client.sendall(struct.pack(">I", len(answer)) + answer)


def _answer(question: bytes, keys: tuple[paramiko.PKey, ...]) -> bytes:
    message = paramiko.Message(question)
    kind = int.from_bytes(message.get_byte(), "big")
    if kind == _LIST:
        listed = paramiko.Message()
        listed.add_byte(bytes([_KEYS]))
        listed.add_int(len(keys))
        for key in keys:
            listed.add_string(key.asbytes())
            listed.add_string(b"")
        return listed.asbytes()
    if kind == _SIGN:
        blob, data, flags = message.get_binary(), message.get_binary(), message.get_int()
        for key in keys:
            if key.asbytes() == blob:
                signature = key.sign_ssh_data(data, _ALGORITHMS.get(flags & 6))
                signed = paramiko.Message()
                signed.add_byte(bytes([_SIGNED]))
                signed.add_string(signature)
                return signed.asbytes()
    return bytes([_FAILED])
