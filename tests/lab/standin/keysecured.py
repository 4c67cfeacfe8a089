"""``keysecure.service``: the API on port 443 and a listener on port 5432."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from .api import Api, Handler
from .appliance import Appliance
from .store import FOLDER

_RULE = "#" * 70


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


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
    _Server(("", 443), Handler).serve_forever()


if __name__ == "__main__":
    main()
