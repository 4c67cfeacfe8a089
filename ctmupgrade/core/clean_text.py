"""Clean what somebody else wrote, once, where it comes in: no character of it may act on whoever shows it.

Nodes, programs and files of others speak through here before a parser, a terminal, the journal or a report has them.
Each output escapes besides what its own form needs (Markdown, HTML, YAML, shell).
"""

from __future__ import annotations

import re
from functools import lru_cache

# Whole sequences first: what is left of one whose first character is gone ("[2K") is noise. Each part excludes what
# ends it, so that the time is linear in the text, whatever it is.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: moves the cursor, clears, colours
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f\n]*+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS and other strings
    r"|\x1b[ -/]*+[0-Z\\^-~]"  # a single escape; one that begins a sequence without an end loses only its first two
)
# Cc but newline and tab, Cf (bidirectional marks, zero widths, tags), Cs, Zl, Zp of Unicode 16.
FORMAT = (
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_HARMFUL = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{FORMAT}]")
_LINES = re.compile(r"\r\n?")


def clean(text: str) -> str:
    """Return ``text`` with newlines and tabs as its only control characters.

    Escape sequences go as a whole; what carriage returns separate are lines; separators of Unicode become blanks;
    characters without a glyph of their own go, and what is no character becomes U+FFFD.
    """
    return _kept(text) if len(text) < _SHORT else _cleaned(text)


def _cleaned(text: str) -> str:
    if is_clean(text):
        return text
    text = _SEQUENCES.sub("", _LINES.sub("\n", text))
    return _HARMFUL.sub(_instead, text)


_SHORT = 32_768  # characters; nodes say the same again and again, and what is longer is not worth its memory
_kept = lru_cache(maxsize=256)(_cleaned)


def is_clean(text: str) -> bool:
    """Return whether nothing in ``text`` acts."""
    # What Python calls printable is clean; asking costs a hundredth of the search, and nearly every text is.
    return text.replace("\n", "").replace("\t", "").isprintable() or _HARMFUL.search(text) is None


def _instead(found: re.Match[str]) -> str:
    char = found.group()
    if char in "\u2028\u2029":
        return " "
    return "\ufffd" if "\ud800" <= char <= "\udfff" else ""


def one_line(text: str) -> str:
    """Return ``text`` with its lines behind each other: what somebody else said must not begin a line of ours."""
    return " ".join(part for line in text.split("\n") if (part := line.strip())) if "\n" in text else text
