"""A small HTTP client. Importing ``http.client``, or only ``socket`` and ``json``, would be most of a short-lived
program's run time, and the vendor's ``ksctl`` is a compiled one."""

from __future__ import annotations

import binascii
import time
from _socket import AF_INET, SOCK_STREAM
from _socket import socket as Socket  # noqa: N812 - the class is meant, as socket.socket

TYPE_CHECKING = False  # importing typing would be a good part of a short-lived program's run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What puts TLS around a connection; None: plain HTTP, which is quicker.
secure: Callable[[Socket, str], Any] | None = None
INDENTED = "application/x-ksctl"  # as the vendor's CLI prints it


def call(
    host: str,
    port: int,
    method: str,
    path: str,
    *,
    body: Any = None,
    login: tuple[str, str] | None = None,
    timeout: float = 5.0,
    accept: str = "*/*",
) -> tuple[int, bytes]:
    """(HTTP status, body). A ``bytes`` body is sent as it is, anything else as JSON.

    :raises OSError: no connection, or none of an HTTP server. :raises TimeoutError: too slow.
    """
    content = b"" if body is None else body if isinstance(body, bytes) else _json(body)
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\nContent-Length: {len(content)}\r\n"
    )
    if login:
        secret = binascii.b2a_base64(":".join(login).encode(), newline=False).decode()
        head += f"Authorization: Basic {secret}\r\n"
    deadline = time.monotonic() + timeout
    connection = Socket(AF_INET, SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((host, port))
        if secure:
            connection = secure(connection, host)
        connection.sendall(head.encode() + b"\r\n" + content)
        pieces = []
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            piece = connection.recv(65536)
            if not piece:
                break
            pieces.append(piece)
    finally:
        connection.close()
    start, _, rest = b"".join(pieces).partition(b"\r\n\r\n")
    words = start.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ConnectionResetError(104, "EOF")
    return int(words[1]), rest


def _json(body: Any) -> bytes:
    import json  # rarely needed

    return json.dumps(body).encode()
