"""``keysecure.service``: the API on port 443 and a listener on port 5432."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .api import Api, Handler
from .appliance import Appliance
from .store import FOLDER

_RULE = "#" * 70
_TLS_HELLO = b"\x16"
_CERTIFICATE = Path("/opt/keysecure/tls.pem")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answers in TLS who begins with it, where the node has a certificate, and anybody else in plain HTTP."""
        if not self.tls or request.recv(1, socket.MSG_PEEK) != _TLS_HELLO:
            super().finish_request(request, client_address)
            return
        with contextlib.suppress(OSError), self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)


def listen(appliance: Appliance) -> None:
    """For ever: port 5432 is open exactly while the node serves."""
    listener: socket.socket | None = None
    while True:
        if listener is None:
            if not appliance.serving():
                time.sleep(0.1)
                continue
            listener = socket.create_server(("", 5432), backlog=128)
            listener.settimeout(0.3)
        with contextlib.suppress(OSError):  # above all TimeoutError
            listener.accept()[0].close()
        if not appliance.serving():
            listener.close()
            listener = None


def main() -> None:
    """Boots the node's services and serves."""
    appliance = Appliance(FOLDER)
    appliance.boot()
    banner = f"\n{_RULE}\n\n{'Version ' + appliance.doc['version']:^70}\n\n{_RULE}\n\n"
    Path("/etc/motd").write_text(banner)
    Handler.api = Api(appliance)
    threading.Thread(target=listen, args=(appliance,), daemon=True).start()
    threading.Thread(target=Handler.api.peers.gossip, daemon=True).start()
    server = _Server(("", 443), Handler)
    if _CERTIFICATE.exists():
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(_CERTIFICATE)
    server.serve_forever()


if __name__ == "__main__":
    main()
