"""Finds known values that something was put between: a line end, blanks, characters that are not seen, colons between
the digits of hexadecimal, the columns of a dump.

The text is searched without what may have been put in, in one pass for each secret; where it was is looked up only when
there is something to hide.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import accumulate

from ctmupgrade.core.clean_text import FORMAT

Span = tuple[int, int]

_PUT_IN = re.compile(f"[\\s\\\\{FORMAT}]+")  # backslashes: a shell's line goes on behind one
_KEPT = re.compile(f"[^\\s\\\\{FORMAT}]+")
_IN_DIGITS = re.compile(r"[0-9A-Fa-f]{2}[:\s-]{1,2}[0-9A-Fa-f]{2}")
_DIGITS = re.compile(r"[0-9A-Za-z]+")
# A line of xxd, hexdump -C or od: where it is, digits of up to 32 bytes, and the same as text.
_DUMP = re.compile(
    r"(?m)^[ \t|>]{0,16}[0-9a-fA-F]{4,16}:?[ \t]{1,4}((?:[0-9a-fA-F]{2,8}[ \t]{1,3}){0,32}[0-9a-fA-F]{2,8})(?![^\s|])[^\n]*"
)


def bare(value: str) -> str:
    """Return a value as it is looked for by :func:`spans`."""
    return _PUT_IN.sub("", value)


def spans(text: str, wanted: Collection[str], digits: Collection[str]) -> Iterator[Span]:
    """Yield where secrets are: (start, end), in no order.

    :param wanted: the secrets and their codes, without blanks. :param digits: hexadecimal ones, in lower case.
    """
    if _PUT_IN.search(text):
        yield from _within(text, _KEPT, wanted)
    if _IN_DIGITS.search(text):
        yield from _within(text.lower() if text.isascii() else text, _DIGITS, digits)
        yield from _dumped(text, digits)


def _within(text: str, kept: re.Pattern[str], wanted: Collection[str]) -> Iterator[Span]:
    """In what is left of a text where only ``kept`` is kept."""
    pieces = [found.span() for found in kept.finditer(text)]
    yield from _among(text, pieces, wanted)


def _among(text: str, pieces: list[Span], wanted: Collection[str]) -> Iterator[Span]:
    whole = "".join(text[start:end] for start, end in pieces)
    places = [(at, at + len(one)) for one in wanted for at in _all(whole, one)]
    if not places:
        return
    where = [at for start, end in pieces for at in range(start, end)]
    yield from ((where[start], where[end - 1] + 1) for start, end in places)


def _all(text: str, one: str) -> Iterator[int]:
    at = text.find(one)
    while at >= 0:
        yield at
        at = text.find(one, at + len(one))


def _dumped(text: str, digits: Collection[str]) -> Iterator[Span]:
    """Whole lines of a dump, with the column that shows the bytes as text."""
    lines = [(found.span(), "".join(found[1].lower().split())) for found in _DUMP.finditer(text)]
    ends = [*accumulate(len(line) for _, line in lines)]
    whole = "".join(line for _, line in lines)
    for one in digits:
        for at in _all(whole, one):
            yield from (
                span
                for (span, line), end in zip(lines, ends, strict=True)
                if end > at and end - len(line) < at + len(one)
            )
