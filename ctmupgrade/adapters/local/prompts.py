"""Knows the prompts at which the backup key's password is typed.

What ksctl really prints is not known (docs/appliance.md 8.10). So a prompt is read word by word, and one word that is
not known, a host's or a user's name for one, is enough to type nothing there.
"""

from __future__ import annotations

import re

from ctmupgrade.core.clean_text import clean

_LONGEST = 300  # characters of a line that is a prompt
_ASKS = re.compile(r"pass(?:word|phrase)[^\n]{0,200}[:?]\s{0,16}$", re.I)
_MARKS = re.compile(r"[\s\"'`()\[\],!*>?]+")  # what says nothing: the words are what is between
_FILLER = r"(?:(?:please|enter|type|provide|input|new|a|an|the|your|this) ){0,8}"
_ASKED_WORD = r"pass(?:word|phrase)"
# An id has a digit: without one it might be a word, such as a host's name.
_KEY = r"(?:back-?up[ -]?)?key(?: (?:id:? )?(?=[a-f-]*[0-9])[0-9a-f-]{4,64})?"
_FOR = rf"(?:for|of|to (?:encrypt|decrypt|protect|wrap|unwrap|unlock|restore)) (?:(?:the|a|this|your|new) ){{0,2}}{_KEY}"
_LEAST = r"(?: (?:min|minimum|at least) [0-9]{1,3} (?:chars|characters))?"
_NAMED = re.compile(
    rf"{_FILLER}(?:(?:{_KEY}(?: s)?|back-?up) {_ASKED_WORD}|bk-?{_ASKED_WORD}|{_ASKED_WORD} {_FOR}){_LEAST}"
)
_BARE = re.compile(rf"{_FILLER}{_ASKED_WORD}{_LEAST}")
_AGAIN = re.compile(
    rf"(?:please )?(?:and )?(?:now )?(?:confirm|repeat|re-?enter|re-?type|verify) {_FILLER}{_ASKED_WORD}(?: again)?"
    rf"|{_FILLER}{_ASKED_WORD} (?:again|confirmation)"
)
_REPEATED = re.compile(r"^(?:please )?(?:confirm|repeat|re-?enter|re-?type|verify) | again$")


def asked(said: str) -> str | None:
    """Return the last line of what a program has said, where it asks for a password; else None."""
    line = clean(said).rpartition("\n")[2]
    return line if _ASKS.search(line) else None


def may_answer(line: str, *, named: bool) -> bool:
    """Return whether a prompt asks for the backup key's password, or for one without saying whose: the login's is not
    asked for, as ksctl has it in its environment.

    :param named: one was answered before, so that a repetition of it is asked for.
    """
    if len(line) > _LONGEST:
        return False
    words = _MARKS.sub(" ", line.lower().rstrip(" \t:?")).strip()
    if _BARE.fullmatch(words) or _NAMED.fullmatch(_REPEATED.sub("", words)):
        return True
    return named and _AGAIN.fullmatch(words) is not None
