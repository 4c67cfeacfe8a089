"""Fields of ``ksctl``'s answers: what each may be, whoever wrote it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeAlias

Json: TypeAlias = dict[str, object]

NODE_ID = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,63})?")  # "" where unclustered; never read as an option
BACKUP_ID = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,127})?")
YEARS = range(1970, 2200)


def whole(value: object) -> int | None:
    """Return a whole number; None for anything else, also for true."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def object_of(value: object) -> Json:
    """Return a JSON object; an empty one for anything else."""
    return value if type(value) is dict else {}


def instant(text: object) -> datetime | None:
    """Return an ISO 8601 time with zone, nanoseconds cut; None where it is not one, or of another age."""
    if not isinstance(text, str):
        return None
    if len(text) > 64:
        return None
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        value = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    if value.year not in YEARS:
        return None  # differences with it would overflow
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def uptime(text: str) -> float:
    """Return seconds of ``0 days, 3 hours, 22 minutes`` (captured on 2.19); -1 where it is something else."""
    found = re.match(r"(\d{1,6}) days?, (\d{1,3}) hours?, (\d{1,3}) minutes?", text, re.ASCII)
    if not found:
        return -1.0
    days, hours, minutes = (int(part) for part in found.groups())
    return float(days * 86400 + hours * 3600 + minutes * 60)
