"""The operator's password program is run once for all nodes that name it, not once a node and all at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ctmupgrade.adapters.locks import if_soon
from ctmupgrade.core.model import Secret
from ctmupgrade.errors import UsageError

KEPT = 60.0  # seconds until a program that failed is asked again: it may take its whole time limit each time


class PasswordOnce:
    """What password programs have answered. Thread-safe: who asks meanwhile waits for the one answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Secret] = {}
        self._failed: dict[str, tuple[UsageError, float]] = {}

    def of(self, command: str | None, read: Callable[[], Secret]) -> Secret:
        """Return the password that ``read`` gets by ``command``; None: by another way, which costs nothing.

        :raises UsageError: it gets none, or got none a moment ago.
        """
        if command is None:
            return read()
        with self._lock:
            if command in self._found:
                return self._found[command]
            error, at = self._failed.get(command, (None, 0.0))
            if error is not None and time.monotonic() - at < KEPT:
                raise UsageError(error.brief, details=error.details, remedy=error.remedy)
            try:
                self._found[command] = read()
            except UsageError as said:
                self._failed[command] = (said, time.monotonic())
                raise
            return self._found[command]

    def forget(self) -> None:
        """Drop what is known, unless somebody waits for an answer just now: then all is over, and nobody asks any more."""
        with if_soon(self._lock) as free:
            if free:
                self._found.clear()
                self._failed.clear()
