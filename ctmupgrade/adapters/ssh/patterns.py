"""Patterns with ``*`` and ``?`` as OpenSSH has them, in linear time, and its ``%`` tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ctmupgrade.errors import UsageError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,127})\}")
_TOKEN = re.compile(r"%(.?)", re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern of ``*`` (anything) and ``?`` (one character) fits the whole text."""
    at = place = 0
    star = mark = -1
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = mark, star + 1
        else:
            return False
    return all(sign == "*" for sign in pattern[place:])


def matches_list(patterns: list[str], text: str) -> bool:
    """Return whether one of them fits, and none that begins with ``!`` does; capitals do not count."""
    hit = False
    for pattern in patterns:
        if matches(pattern.removeprefix("!").lower(), text.lower()):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit


def filled(text: str, tokens: Mapping[str, str], where: str) -> str:
    """Return ``text`` with ``%h`` and the like replaced.

    :param where: the keyword it is the value of, for the error.
    :raises UsageError: a token that is not among ``tokens``.
    """

    def value(found: re.Match[str]) -> str:
        letter = found[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            raise UsageError(
                f"{where} {text!r} of the SSH configuration: %{letter} is not understood",
                remedy="Write the value without it, or set the key in cluster.yaml.",
            )
        return tokens[letter]

    return _TOKEN.sub(value, text)


def with_variables(text: str, where: str) -> str:
    """Return ``text`` with each ``${NAME}`` replaced from the environment.

    :raises UsageError: a variable that is not set, which OpenSSH refuses too.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise UsageError(
                f"{where} {text!r} of the SSH configuration: the variable {found[1]} is not set",
                remedy=f"export {found[1]}=...",
            )
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)
