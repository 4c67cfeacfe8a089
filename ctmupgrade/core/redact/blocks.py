"""Finds private keys in a text, whole or cut off: PEM, OpenPGP, SSH2, PuTTY, a JSON web token, tokens that are known
by how they begin."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_BEGIN = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(r"-{4,5} ?END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
# What stands between two pieces of base64: blanks, and line ends as JSON writes them; a header of the block.
# Possessive, as all that repeats here: a text full of such headers would be tried in every division, for ever.
_BETWEEN = r"(?:[\s|>\"',]|\\{1,8}[nrt]){0,64}+"
_LAST = rf"(?:{_BETWEEN}[A-Za-z0-9+/]{{1,64}}={{0,2}})?"  # the last line is short, or cut off
_BODY = re.compile(
    rf"(?:{_BETWEEN}(?:(?:Proc-Type|DEK-Info|Comment|Version|Subject|Hash|Charset)[^\n\\]{{0,200}}+|[A-Za-z0-9+/=_-]{{16,}}+))*+"
    + _LAST
)
_PUTTY_BODY = re.compile(rf"Private-Lines:[ ]?\d{{0,4}}(?:{_BETWEEN}[A-Za-z0-9+/=]{{16,}}+)*+{_LAST}")
_PUTTY_MAC = re.compile(r"Private-(?:MAC|Hash):[ ]?[0-9a-fA-F]{0,128}")
_SHAPES = re.compile(
    r"(?<![\w-])(?:"
    r"eyJ[\w-]{10,}(?:\.[\w-]*){1,4}"  # JSON web tokens, signed or encrypted
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|hv[sbr]\.[\w-]{20,}|sk_(?:live|test)_\w{10,}|AIza[\w-]{30,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{10,}"
    # what crypt(3) makes of a password, in /etc/shadow
    r"|\$(?:[1256y7]|2[abxy]|gy|sha1|md5|apr1|argon2\w{1,2}|scrypt|pbkdf2[\w-]{0,10})\$[\w./=,+$-]{16,}"
    r")"
)
_HOOK = re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/([\w/]{10,})")


def spans(text: str) -> Iterator[Span]:
    """Yield where private keys and tokens are, (start, end), in no order."""
    if "PRIVATE KEY" in text:
        yield from _blocks(text)
    yield from (found.span() for found in _SHAPES.finditer(text))
    if "hooks.slack.com" in text:
        yield from (found.span(1) for found in _HOOK.finditer(text))
    if "PuTTY-User-Key-File" in text:
        yield from (found.span() for found in _PUTTY_BODY.finditer(text))
        yield from (found.span() for found in _PUTTY_MAC.finditer(text))


def _blocks(text: str) -> Iterator[Span]:
    """From BEGIN to END. Where the end is missing, all that could be the key's: most of a key is a key."""
    at = 0
    while begin := _BEGIN.search(text, at):
        following = _BEGIN.search(text, begin.end())
        end = _END.search(text, begin.end(), following.start() if following else len(text))
        if end:
            at = end.end()
        else:
            body = _BODY.match(text, begin.end())
            at = body.end() if body else begin.end()
        yield begin.start(), at
