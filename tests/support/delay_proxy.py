"""A long link on loopback, where the machine has no ``netem``: a TCP proxy that delays and limits.

``python -m tests.support.delay_proxy PORT --delay 0.025 --rate 125000000`` prints its own port and serves
until it is killed. A round trip takes twice ``--delay``; ``--rate`` is bytes per second in each direction
of all connections together, as on one line.
"""

from __future__ import annotations

import argparse
import queue
import socket
import threading
import time
from contextlib import suppress

PIECE = 65_536
PATIENCE = 0.02  # seconds of traffic that wait in front of the line before senders are held back


class Line:
    """One direction: what enters leaves ``delay`` later, at most ``rate`` bytes a second."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay, self.rate = delay, rate
        self._lock = threading.Lock()
        self._free = 0.0

    def enter(self, count: int) -> float:
        """Takes ``count`` bytes, when there is room. :returns: when they arrive (monotonic seconds)."""
        with self._lock:
            now = time.monotonic()
            self._free = max(self._free, now) + count / self.rate
            free = self._free
        if free - now > PATIENCE:
            time.sleep(free - now - PATIENCE)
        return free + self.delay


def carry(source: socket.socket, target: socket.socket, line: Line) -> None:
    """Everything from ``source`` to ``target`` until its end, in two threads: this one takes it in."""
    under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    out = threading.Thread(target=_deliver, args=(under_way, target), daemon=True)
    out.start()
    with suppress(OSError):
        while piece := source.recv(PIECE):
            under_way.put((line.enter(len(piece)), piece))
    under_way.put((time.monotonic() + line.delay, b""))
    out.join()


def _deliver(under_way: queue.SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    with suppress(OSError):
        while True:
            due, piece = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(piece)


def serve(listener: socket.socket, port: int, there: Line, back: Line) -> None:
    """Accepts connections until the listener is closed, and carries them to ``port`` on this machine."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port))
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((near, far, there), (far, near, back)):
            threading.Thread(target=carry, args=pair, daemon=True).start()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.025, help="seconds, one way")
    parser.add_argument("--rate", type=float, default=125e6, help="bytes per second")
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, given.port, Line(given.delay, given.rate), Line(given.delay, given.rate))


if __name__ == "__main__":
    main()
