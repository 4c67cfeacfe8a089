"""Finds secrets whose values are known in every spelling that a program may give them.

A node knows its own administrator's password, and what it prints of it comes to us quoted for a shell, escaped by
Go's or Python's JSON, percent-encoded in a URL, as HTML, in base64. Each character has its spellings, and they may be
mixed; base64 and hexadecimal digits are spellings of the whole.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from html.entities import codepoint2name

from ctmupgrade.core.redact import folded

HIDDEN = "***"
SHORTEST = 4  # characters: a shorter value stands in every text by chance, and hiding it would say where
_CERTAIN = 6  # characters: a shorter value counts only where no letter or digit is beside it
_LONGEST = 400  # characters of one value whose every spelling is looked for; of the rest as well, in the next pattern
_IN_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_BESIDE = (
    256  # characters of base64 that are hidden with a secret on each side: the user in front of it, for one
)
_SLASHES = r"\\{1,8}"  # they double each time that a text is quoted: JSON in JSON in a shell's word
_NAMED = {
    "\n": "n",
    "\r": "r",
    "\t": "t",
    "\b": "b",
    "\f": "f",
    "\v": "v",
    "\x07": "a",
    "\x1b": "e",
    "\0": "0",
}

_QUOTES = "\\'\""
# What is spelled together: quotes and backslashes; blanks and the plus that is one in a form; what is not
# printed, or not ASCII; else one character.
_RUNS = re.compile(r"[\\'\"]+|[\s+]+|[\x00-\x1f\x7f]+|[^\x00-\x7f]+|.", re.DOTALL)

Span = tuple[int, int]


class SecretValues:
    """Secrets known by value. Immutable."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """:param values: the secrets; those shorter than 4 characters cannot be told from other text."""
        self.values = frozenset(values)
        parts = {part for value in self.values for part in _parts(value)}
        ordered = sorted(parts, key=len, reverse=True)
        self._patterns = [(re.compile(_pattern(part)), len(part) >= _CERTAIN) for part in ordered]
        self._coded = sorted({code for part in ordered for code in _codes(part)})
        self._digits = sorted({_digits(part) for part in ordered if len(part) >= _CERTAIN})
        self._bare = sorted({one for part in ordered if len(one := folded.bare(part)) >= _CERTAIN})
        self.reach = max((_reach(part) for part in ordered), default=0)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def hide(self, text: str) -> str:
        """Return the text with *** in the place of every secret, also where two of them overlap."""
        return cut(text, self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Return where secrets are: (start, end), in no order."""
        found = [
            match.span()
            for pattern, certain in self._patterns
            for match in pattern.finditer(text)
            if certain or _alone(text, *match.span())
        ]
        found += [_widened(text, span) for code in self._coded for span in _places(text, code)]
        found += folded.spans(text, self._bare, self._digits) if self._bare else ()
        found += [_widened(text, span) for span in folded.spans(text, self._coded, ())] if self._coded else ()
        return found


def cut(text: str, spans: list[Span]) -> str:
    """Return the text with *** in the place of each span, and of those that overlap together."""
    if not spans:
        return text
    pieces, last = [], 0
    for start, end in _merged(sorted(spans)):
        pieces += [text[last:start], HIDDEN]
        last = end
    return "".join([*pieces, text[last:]])


def _merged(spans: list[Span]) -> Iterator[Span]:
    start = end = -1
    for one, other in spans:
        if one > end:
            if end > 0:
                yield start, end
            start, end = one, other
        end = max(end, other)
    if end > 0:
        yield start, end


def _parts(value: str) -> Iterator[str]:
    """The value and, where it has several lines, each of them; without blanks around them."""
    plain = value.strip()
    for part in (plain, *(line.strip() for line in plain.splitlines())):
        for at in range(0, len(part), _LONGEST):
            if len(piece := part[at : at + _LONGEST]) >= SHORTEST:
                yield piece


def _alone(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit is beside a span."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


# -- character by character ------------------------------------------------------------------------


def _pattern(value: str) -> str:
    return "".join(_run(run, first=not at) for at, run in enumerate(_RUNS.findall(value)))


def _run(run: str, *, first: bool) -> str:
    """A character, or several that are spelled in the same ways: one by one a text like ``\\\\\\\\`` could be divided
    among them in many ways, which takes for ever.

    :param first: the secret begins with it. The search then skips at once what cannot begin one.
    """
    count, slashes = len(run), r"\\" if first else _SLASHES
    each = "|".join(_escapes(char, slashes) for char in sorted(set(run)))
    if (
        run[0] in _QUOTES
    ):  # the end of a quoted word, the quote, the beginning of the next; doubled in SQL and YAML
        return (r"(?<![\\'\"])" if first else "") + rf"(?:{each}|[\\'\"]){{{count},{24 * count + 8}}}"
    if run[0] == "+" or run[0].isspace():
        return (r"(?<![\s+])" if first else "") + rf"(?:{each}|\\{{0,8}}[\s+]){{1,{2 * count + 2}}}"
    raw = "|".join(_raw(char) for char in sorted(set(run)))
    before = "" if first else r"\\{0,8}"
    if not run[0].isprintable():  # dropped, or a blank, where texts are cleaned
        return f"(?:{raw}|{each}| ){{0,{count}}}"
    if not run[0].isascii():
        lost = ("(?<!\ufffd)" if first else "") + f"\ufffd{{{count},{4 * count}}}"
        others = "|".join(_escapes(char, _SLASHES) for char in sorted(set(run)))
        return rf"(?:(?:{before}(?:{raw})|{each})(?:\\{{0,8}}(?:{raw})|{others}){{{count - 1}}}|{lost})"
    if run == "%":  # doubled in crontabs, units and ini files
        return f"(?:{each}|{before}%{{1,4}})"
    return f"(?:{each}|{before}{raw})" if run == "&" else f"(?:{before}{raw}|{each})"


def _raw(char: str) -> str:
    """A character as it is, composed or not, or as UTF-8 that was read as Latin-1."""
    spelled = {unicodedata.normalize("NFC", char), unicodedata.normalize("NFD", char)}
    spelled.add(char.encode("utf-8", "surrogateescape").decode("latin-1"))
    return "|".join(re.escape(one) for one in sorted(spelled))


def _escapes(char: str, slashes: str) -> str:
    """Every spelling of a character that is not the character itself, as a pattern.

    :param slashes: the pattern of the backslashes in front of an escape.
    """
    data = char.encode("utf-8", "surrogateescape")
    wide = char.encode("utf-16-be", "surrogatepass")
    number = f"{ord(char):x}"
    words = [
        _SLASHES.join(f"x{byte:02x}" for byte in data),
        _SLASHES.join(f"{byte:03o}" for byte in data),
        _SLASHES.join(f"u{wide[i : i + 2].hex()}" for i in range(0, len(wide), 2)),
        rf"u\{{{number}\}}",
        f"U{number:0>8}",
        *([f"x{number}"] if 127 < ord(char) < 256 else ()),
        *([_NAMED[char]] if char in _NAMED else ()),
    ]
    named = codepoint2name.get(ord(char), "apos" if char == "'" else "")
    html = [f"&#0{{0,4}}{ord(char)};", f"&#[xX]0{{0,4}}{_hex(number)};", *([f"&{named};"] if named else ())]
    percent = _hex("".join(f"%{byte:02x}" for byte in data))
    return "|".join([f"{slashes}(?:{'|'.join(map(_hex, words))})", percent, *html])


def _hex(digits: str) -> str:
    return re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", digits)


def _reach(value: str) -> int:
    """The most characters that a spelling of a value can have."""
    return 40 * len(value) + 2 * _BESIDE


# -- as a whole ------------------------------------------------------------------------------------


def _codes(value: str) -> Iterator[str]:
    """What base64 makes of the value wherever it is within what was encoded, and its hexadecimal digits."""
    data = value.encode("utf-8", "surrogateescape")
    if len(data) < _CERTAIN:
        return
    yield data.hex()
    yield data.hex().upper()
    for before in range(5):
        coded = base64.b32encode(bytes(before) + data).decode()
        certain = coded[-(-8 * before // 5) : 8 * (before + len(data)) // 5]
        yield certain
        yield certain.lower()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data).decode()
        # The characters that depend on the value alone.
        certain = coded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        yield certain
        yield certain.replace("+", "-").replace("/", "_")


def _digits(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").hex()


def _places(text: str, code: str) -> Iterator[Span]:
    at = text.find(code)
    while at >= 0:
        yield at, at + len(code)
        at = text.find(code, at + len(code))


def _widened(text: str, span: Span) -> Span:
    """With the base64 around it: its first and last characters belong to the secret too."""
    start, end = span
    first, last = max(0, start - _BESIDE), min(len(text), end + _BESIDE)
    while start > first and text[start - 1] in _IN_BASE64:
        start -= 1
    while end < last and text[end] in _IN_BASE64:
        end += 1
    return start, end
