"""Reads the lines of an armored keyring (RFC 9580, 6.2), of which gpg passes over in silence what it does not know."""

from __future__ import annotations

import re

_LONGEST = 16_000  # bytes: gpg 2.4 cuts off what is behind 20000 of a line (common/iobuf.c, MAX_LINELEN)
_BEGIN = re.compile(rb"-----BEGIN PGP (PUBLIC|PRIVATE) KEY BLOCK-----")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,40}:(?: .*)?")
_NOTE = re.compile(rb"(?:#.*)?")
_DATA = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_CHECKSUM = re.compile(rb"=[A-Za-z0-9+/]{4}")


def is_armored(data: bytes) -> bool:
    """Return whether gpg looks for armored blocks in a keyring; it takes others as binary."""
    return data[:1] <= b"\x7f" or b"-----BEGIN PGP" in data


def stray_line(data: bytes) -> int:
    """Return the number of the first line, from 1, that is neither of a whole armored block of keys nor blank or a
    comment; 0 where there is none.

    gpg says nothing of such a line and exits 0, and a block whose first line is damaged is nothing but such lines: with
    it goes what it held, a revocation perhaps.
    """
    state, end, number = "outside", b"", 0
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.rstrip(b" \t\r")
        if state == "outside" and _BEGIN.fullmatch(line):
            state, end = "headers", b"-----END" + line[len(b"-----BEGIN") :]
        else:
            state = _next(state, line, end) if len(line) <= _LONGEST else ""
        if not state:
            return number
    return 0 if state == "outside" else number


def _next(state: str, line: bytes, end: bytes) -> str:
    """Where a block is behind this line; "" where the line may not stand there.

    :param end: the last line of the block.
    """
    if state == "outside":
        return state if _NOTE.fullmatch(line) or _HEADER.fullmatch(line) else ""
    if state == "headers":
        return "empty" if not line else state if _HEADER.fullmatch(line) else ""
    if line == end and state != "empty":
        return "outside"
    if _CHECKSUM.fullmatch(line) and state in ("data", "padded"):
        return "checked"
    if _DATA.fullmatch(line) and state in ("empty", "data"):
        return "padded" if line.endswith(b"=") else "data"
    return ""
