"""A speed limit that several uploads can share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable


class Limiter:
    """A token bucket: at most ``rate`` bytes per second over all who take from it. Thread-safe."""

    def __init__(self, rate: int) -> None:
        """:param rate: bytes per second, more than 0."""
        self._rate = float(rate)
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def reserve(self, count: int) -> float:
        """Book ``count`` bytes; seconds to wait before they may be sent."""
        with self._lock:
            now = time.monotonic()
            start = max(self._free_at, now)
            self._free_at = start + count / self._rate
            return start - now


def take(limits: Iterable[Limiter], count: int, stop: Callable[[], bool] = lambda: False) -> None:
    """Wait until every limit allows ``count`` bytes, or until ``stop`` says not to."""
    until = time.monotonic() + max((limit.reserve(count) for limit in limits), default=0.0)
    while (rest := until - time.monotonic()) > 0 and not stop():
        time.sleep(min(rest, 0.5))
