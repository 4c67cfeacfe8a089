"""What was probably meant, where a name that somebody typed is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like ``word``; "" where none is, or several are as much: of ctm-1, ctm-2 and ctm-3 none
    is more like ctm-9 than the others, and a guess may be followed at night."""
    small = word.casefold()
    by_small = {name.casefold(): name for name in names}
    near = get_close_matches(small, by_small, n=2)
    alike = [SequenceMatcher(None, one, small).ratio() for one in near]
    return by_small[near[0]] if near and alike.count(alike[0]) == 1 else ""


def meant(word: str, names: Iterable[str]) -> str:
    """Return ``; did you mean NAME?``, to be put behind a complaint; "" where nothing is like it."""
    near = nearest(word, names)
    return f"; did you mean {near}?" if near else ""
