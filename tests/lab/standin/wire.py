"""A small HTTP client: importing ``http.client`` would be most of a short-lived program's run time."""

from __future__ import annotations

import base64
import json
import socket
import time
from typing import Any


def call(
    host: str,
    port: int,
    method: str,
    path: str,
    *,
    body: Any = None,
    login: tuple[str, str] | None = None,
    timeout: float = 5.0,
) -> tuple[int, bytes]:
    """(HTTP status, body). A ``bytes`` body is sent as it is, anything else as JSON.

    :raises OSError: no connection, or none of an HTTP server. :raises TimeoutError: too slow.
    """
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n"
    if login:
        head += "Authorization: Basic " + base64.b64encode(":".join(login).encode()).decode() + "\r\n"
    deadline = time.monotonic() + timeout
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(head.encode() + b"\r\n" + content)
        pieces = []
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            piece = connection.recv(65536)
            if not piece:
                break
            pieces.append(piece)
    start, _, rest = b"".join(pieces).partition(b"\r\n\r\n")
    words = start.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ConnectionResetError(104, "EOF")
    return int(words[1]), rest
