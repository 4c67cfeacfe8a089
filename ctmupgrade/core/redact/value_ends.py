"""Knows where a value ends that begins somewhere in a text: a word, a quoted one, a line, a block of YAML."""

from __future__ import annotations

import re

NO_SECRET = re.compile(
    r"(?:\*{3,}|\.{3}|…|null|none|nil|true|false|yes|no|required|empty|unknown|set|\(|<[\w -]{1,40}>|\$\{?\w{1,64}\}?|"
    r"\[\]|\{|\"\"|'')(?=[\s\"',;)}\]<]|\Z)",
    re.IGNORECASE,
)
_OPENING = re.compile(r"(\\{0,16})([\"'])")
_LINE = re.compile(r"[^\n\r]*")
_FAR = 65_536  # characters: a closing quote or bracket that is farther away is none
# A word goes on to the next of these, which end it where nothing follows them that could be part of it.
_WORD = re.compile(r"[^\s\"'\\]*"), re.compile(r"[\"'\\]+")
_LISTED = re.compile(r"[^\s\"'\\,;)}\]]*"), re.compile(r"[\"'\\,;)}\]]+")
_BEHIND = ",;:)}]>"


def end_of_value(text: str, at: int, delimiter: str, *, line: bool) -> int:
    """Return where a value that begins at ``at`` ends.

    :param delimiter: what stands between the name and it.
    :param line: the name is the first on its line: with a colon the value may have blanks in it, as in YAML.
    """
    if delimiter == ">" and text.startswith("<![CDATA[", at):
        end = text.find("]]>", at, at + _FAR)
        return end + 3 if end >= 0 else _end_of_line(text, at)
    if text[at] == "[" or delimiter == ">":
        end = text.find("<" if delimiter == ">" else "]", at, at + _FAR)
        return end + (delimiter != ">") if end >= 0 else _end_of_line(text, at)
    if opening := _OPENING.match(text, at):
        return _end_of_quoted(text, opening)
    if line and delimiter == ":":
        return _end_of_scalar(text, at)
    return _end_of_word(text, at, *(_WORD if delimiter == "=" else _LISTED))


def _end_of_line(text: str, at: int) -> int:
    found = _LINE.match(text, at)
    return found.end() if found else at


def _end_of_word(text: str, at: int, body: re.Pattern[str], marks: re.Pattern[str]) -> int:
    """Of a word without quotes around it, which may have some in it."""
    while found := body.match(text, at):
        at = found.end()
        stop = marks.match(text, at)
        if stop is None:
            break
        behind = text[stop.end() : stop.end() + 1]
        quoted = '"' in stop[0] or "'" in stop[0]
        ends = not behind.strip() or behind in _BEHIND or (quoted and len(stop[0]) > 1 and body is _LISTED[0])
        if ends and stop[0].strip("\\"):
            break
        at = stop.end()
    return at


def _end_of_quoted(text: str, opening: re.Match[str]) -> int:
    """Behind the quote that closes. Escaped ones and ``''`` do not; what is glued to it is part of the word."""
    slashes, quote, at = len(opening[1]), opening[2], opening.end()
    while (found := text.find(quote, at, opening.end() + _FAR)) >= 0:
        count = found - len(text[at:found].rstrip("\\")) - at
        at = found + 1
        if count != slashes if slashes else count % 2:
            continue
        if quote == "'" and text[at : at + 1] == quote:
            at += 1
            continue
        glued = text[at : at + 1].strip() and text[at] not in _BEHIND + "/&|<"
        if slashes or not glued or (text[at] == "\\" and text[at + 1 : at + 2] not in ("'", '"')):
            return at
        return _end_of_word(text, at, *_WORD)
    return _end_of_line(text, opening.end())


def _end_of_scalar(text: str, at: int) -> int:
    """Of a YAML value: its line, or for ``|`` and ``>`` the lines that are further in."""
    end = _end_of_line(text, at)
    if text[at] not in "|>":
        return end
    begin = text.rfind("\n", max(0, at - 200), at) + 1
    indent = len(text[begin:at]) - len(text[begin:at].lstrip(" -"))
    while end < len(text):
        line = _LINE.match(text, end + 1)
        if line is None or (line[0].strip() and len(line[0]) - len(line[0].lstrip()) <= indent):
            break
        end = line.end()
    return end
