"""How far one member of a cluster is behind another, as ``ksctl cluster summary`` says it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the other node of a link is behind the one that reports it. None: not said.

    :ivar seconds: of changes that it has not written or applied; the largest of what is said.
    :ivar bytes: the same in bytes.
    :ivar catchup_s: how long catching up is said to take.
    :ivar blocked: whether replication to it has stopped.
    :ivar unclear: what was said and is not understood.
    """

    seconds: float | None = None
    bytes: int | None = None
    catchup_s: float | None = None
    blocked: bool | None = None
    unclear: str = ""

    @property
    def told(self) -> bool:
        """Return whether anything is said at all; not every release's summary has these fields."""
        return not (self.blocked is None and self.seconds is None and self.bytes is None)


_INTERVALS = ("writeLag", "flushLag", "replayLag", "catchupInterval")
_BYTES = ("sentLagBytes", "writeLagBytes", "flushLagBytes", "replayLagBytes")
_FIELDS = ("replicationBlocked", *_INTERVALS, *_BYTES)


def lag_of(info: Mapping[str, object]) -> Lag:
    """Return how far the peer is behind, by its ``nodeInfo`` in a cluster summary (captures).

    PostgreSQL says no time (null) of a link over which nothing goes.
    """
    told = tuple(map(info.get, _FIELDS))
    try:
        return _lag(*told)
    except TypeError:  # a list or an object where a text or a number is expected
        return Lag(unclear=str(told)[:80])


@lru_cache(maxsize=256, typed=True)
def _lag(blocked: object, *told: object) -> Lag:
    """The same of the values of :data:`_FIELDS`: twenty nodes say the same of one another, again and again."""
    times = [_interval(value) for value in told[: len(_INTERVALS)]]
    in_bytes = [_count(value) for value in told[len(_INTERVALS) :]]
    unclear = [
        f"{name} {str(value)[:40]}"
        for name, value, seconds in zip(_INTERVALS, told, times, strict=False)
        if seconds is not None and seconds < 0
    ]
    if blocked is not None and not isinstance(blocked, bool):
        unclear.append(f"replicationBlocked {str(blocked)[:40]}")
    return Lag(
        seconds=max((value for value in times[:-1] if value is not None), default=None),
        bytes=max((value for value in in_bytes if value is not None), default=None),
        catchup_s=times[-1],
        blocked=blocked if isinstance(blocked, bool) else None,
        unclear=", ".join(unclear),
    )


_INTERVAL = re.compile(
    r"(?P<sign>-?)(?:(?P<days>\d{1,6}) days?,? ?)?(?:(?P<h>\d{1,6}):(?P<m>\d\d):(?P<s>\d\d(?:\.\d{1,9})?))?",
    re.ASCII,
)


def _interval(value: object) -> float | None:
    """Seconds of an interval as PostgreSQL prints it (``00:00:00.000873``, ``1 day 02:00:00``), or of a number. None:
    not said. -1: it is something else. One that is below zero, for clocks differ, is 0."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, float(value)) if math.isfinite(value) else -1.0
    found = _INTERVAL.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or not (found["days"] or found["h"]):
        return -1.0
    seconds = int(found["days"] or 0) * 86400 + int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60
    return 0.0 if found["sign"] else seconds + float(found["s"] or 0)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
