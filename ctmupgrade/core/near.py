"""What was probably meant, where a name that somebody typed is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like ``word``; "" where none is."""
    by_small = {name.casefold(): name for name in names}
    near = get_close_matches(word.casefold(), by_small, n=1)
    return by_small[near[0]] if near else ""


def meant(word: str, names: Iterable[str]) -> str:
    """Return ``; did you mean NAME?``, to be put behind a complaint; "" where nothing is like it."""
    near = nearest(word, names)
    return f"; did you mean {near}?" if near else ""
