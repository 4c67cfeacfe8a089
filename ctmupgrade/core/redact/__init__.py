"""Takes secrets out of everything that is shown or kept.

By value (:mod:`.values`: what the program itself knows, in every spelling), by what stands in front of it
(:mod:`.forms`: ``password: x``) and by what it looks like (:mod:`.blocks`: a private key). The values are those of the
command that runs, told once by :mod:`ctmupgrade.commands.wiring`; terminal, journal, report, log, bundle, fixture and
recorded settings all ask here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.redact import blocks, forms, names
from ctmupgrade.core.redact.values import HIDDEN, SecretValues, cut

__all__ = [
    "HIDDEN",
    "SecretValues",
    "foreign",
    "hidden",
    "knowing",
    "known_hidden",
    "learn",
    "redacted",
    "scrubbed",
]

_JWK = ("d", "p", "q", "dp", "dq", "qi", "k")  # the private members of a JSON web key (RFC 7517)
MOST_FOREIGN = 256 * 1024  # characters of what somebody else said that are looked at, shown and kept
_SHORT = 1024  # characters of texts whose results are kept for a while
_known: list[SecretValues] = [SecretValues()]  # the last one counts


@contextmanager
def knowing(values: Iterable[str]) -> Iterator[None]:
    """Keep these values out of everything for as long as the block lasts, in all threads."""
    depth = len(_known)
    _known.append(SecretValues(values))
    try:
        yield
    finally:
        del _known[depth:]


def learn(value: str) -> None:
    """Keep one more value out of everything: a password that only now was read from a program."""
    if value not in _known[-1].values:
        _known[-1] = SecretValues({*_known[-1].values, value})


def known_hidden(text: str) -> str:
    """Return the text without the secrets whose values are known. Nothing else of it is changed."""
    return _known[-1].hide(text)


def foreign(text: str) -> str:
    """Return what a node or a program said, fit for a person's terminal, the journal and a report: without control
    characters, which clear the screen at the worst moment, and without secrets."""
    return hidden(clean(_beginning(text)))


def _beginning(text: str) -> str:
    """A text without what is too long of it. A known value that would be cut in two goes whole: nobody knows its half."""
    if len(text) <= MOST_FOREIGN:
        return text
    known, sure = _known[-1], MOST_FOREIGN
    first = max(0, sure - known.reach)
    for start, end in known.spans(text[first : sure + known.reach]):
        if start + first < MOST_FOREIGN < end + first:
            sure = min(sure, start + first)
    return f"{text[:sure]}\n... ({len(text) - sure} characters more)"


def hidden(text: str) -> str:
    """Return the text without secrets: known values, and what looks like one. JSON stays JSON."""
    if text[:1] in ("{", "["):
        try:
            value = json.loads(text)
            without = scrubbed(value)
            return text if without == value else json.dumps(without)
        except (ValueError, RecursionError):
            pass  # it only looked like JSON
    return redacted(text)


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """Return any text without secrets.

    :param known: values besides those that the command knows.
    """
    if known:
        text = SecretValues(known).hide(text)
    return _kept(text, _known[-1]) if len(text) < _SHORT else _without(text, _known[-1])


def _without(text: str, known: SecretValues) -> str:
    return cut(text, [*known.spans(text), *forms.spans(text), *blocks.spans(text)])


_kept = lru_cache(maxsize=512)(_without)  # looks say the same again and again


def scrubbed(value: Any) -> Any:
    """Return plain data (of JSON or YAML) without secrets; JSON inside a string is gone through too."""
    if isinstance(value, dict):
        return {hidden(str(name)): _field(value, str(name), one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_element(value[at - 1] if at else None, one) for at, one in enumerate(value)]
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and _known[-1].spans(str(value)):
        return HIDDEN
    return value


def _field(owner: dict[Any, Any], name: str, value: Any) -> Any:
    """A field's value, hidden where its name says that it is a secret."""
    if name == "value" and isinstance(value, str | int | float):
        named = owner.get("name", owner.get("key"))  # {"name": "smtp.password", "value": "x"}
        if isinstance(named, str) and names.is_secret_name(named):
            return _nothing_left(value)
    if "kty" in owner and name in _JWK:
        return _nothing_left(value)
    if not names.is_secret_name(name):
        return scrubbed(value)
    if isinstance(value, dict) and not names.ends_as_secret_name(name):
        return scrubbed(value)
    if isinstance(value, list):
        return [scrubbed(one) if isinstance(one, dict) else _nothing_left(one) for one in value]
    return _nothing_left(value)


def _element(before: Any, value: Any) -> Any:
    """An element of a list, which may be a command line."""
    if isinstance(before, str) and isinstance(value, str) and names.is_secret_flag(before):
        return _nothing_left(value)
    return scrubbed(value)


def _nothing_left(value: Any) -> Any:
    """Nothing of it but its structure; flags and what is empty hold no secret."""
    if isinstance(value, dict):
        return {name: _nothing_left(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_nothing_left(one) for one in value]
    return value if value in (None, "") or isinstance(value, bool) else HIDDEN
