"""Which addresses host names stand for, as this machine's resolver says, within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from ctmupgrade.core.names import address_in

LIMIT = 5.0  # seconds for all names of one question; a resolver that does not answer takes many times of it
KEPT = 60.0  # seconds until a name that was not found is asked for again
MOST = 200  # names of one process; a cluster has 20 nodes with some names each


def _resolve(host: str) -> frozenset[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return frozenset(filter(None, (address_in(str(row[4][0])) for row in found)))


class ResolvedNames:
    """Implements :class:`ctmupgrade.core.names.Names`. Thread-safe; asks for each name once, all of them at once."""

    def __init__(self, resolve: Callable[[str], frozenset[str]] = _resolve, limit: float = LIMIT) -> None:
        """:param resolve: raises OSError or ValueError for what is no name. :param limit: seconds, see LIMIT."""
        self._resolve, self._limit = resolve, limit
        self._lock, self._question = threading.Lock(), threading.Lock()
        self._known: dict[str, tuple[frozenset[str], float]] = {}
        self._asked: set[str] = set()

    def addresses(self, hosts: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """See :meth:`ctmupgrade.core.names.Names.addresses`."""
        wanted = dict.fromkeys(hosts)
        with self._question:  # who asks for the same names meanwhile gets them too, and not "unknown"
            self._learn(wanted)
        return {host: frozenset({own} if (own := address_in(host)) else self._found(host)) for host in wanted}

    def _learn(self, hosts: Iterable[str]) -> None:
        names = [host for host in hosts if host and not address_in(host) and not self._fresh(host)]
        threads = [threading.Thread(target=self._ask, args=(name,), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        until = time.monotonic() + self._limit
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _fresh(self, host: str) -> bool:
        """Whether nothing is asked for it: it is known, was not found a moment ago, or there are too many."""
        with self._lock:
            found, at = self._known.get(host, (frozenset(), 0.0))
            if found or (host in self._known and time.monotonic() - at < KEPT):
                return True
            if host not in self._asked and len(self._asked) >= MOST:
                return True
            self._asked.add(host)
            self._known[host] = (
                frozenset(),
                time.monotonic(),
            )  # where no answer comes
            return False

    def _ask(self, host: str) -> None:
        try:
            found = self._resolve(host)
        except (OSError, ValueError):  # UnicodeError is one: a label too long
            return
        with self._lock:
            self._known[host] = (found, time.monotonic())

    def _found(self, host: str) -> frozenset[str]:
        with self._lock:
            return self._known.get(host, (frozenset(), 0.0))[0]
