"""Notes of a plan: what its reader must know before, and the same for who reads a report of it afterwards."""

from __future__ import annotations

from collections.abc import Iterable


class Note(str):
    """A note as a plan says it. :ivar past: as a report says it once all is done."""

    __slots__ = ("past",)
    past: str


def note(text: str, past: str) -> Note:
    """Return a note with both of its texts."""
    made = Note(text)
    made.past = past
    return made


def past_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes as they are said afterwards; what has only one text, such as a rule of the vendor's, stays as it is."""
    return tuple(one.past if isinstance(one, Note) else str(one) for one in notes)
