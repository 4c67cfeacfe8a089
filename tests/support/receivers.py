"""Receivers of notifications on loopback: a webhook, an SMTP server, a system log, and one that accepts and never answers."""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE = 30.0  # seconds until something that must come is given up


@dataclass
class Inbox:
    """What has come. :ivar port: where."""

    port: int = 0
    items: list[Any] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def put(self, item: Any) -> None:
        with self.came:
            self.items.append(item)
            self.came.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        """Waits until so many have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.items) >= count, PATIENCE), self.items
            return list(self.items)


def server_context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Posted(Inbox):
    """Requests to a webhook: (path, headers, document). :ivar status: what it answers. :ivar location: of a redirect."""

    status: int = 200
    location: str = ""


@contextmanager
def webhook(pem: Path | None = None, **wishes: Any) -> Iterator[Posted]:
    box = Posted(**wishes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            box.put((self.path, dict(self.headers), json.loads(data)))
            self.send_response(box.status)
            if box.location:
                self.send_header("Location", box.location)
            self.end_headers()
            self.wfile.write(b"invalid_token" if box.status >= 400 else b"ok")

        def log_message(self, *_args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if pem is not None:
            server.socket = server_context(pem).wrap_socket(server.socket, server_side=True)
        box.port = server.server_address[1]
        with _serving(server):
            yield box


@dataclass(frozen=True)
class Received:
    """A mail as a server has it. :ivar login: user and password; "" where there was none."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    login: str


class _MailServer(socketserver.ThreadingTCPServer):
    """:ivar refused: a mailbox that it does not take. :ivar late: it goes away after the mail, without a word."""

    daemon_threads = True
    box: Inbox
    pem: Path | None
    refused: str
    at_once: bool
    late: bool


class _MailHandler(socketserver.StreamRequestHandler):
    """Each command of SMTP is a method, by its first four letters."""

    server: _MailServer
    encrypted, login, sender = False, "", ""

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        with suppress(OSError):
            if self.server.at_once:
                self.secure()
            self.say("220 test ESMTP")
            while line := self.rfile.readline():
                word, rest = line.decode().strip()[:4].lower(), line.decode().strip()[5:]
                if word == "quit":
                    self.say("221 bye")
                    return
                getattr(self, f"on_{word}")(rest)
                if word == "data" and self.server.late:
                    return

    def on_ehlo(self, _rest: str) -> None:
        more = [] if self.server.pem is None or self.encrypted else ["STARTTLS"]
        offers = ["test", *more, *(["AUTH PLAIN"] if self.encrypted else [])]
        for one in offers[:-1]:
            self.say(f"250-{one}")
        self.say(f"250 {offers[-1]}")

    def on_star(self, _rest: str) -> None:
        self.say("220 go")
        self.secure()

    def on_auth(self, rest: str) -> None:
        self.login = base64.b64decode(rest.split()[1]).decode().replace("\0", "/")
        self.say("235 in" if not self.login.endswith("wrong") else "535 no such login")

    def on_mail(self, rest: str) -> None:
        self.sender, self.to = rest.partition("<")[2].partition(">")[0], list[str]()
        self.say("250 ok")

    def on_rcpt(self, rest: str) -> None:
        name = rest.partition("<")[2].partition(">")[0]
        self.to += [] if name == self.server.refused else [name]
        self.say("250 ok" if name != self.server.refused else "550 no such mailbox")

    def on_rset(self, _rest: str) -> None:
        self.say("250 ok")

    def on_data(self, _rest: str) -> None:
        self.say("354 go")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        made = message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.box.put(Received(self.sender, tuple(self.to), made, self.encrypted, self.login))
        self.say("250 taken")

    def secure(self) -> None:
        assert self.server.pem is not None
        self.connection = server_context(self.server.pem).wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.encrypted = True


@contextmanager
def mail_server(
    pem: Path | None = None, *, refused: str = "", at_once: bool = False, late: bool = False
) -> Iterator[Inbox]:
    """An SMTP server; with ``pem`` it offers STARTTLS, or begins with TLS (``at_once``)."""
    box = Inbox()
    with _MailServer(("127.0.0.1", 0), _MailHandler) as server:
        server.box, server.pem, server.refused, server.at_once, server.late = box, pem, refused, at_once, late
        box.port = server.server_address[1]
        with _serving(server):
            yield box


@contextmanager
def system_log(transport: str, pem: Path | None = None) -> Iterator[Inbox]:
    """A system log; messages are bytes, without their framing."""
    box = Inbox()
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            box.port = sock.getsockname()[1]
            sock.settimeout(0.02)
            with _reading(lambda: box.put(sock.recv(65_536))):
                yield box
        return

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if pem is not None:
                self.request = server_context(pem).wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            data = self.rfile.read()
            while data:
                length, _blank, rest = data.partition(b" ")
                box.put(rest[: int(length)])
                data = rest[int(length) :]

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_args: Any) -> None:
            return  # a client that does not trust it goes away

    with Server(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        with _serving(server):
            yield box


@contextmanager
def _reading(take: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                take()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def silent() -> Iterator[Inbox]:
    """Accepts every connection, and never answers."""
    box = Inbox()
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        box.port = server.getsockname()[1]
        server.settimeout(0.02)

        def take() -> None:
            held.append(server.accept()[0])
            box.put("accepted")

        with _reading(take):
            yield box
    for one in held:
        one.close()
