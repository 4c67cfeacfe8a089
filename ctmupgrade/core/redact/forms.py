"""Finds secrets by what stands in front of them: ``--password X``, ``"pin": 1234``, ``Authorization: Basic``,
``user:password@host``.

It hides too much rather than too little. Every expression is linear: each repetition is bounded, or what it repeats
cannot begin what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

# What a name has in it when its value is a secret.
_WORDS = (
    r"passw(?:or)?d|passphrase|passwort|pass(?:code|key)|secret|token|jwt|credentials?|community|api[_-]?key|"
    r"access[_-]?key|auth[_-]?key|private[_-]?key|account[_-]?key|shared[_-]?key|encryption[_-]?key|session[_-]?(?:id|key)|"
    r"cookie|client[_-]?key[_-]?data"
)
# Short ones are part of other words too: they count only as a word of their own, or one of a name's.
_SHORT = r"pwd|pw|psk|pin|puk|otp|pass|creds?"
NAME = (
    rf"(?:{_WORDS}|(?<![a-z/])(?:{_SHORT})(?![a-z])|"
    r"(?-i:(?<=[a-z0-9])(?:Pwd|Pw|Psk|Pin|Puk|Otp|Pass|Creds?)(?![a-z])))"
)
# Names that go on with these say something about the secret, not the secret.
ABOUT = (
    r"[_-]?(?:env|files?|path|polic(?:y|ies)|types?|lengths?|count|expir[a-z]{0,8}|age|ttl|lifetime|durations?|place|"
    r"history|(?:min|max)[a-z]{0,16}|rules?|names?|prompts?|change[ds]?|hint|attempts?|enabled|required|allowed|"
    r"supported|seconds|interval|size|bits|algorithm|format|mode|status|state|url|uri)(?![a-z])"
)
_NAMED = re.compile(
    rf"(?i){NAME}(?!{ABOUT})[\w.-]{{0,32}}?"
    r"(\\{0,8}[\"'`]?[ \t]{0,8}(?:=>|:=|=|:|>)[ \t]{0,8}(?:\r?\n[ \t]{0,16}(?=[\"'\[]))?)(?=\S)"
)
_HAS_NAME = re.compile(rf"(?i){NAME}")
_ENDS_AS_NAME = re.compile(rf"(?i){NAME}$")
_IS_ABOUT = re.compile(rf"(?i){NAME}{ABOUT}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# -- values ----------------------------------------------------------------------------------------

_NO_SECRET = re.compile(
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


def _end_of_value(text: str, at: int, delimiter: str, *, line: bool) -> int:
    """Where a value that begins at ``at`` ends.

    :param delimiter: what stands between the name and it.
    :param line: the name is the first on its line: with a colon the value may have blanks in it, as in YAML.
    """
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


def assigned(text: str) -> Iterator[Span]:
    """Yield the values of names that sound like secrets: ``password: x``, ``PGPASSWORD='x y'``, ``<pin>1</pin>``."""
    at = 0
    while found := _NAMED.search(text, at):
        at = found.end()
        delimiter = found[1].strip(" \t\r\n\\\"'`")
        if _NO_SECRET.match(text, at) or (delimiter == ">" and not _in_tag(text, found.start())):
            continue
        line = "\n" not in found[1] and _begins_line(text, found.start())
        end = _end_of_value(text, at, delimiter, line=line)
        yield at, end
        at = max(at, end)


def _in_tag(text: str, at: int) -> bool:
    """Whether what stands at ``at`` is a tag's name."""
    before = text[max(0, at - 64) : at]
    return before.rfind("<") > before.rfind(">")


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
    re.compile(r"(?i)\b(?:login|user(?:name)?)\s{1,8}\S{1,128}\s{1,8}pass(?:word|wd)?\s{1,8}(?=\S)"),
    re.compile(
        r"(?i)\bpassw(?:or)?d\s{1,4}(?:(?:is|was|of)\s{1,4})?(?=\S{0,64}\d)(?=\S{0,64}[^\W\d_])(?=\S{6})"
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


def typed(text: str) -> Iterator[Span]:
    """Yield what command lines and sentences hold behind ``--password``, ``-u user:``, ``IDENTIFIED BY``."""
    for pattern in (_FLAG, _USER, *_SHORT_FLAGS, *_SAID, *_IN_JSON):
        for found in pattern.finditer(text):
            at = found.end()
            if not _NO_SECRET.match(text, at):
                yield at, _end_of_value(text, at, "=", line=False)


# -- headers and addresses -------------------------------------------------------------------------

_SCHEME = re.compile(r"(?i)(?<![\w-])(?:basic|bearer|negotiate|ntlm|apikey)\s{1,4}(?=[\w.~+/=-]{8})")
_LOOKS_CODED = re.compile(r"[\w.~+/=-]{8,}")
_HEADER = re.compile(
    r"(?i)(?<![\w-])(?:proxy-)?authorization\\{0,8}[\"']?\s{0,4}[:=]\s{0,4}\\{0,8}[\"']?(?:[a-z][\w-]{0,30}[ \t]{1,4})?(?=\S)"
    r"|(?<![\w-])(?:set-)?cookie2?\\{0,8}[\"']?\s{0,4}[:=]\s{0,4}\\{0,8}[\"']?(?=\S)"
)
_HEADER_NAME = re.compile(r"(?i)(?:proxy[_-]{0,2})?authorization")
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
    r"identified|com2sec|\"(?:d|dp|dq|qi)\""
)


def spans(text: str) -> Iterator[Span]:
    """Yield where secrets are, (start, end), in no order."""
    if not _HINT.search(text):
        return
    yield from assigned(text)
    yield from typed(text)
    yield from headers(text)
    yield from addresses(text)


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret: ``adminPassword``, ``hsm_pin``, not ``password_policy``."""
    plain = "_".join(_CAMEL.split(name))
    return bool(_HAS_NAME.search(plain) or _HEADER_NAME.fullmatch(plain)) and not _IS_ABOUT.search(plain)


def is_secret_flag(word: str) -> bool:
    """Return whether the next word of a command line is a secret: ``--password``."""
    return word.startswith("-") and "=" not in word and is_secret_name(word)


def ends_as_secret_name(name: str) -> bool:
    """Return whether it is the secret itself, not more of it: ``proxy_password``, not ``passwordPolicy``."""
    return bool(_ENDS_AS_NAME.search("_".join(_CAMEL.split(name))))
