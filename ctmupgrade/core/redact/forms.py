"""Finds secrets by what stands in front of them: ``--password X``, ``"pin": 1234``, ``Authorization: Basic``,
``user:password@host``.

It hides too much rather than too little. Every expression is linear: each repetition is bounded, or what it repeats
cannot begin what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctmupgrade.core.redact.names import ABOUT, NAME
from ctmupgrade.core.redact.value_ends import NO_SECRET, end_of_value

Span = tuple[int, int]

_NAMED = re.compile(
    rf"(?i){NAME}(?!{ABOUT})[\w.-]{{0,32}}?"
    r"(\\{0,8}[\"'`]?[ \t]{0,8}(?:=>|:=|=|:|>)[ \t]{0,8}(?:\r?\n[ \t]{0,16}(?=[\"'\[]))?)(?=\S)"
)


def assigned(text: str) -> Iterator[Span]:
    """Yield the values of names that sound like secrets: ``password: x``, ``PGPASSWORD='x y'``, ``<pin>1</pin>``."""
    at = 0
    while found := _NAMED.search(text, at):
        at = found.end()
        delimiter = found[1].strip(" \t\r\n\\\"'`")
        if NO_SECRET.match(text, at) or (delimiter == ">" and not _in_tag(text, found.start())):
            continue
        if delimiter == ":" and _in_address(text, found.start(), at):
            continue
        line = "\n" not in found[1] and _begins_line(text, found.start())
        end = end_of_value(text, at, delimiter, line=line)
        yield at, end
        at = max(at, end)


def _in_tag(text: str, at: int) -> bool:
    """Whether what stands at ``at`` is a tag's name."""
    before = text[max(0, at - 64) : at]
    opened = before.rfind("<")
    return opened > before.rfind(">") and before[opened + 1 : opened + 2] != "/"


_WORD_ENDS = re.compile(r"[\s\"'?&=;,]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_PATH = re.compile(r"[.~]{0,2}/[^/`(]{1,80}/")


def _in_address(text: str, name: int, value: int) -> bool:
    """Whether a name is of a path or URL, of which an error is told behind a colon and a blank."""
    if not text[value - 1].isspace():
        return False
    before = text[max(0, name - 200) : name]
    start = max((end.end() for end in _WORD_ENDS.finditer(before)), default=0)
    word, follows = before[start:], before[:start][-1:]
    if _URL.search(word):
        return True
    paths = re.split(r"[`(]", word)  # a path begins the word, or stands behind one of these
    return any(_PATH.match(path) for path in (paths[1:] if follows and follows in "?&;," else paths))


def _begins_line(text: str, at: int) -> bool:
    """Whether a name at ``at`` is part of the first word on its line."""
    before = text[max(0, at - 80) : at]
    if len(before) == 80 and "\n" not in before:
        return False
    return not re.search(r"[^\w\s.\"'-]|\w\s", before[before.rfind("\n") + 1 :].rpartition(" - ")[2])


# -- command lines ---------------------------------------------------------------------------------

_FLAG = re.compile(
    rf"(?i)(?<![\w-])--?[a-z0-9_-]{{0,40}}?{NAME}(?!{ABOUT})[a-z0-9_-]{{0,20}}\\{{0,8}}[\"']?,?\s{{1,8}}(?!--|-\w\s)(?=\S)"
)
_USER = re.compile(
    r"(?<!\S)[\"']?(?:-[uU]|--(?:proxy-)?user)(?:[ =]{0,8}[\"']?|[\"'],\s{0,8}[\"'])[^\s:\"'%]{1,128}[:%](?=\S)"
)
_SHORT_FLAGS = (
    re.compile(
        r"\bhtpasswd\s{1,4}(?=(?:-\w{1,8}\s{1,4}){0,3}-\w{0,6}b)(?:-\w{1,8}\s{1,4}(?:\d{1,3}\s{1,4})?){1,4}(?:\S{1,200}\s{1,4}){1,2}(?=\S)"
    ),
    # programs that take a password behind a letter
    re.compile(
        r"\b(?:sshpass|mysql\w*|mariadb[\w-]*|mongo\w*|plink|pscp|psftp|7z\w?|htpasswd)\b[^\n|;]{0,200}?\s-p\s{0,4}(?=\S)"
    ),
    re.compile(
        r"\b(?:redis-cli|ipmitool|zip|unzip|ldap\w+|smbclient|rpcclient)\b[^\n|;]{0,200}?\s-[aPwA]\s{0,4}(?=\S)"
    ),
    re.compile(r"\bsnmp\w+\b[^\n|;]{0,200}?\s-[cAX]\s{0,4}(?=\S)"),
    # and, whatever the program, what is glued to -p and is no number, path or word
    re.compile(r"(?<!\S)-p(?=[^\s/-]{0,64}\d)(?=[^\s/-]{0,64}[^\W\d_])(?=\S{4})"),
)
_SAID = (
    re.compile(r"(?i)\bidentified\s{1,4}by\s{1,4}(?=\S)"),
    re.compile(r"(?i)\bpass(?:in|out)?\s{1,4}(?:pass|env):(?=\S)"),
    re.compile(
        r"(?i)\b(?:login|user(?:name)?)\s{1,8}\S{1,128}\s{1,8}pass(?:word|wd)?\s{1,8}(?:\d\s{1,4})?(?=\S)"
    ),
    re.compile(
        r"(?i)\b(?:passw(?:or)?d|passphrase|secret|community|bindpw|rootpw)\s{1,4}(?:(?:is|was|of|\d)\s{1,4})?"
        r"(?=\S{0,64}\d)(?=\S{0,64}[^\W\d_])(?=\S{6})(?!\S{1,64} (?:not found|is missing|does not))"
    ),
    # one word behind a prompt that names somebody, at the end of its line
    re.compile(
        r"(?i)\b(?:passw(?:or)?d|passphrase|passcode|pin)\s{1,4}(?:for|of)\s{1,4}[^\s:]{1,64}:[ \t]{1,4}(?=\S{3,128}[ \t\r]{0,8}(?:\n|\Z))"
    ),
    re.compile(r"(?i)(?<=[?&])sig=(?=\S{8})"),  # a shared access signature of Azure
    # user/password@database of Oracle; not a principal of Kerberos, nor a digest or version of an image
    re.compile(
        r"(?<![\w/.:@$-])(?!(?i:host|https?|nfs|cifs|ldap|krbtgt|imap|smtp|ftp)/)[A-Za-z][\w$#]{0,29}/(?=[^\s/@:]{3,64}@[A-Za-z][\w.-]{0,80}(?![\w.-]|:[0-9a-f]{32}))"
    ),
    re.compile(r"(?i)\bpassw(?:or)?d\s{1,4}(?=[\"'])"),
    re.compile(r"(?i)\b(?:snmp-server\s{1,4}|r[ow])community\s{1,4}(?=\S)"),
    re.compile(r"(?i)\bcom2sec\s{1,8}\S{1,64}\s{1,8}\S{1,64}\s{1,8}(?=\S)"),
)


_IN_JSON = (  # {"name": "smtp.password", "value": "x"}, and the private members of a JSON web key (RFC 7517)
    re.compile(
        rf"(?i)\"(?:name|key)\"\s{{0,8}}:\s{{0,8}}\"[^\"\n]{{0,80}}?{NAME}[^\"\n]{{0,40}}\",\s{{0,8}}\"value\"\s{{0,8}}:\s{{0,8}}(?=\S)"
    ),
    re.compile(r"\"(?:d|dp|dq|qi)\"\s{0,8}:\s{0,8}(?=\"[\w-]{8})"),
)
_IN_XML = (  # <Password type="x">X</Password>, <add key="password" value="X"/>, <entry key="password">X</entry>
    re.compile(
        rf"(?i)<[\w.:-]{{0,40}}?{NAME}(?!{ABOUT})[\w.-]{{0,32}}\s[^<>]{{0,200}}>()(?=[^\s<]|<!\[CDATA\[)"
    ),
    re.compile(
        rf"(?i)<[\w.:-]{{1,40}}\s[^<>]{{0,80}}?(?:name|key|id)\s?=\s?[\"'][^<>\"']{{0,60}}?{NAME}(?!{ABOUT})[^<>\"']{{0,40}}[\"']"
        r"(?:[^<>]{0,80}?\svalue\s?=\s?|[^<>/]{0,80}>())(?=\S)"
    ),
)
_PIPED = re.compile(
    r"\b(?:echo|printf)\s{1,4}(?:-\w{1,2}\s{1,4})?([^|\n]{1,120})\|\s{0,4}(?:\S{1,40}\s)?sudo\b[^\n|]{0,60}?\s-\w{0,6}S"
)


def typed(text: str) -> Iterator[Span]:
    """Yield what command lines and sentences hold behind ``--password``, ``-u user:``, ``IDENTIFIED BY``."""
    for pattern in (_FLAG, _USER, *_SHORT_FLAGS, *_SAID, *_IN_JSON):
        for found in pattern.finditer(text):
            at = found.end()
            if not NO_SECRET.match(text, at):
                yield at, end_of_value(text, at, "=", line=False)
    for pattern in _IN_XML:
        for found in pattern.finditer(text):
            delimiter = "=" if found[1] is None else ">"
            yield found.end(), end_of_value(text, found.end(), delimiter, line=False)
    yield from (found.span(1) for found in _PIPED.finditer(text))


# -- headers and addresses -------------------------------------------------------------------------

_SCHEME = re.compile(r"(?i)(?<![\w-])(?:basic|bearer|negotiate|ntlm|apikey)\s{1,4}(?=[\w.~+/=-]{8})")
_LOOKS_CODED = re.compile(r"[\w.~+/=-]{8,}")
_HEADER = re.compile(
    r"(?i)(?<![\w-])(?:proxy-)?authorization\\{0,8}[\"']?\s{0,4}[:=]\s{0,4}\\{0,8}[\"']?(?:[a-z][\w-]{0,30}[ \t]{1,4})?(?=\S)"
    r"|(?<![\w-])(?:set-)?cookie2?\\{0,8}[\"']?\s{0,4}[:=]\s{0,4}\\{0,8}[\"']?(?=\S)"
)
_HEADER_END = re.compile(r"[^\n\r\"'\\]*")


def headers(text: str) -> Iterator[Span]:
    """Yield the values of HTTP's ``Authorization`` and ``Cookie``, and what stands behind ``Bearer`` and ``Basic``."""
    at = 0
    while found := _HEADER.search(text, at):
        value = _HEADER_END.match(text, found.end())
        at = value.end() if value else found.end()
        yield found.end(), at
    for found in _SCHEME.finditer(text):
        coded = _LOOKS_CODED.match(text, found.end())
        # "basic authentication", "bearer certificate": a word of the language is no token
        if coded and not re.fullmatch(r"[a-z]+|[A-Z][a-z]+|[a-z]+(?:-[a-z]+)+\.?", coded[0]):
            yield coded.span()


_TOKEN = re.compile(r"\S+")
_AUTHORITY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{0,31}://")
_PORT = re.compile(r"\d{1,5}(?:[/?#]|$)")


def addresses(text: str) -> Iterator[Span]:
    """Yield passwords in addresses: from the user's colon to the last @ of the word, as a password may hold an @."""
    if "://" not in text:
        return
    for word in _TOKEN.finditer(text):
        at = word[0].rfind("@")
        scheme = _AUTHORITY.search(word[0]) if at > 0 else None
        if scheme is None or scheme.end() >= at:
            continue
        user, colon, secret = word[0][scheme.end() : at].partition(":")
        begin = word.start() + scheme.end()
        if not colon and len(user) >= 16 and scheme[0].startswith("http"):
            yield begin, word.start() + at
        elif colon and secret and not _PORT.match(secret):
            yield begin + len(user) + 1, word.start() + at


# What at least is in every text in which one of the others finds something.
_HINT = re.compile(
    rf"(?i){NAME}|(?<!\S)[\"']?-[a-z]|--(?:proxy-)?user|://|(?:basic|bearer|negotiate|ntlm|apikey)\s|authorization|"
    r"identified|com2sec|sudo|sig=|/[^\s/@]{3}[^\s/@]{0,64}@|\"(?:d|dp|dq|qi)\""
)


def spans(text: str) -> Iterator[Span]:
    """Yield where secrets are, (start, end), in no order."""
    if not _HINT.search(text):
        return
    yield from assigned(text)
    yield from typed(text)
    yield from headers(text)
    yield from addresses(text)
