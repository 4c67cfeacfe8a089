"""Time that passes only where somebody sleeps: how long something takes is a sum then, and no measurement."""

from __future__ import annotations

import pytest

from ctmupgrade.adapters.ssh import rate_limit


class VirtualTime:
    """What a module uses of ``time``."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limits_in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    """Speed limits that are made from now on wait in virtual time."""
    made = VirtualTime()
    monkeypatch.setattr(rate_limit, "time", made)
    return made
