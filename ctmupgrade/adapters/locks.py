"""Locks at the end of the process: Ctrl-C never waits for what another thread waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_OVER = 0.02  # seconds, for each of perhaps twenty nodes


@contextmanager
def if_soon(lock: threading.Lock) -> Iterator[bool]:
    """Hold ``lock`` inside the block, where it is to be had at once; give whether it is. A thread that has it may wait for a
    silent server, or for a password program, and all of that ends with this process."""
    held = lock.acquire(timeout=_OVER)
    try:
        yield held
    finally:
        if held:
            lock.release()
