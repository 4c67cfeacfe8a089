"""Knows which names have secrets for values."""

from __future__ import annotations

import re

# Not the tags of sudo's list, NOPASSWD: and PASSWD:. What a name has in it when its value is a secret.
_WORDS = (
    r"(?<!no)(?<!\) )passw(?:or)?d|passphrase|passwort|pass(?:code|key)|secret|token|jwt|credentials?|community|api[_-]?key|"
    r"access[_-]?key|auth[_-]?key|private[_-]?key|account[_-]?key|shared[_-]?key|encryption[_-]?key|session[_-]?(?:id|key)|"
    r"cookie|client[_-]?key[_-]?data|(?<![a-z])(?:store|key|bind|root|admin|user|db|ks|ldap)(?:pass|pwd|pw)(?![a-z])|"
    r"(?<![a-z])(?:(?:master|wrapping|root)[ _-]?key|kek)s?(?![a-z]|[ _-]?(?:id|version|name|label))"
)
# Short ones are part of other words too: they count only as a word of their own, or one of a name's.
_SHORT = r"pwd|pw|psk|pin|puk|otp|pass|creds?|seed"
NAME = (
    rf"(?:{_WORDS}|(?:(?<![a-z/])|(?<=-d))(?:{_SHORT})(?![a-z])|"
    r"(?-i:(?<=[a-z0-9])(?:Pwd|Pw|Psk|Pin|Puk|Otp|Pass|Creds?)(?![a-z])))"
)
# Names that go on with these say something about the secret, not the secret.
ABOUT = (
    r"[_-]?(?:env|files?|path|polic(?:y|ies)|types?|lengths?|count|expir[a-z]{0,8}|age|ttl|lifetime|durations?|place|"
    r"history|(?:min|max)[a-z]{0,16}|rules?|names?|prompts?|change[ds]?|hint|attempts?|enabled|required|allowed|"
    r"supported|seconds|interval|size|bits|algorithm|format|mode|status|state|url|uri)(?![a-z])"
)
_HAS_NAME = re.compile(rf"(?i){NAME}")
_ENDS_AS_NAME = re.compile(rf"(?i){NAME}$")
_IS_ABOUT = re.compile(rf"(?i){NAME}{ABOUT}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HEADER_NAME = re.compile(r"(?i)(?:proxy[_-]{0,2})?authorization")


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
