"""Times as a page shows them: in the run's own zone, short, with the whole time for programs."""

from __future__ import annotations

from datetime import datetime

from ctmupgrade.render.markup import Markup, tag


def zone_words(moment: datetime) -> str:
    """Return the zone of a time, which has one: "UTC+01:00"."""
    return f"UTC{moment.isoformat()[-6:]}".removesuffix("+00:00")


def shown(moment: datetime | str, like: datetime) -> str:
    """Return a time with its date, in the zone of another one: "2026-01-10 21:03:32"; "" where there is none.

    :param moment: also in ISO 8601.
    """
    if not moment:
        return ""
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{known.astimezone(like.tzinfo):%Y-%m-%d %H:%M:%S}"


def time_tag(moment: datetime | str, like: datetime) -> Markup | str:
    """Return the same as an element; "-" where there is none."""
    if not moment:
        return "-"
    whole = moment if isinstance(moment, str) else moment.isoformat(timespec="seconds")
    return tag("time", shown(moment, like), datetime=whole)


def span_tags(begins: datetime | str, ends: datetime | str, like: datetime) -> list[Markup | str]:
    """Return from when to when, the day once where it is one."""
    last = time_tag(ends, like)
    if isinstance(last, Markup) and shown(begins, like)[:10] == shown(ends, like)[:10]:
        whole = ends if isinstance(ends, str) else ends.isoformat(timespec="seconds")
        last = tag("time", shown(ends, like)[11:], datetime=whole)
    return [time_tag(begins, like), " to ", last]
