"""Serves one page to browsers on this machine: on loopback alone, under a path that nobody guesses, and nothing but GET.

Another site's script in the same browser cannot read it: it does not know the path; it cannot come under a name of its own
that leads here (DNS rebinding), for the Host must be loopback's; and the page's policy lets nothing in or out.
"""

from __future__ import annotations

import json
import secrets
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ctmupgrade.errors import UsageError

ADDRESS = "127.0.0.1"
_HOSTS = frozenset({ADDRESS, "localhost", "[::1]"})  # any port: an SSH tunnel may end on another one
_MOST = 32  # connections at once: a page that is open has one
_SILENT = 10.0  # seconds that a connection may say nothing, or take nothing
_LOOK_EVERY = 1.0
_BEAT_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Site:
    """What is served.

    :ivar page: the page for a nonce, and its policy. :ivar news: a number that grows with each change, and what the page's
        script gets of it. :ivar looked: the time of the last look, in words.
    """

    page: Callable[[str], tuple[str, str]]
    news: Callable[[], tuple[int, dict[str, str]]]
    looked: Callable[[], str]


class LoopbackServer(ThreadingHTTPServer):
    """The server. :ivar url: the whole address, with its secret path."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _MOST

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        self.token = secrets.token_urlsafe(24)
        self._room = threading.BoundedSemaphore(_MOST)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}",
                remedy="leave --port away: a free one is taken",
            ) from None
        self.url = f"http://{ADDRESS}:{self.server_address[1]}/{self.token}/"

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name, which may not answer."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection where there is room for it."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make room again when a connection ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    timeout = _SILENT
    server_version, sys_version = "ctmupgrade", ""

    def __getattr__(self, name: str) -> Any:
        """Whatever is not GET is refused, by whatever name."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def do_GET(self) -> None:
        """Answer with the page or its news."""
        if self._host() not in _HOSTS:
            self._say(HTTPStatus.FORBIDDEN, "This page is on loopback alone.\n")
            return
        path, _, _ = self.path.partition("?")
        home = f"/{self.server.token}"
        if secrets.compare_digest(path.encode(), f"{home}/".encode()):
            self._page()
        elif secrets.compare_digest(path.encode(), f"{home}/events".encode()):
            self._events()
        elif secrets.compare_digest(path.encode(), home.encode()):
            self._say(HTTPStatus.PERMANENT_REDIRECT, "", {"Location": f"{home}/"})
        else:
            self._say(
                HTTPStatus.NOT_FOUND, "Not found. Use the whole address that ctmupgrade serve printed.\n"
            )

    def _host(self) -> str:
        given = self.headers.get_all("Host") or []
        if len(given) != 1:
            return ""
        name, colon, port = given[0].rpartition(":")
        return name.lower() if colon and port.isascii() and port.isdigit() else given[0].lower()

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        text, policy = self.server.site.page(nonce)
        self._say(HTTPStatus.OK, text, {"Content-Security-Policy": policy}, kind="text/html")

    def _events(self) -> None:
        self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream; charset=utf-8"})
        sent, beat = -1, 0.0
        while True:
            number, news = self.server.site.news()
            if number != sent:
                self._send(f"id: {number}\ndata: {json.dumps(news)}\n\n")
                sent = number
            if time.monotonic() >= beat:  # also tells a browser that has gone away
                self._send(f"event: looked\ndata: {self.server.site.looked()}\n\n")
                beat = time.monotonic() + _BEAT_EVERY
            time.sleep(_LOOK_EVERY)

    def _refuse(self) -> None:
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET.\n", {"Allow": "GET"})

    def _say(
        self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None, kind: str = "text/plain"
    ) -> None:
        data = text.encode("utf-8", "replace")
        self._head(
            status,
            {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(data)), **(headers or {})},
        )
        self.wfile.write(data)

    def _send(self, text: str) -> None:
        self.wfile.write(text.encode("utf-8", "replace"))
        self.wfile.flush()

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        common = {
            "Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin", "Connection": "close",
        }  # fmt: skip
        for name, value in {**common, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is asked of it is nobody's business."""
