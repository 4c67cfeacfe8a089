"""When a job that runs by itself runs next, by its ``run_at`` in the form of cron (five fields; six, with seconds first)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

MACROS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES: tuple[dict[str, int], ...] = ({}, {}, {}, {n: i for i, n in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)},
          {n: i for i, n in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])})  # fmt: skip
FARTHEST = timedelta(days=14)  # so far ahead a time is looked for


def next_run(run_at: str, start: datetime, end: datetime) -> datetime | None:
    """Return the first minute from start to end, at most :data:`FARTHEST` later, in which the job runs; None: none.

    The minutes are those of the start's time zone.

    :raises ValueError: it is not of this form.
    """
    text = MACROS.get(run_at.strip().lower(), run_at.strip())
    if re.fullmatch(r"@every\s+\S+", text):
        return start
    fields = text.split()
    if len(fields) == 6:
        fields = fields[1:]
    if len(fields) != 5:
        raise ValueError(f"{run_at!r} has not five fields")
    minutes, hours, days, months, weekdays = (
        _values(field, *limits, names) for field, limits, names in zip(fields, _FIELDS, _NAMES, strict=True)
    )
    weekdays = frozenset(day % 7 for day in weekdays)
    by_day, by_weekday = _restricts(fields[2]), _restricts(fields[4])
    at = start.replace(second=0, microsecond=0) + timedelta(
        minutes=1 if start.second or start.microsecond else 0
    )
    last = min(end, start + FARTHEST)
    while at <= last:
        in_days, in_weekdays = at.day in days, at.isoweekday() % 7 in weekdays
        # cron: where both restrict, one of them is enough
        day = (in_days or in_weekdays) if by_day and by_weekday else (in_days and in_weekdays)
        if day and at.month in months and at.hour in hours:
            if at.minute in minutes:
                return at
            at += timedelta(minutes=1)
        else:
            at = at.replace(minute=0) + timedelta(hours=1)
    return None


def _restricts(field: str) -> bool:
    return not field.startswith(("*", "?"))


def _values(field: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    """:raises ValueError: not a field of cron."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            low, high = least, most
        else:
            low = _number(first, names)
            high = _number(last, names) if dash else (most if step else low)
        width = int(step) if step else 1
        if not (least <= low <= high <= most) or width < 1:
            raise ValueError(f"{field!r} is not a field of cron")
        found |= set(range(low, high + 1, width))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    if text[:3] in names:
        return names[text[:3]]
    if not re.fullmatch(r"\d{1,2}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a number of cron")
    return int(text)
