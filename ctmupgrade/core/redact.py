"""Takes secrets out of plain data before it is kept: what an appliance prints of its settings, and bundles.

By name (a field called password, token, pin...), by form (a private key, a web token, the password in a URL),
and by value, where the caller knows what must not appear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"
_NAME = re.compile(
    r"(?i)(password|passwd|passphrase|secret|token|jwt|credential|^pin$|[_-]pin$|private_?key)"
)
_FORMS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),  # a JSON web token
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
# CSI sequences, OSC and other strings, single escapes; then whatever else moves a cursor.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\\\|$)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_IN_URL = re.compile(r"(\w+://[^\s:/@]+:)[^\s/@]+(@)")
_ASSIGNED = re.compile(
    r"""(?i)((?:password|passwd|passphrase|secret|token)\\?["']?\s*[:=]\s*\\?["']?)(?!\*\*\*)[^\s"'\\,;}{]+"""
)


def foreign(text: str) -> str:
    """What a node or a program said, fit for a person's terminal, the journal and a report: without control
    characters, which clear the screen at the worst moment, and without bearer tokens and private keys."""
    text = _ESCAPES.sub("", text)
    for form in _FORMS:
        text = form.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _IN_URL.sub(rf"\1{HIDDEN}\2", text)


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """The text without private keys, tokens, passwords in URLs or behind a word like ``password:``, and
    without any of ``known``."""
    for secret in known:
        if secret:
            text = text.replace(secret, HIDDEN)
    for form in _FORMS:
        text = form.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _IN_URL.sub(rf"\1{HIDDEN}\2", text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text)


def scrubbed(value: Any, known: Iterable[str] = ()) -> Any:
    """The same for plain data; JSON inside a string is gone through too."""
    secrets = tuple(known)
    if isinstance(value, dict):
        return {k: HIDDEN if _hides(str(k), v) else scrubbed(v, secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(v, secrets) for v in value]
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        try:
            return json.dumps(scrubbed(json.loads(value), secrets))
        except ValueError:
            pass  # it only looked like JSON
    return redacted(value, secrets)


def _hides(name: str, value: Any) -> bool:
    """Whether a field is a secret: by its name, where it holds one text (not a flag or a number)."""
    return isinstance(value, str) and bool(value) and bool(_NAME.search(name))
