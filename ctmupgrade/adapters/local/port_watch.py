"""Asks the ports that clients use whether they answer: a TCP connection each, closed at once, from one thread."""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias

from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen

PATIENCE = 3.0  # seconds until a connection counts as not answered: the second SYN goes out after one
MOST_NEWS = 10_000  # looks that wait to be read: nobody reads any more where there are so many
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EPERM)
_Address: TypeAlias = tuple[int, tuple[object, ...]]  # family, and what connect takes


class TcpPortWatch:
    """Implements :class:`ctmupgrade.ports.PortWatch`. All ports of a look are asked at the same time."""

    def __init__(self, now: Callable[[], datetime], patience: float = PATIENCE) -> None:
        self._now, self._patience = now, patience
        self._news: queue.SimpleQueue[PortsSeen] = queue.SimpleQueue()
        self._over = threading.Event()
        self._addresses: dict[str, Sequence[_Address]] = {}

    def begin(self, ports: Sequence[ClientPort], every_s: float) -> None:
        """See :meth:`ctmupgrade.ports.PortWatch.begin`. A daemon thread: leaving the process never waits for it."""
        run = threading.Thread(
            target=self._run, args=(tuple(ports), every_s), name="client ports", daemon=True
        )
        with suppress(RuntimeError):  # no thread to be had: the ports are not measured
            run.start()

    def news(self) -> Sequence[PortsSeen]:
        """See :meth:`ctmupgrade.ports.PortWatch.news`."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._news.get_nowait())
        return found

    def end(self) -> None:
        """See :meth:`ctmupgrade.ports.PortWatch.end`."""
        self._over.set()

    def _run(self, ports: Sequence[ClientPort], every_s: float) -> None:
        last: dict[str, bool] = {}
        before: datetime | None = None
        while not self._over.is_set() and self._news.qsize() < MOST_NEWS:
            began, seen = time.monotonic(), self._now()
            slept = before is not None and (seen - before).total_seconds() > 3 * every_s + self._patience + 30
            answers = self._look(ports)
            changed = {key: up for key, (up, _why) in answers.items() if slept or last.get(key) is not up}
            if changed and not self._over.is_set():
                why = {key: answers[key][1] for key, up in changed.items() if not up}
                self._news.put(PortsSeen(seen, changed, why, before if slept else None))
            last |= changed
            before = seen
            self._over.wait(max(0.05, every_s - (time.monotonic() - began)))

    def _look(self, ports: Sequence[ClientPort]) -> Mapping[str, tuple[bool, str]]:
        """Whether each port answers, and why not. One that this machine could not ask is not in it."""
        found: dict[str, tuple[bool, str]] = {}
        with selectors.DefaultSelector() as selector:
            for port in ports:
                with suppress(OSError):  # of this machine: no more files, no more memory
                    if why := self._dial(port, selector):
                        found[port.key] = False, why
            until = time.monotonic() + self._patience
            while selector.get_map() and (left := until - time.monotonic()) > 0:
                for key, _events in selector.select(left):
                    selector.unregister(key.fileobj)
                    name, opened = key.data
                    if (number := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) not in _OURS:
                        found[name] = number == 0, os.strerror(number) if number else ""
                    opened.close()
            for key in list(selector.get_map().values()):
                name, opened = key.data
                found[name] = False, "no answer"
                opened.close()
        return found

    def _dial(self, port: ClientPort, selector: selectors.BaseSelector) -> str:
        """Begin to connect; return why that cannot be, "" where it is under way. :raises OSError: of this machine."""
        addresses = self._addresses_of(port)
        if not addresses:
            return "its name is not known here"
        family, address = addresses[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            number = opened.connect_ex(address)
            if number in (0, errno.EINPROGRESS):
                selector.register(opened, selectors.EVENT_WRITE, (port.key, opened))
                return ""
        except BaseException:
            opened.close()
            raise
        opened.close()
        if number in _OURS:
            raise OSError(number, os.strerror(number))
        return os.strerror(number)

    def _addresses_of(self, port: ClientPort) -> Sequence[_Address]:
        """What a name means, looked up once: while nodes restart, so may the name server among them."""
        held = self._addresses.get(port.key)
        if not held:
            try:
                told = socket.getaddrinfo(port.host, port.port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError, ValueError):
                return ()
            held = self._addresses[port.key] = [(int(one[0]), one[4]) for one in told]
        return held
