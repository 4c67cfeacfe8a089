"""Reads a node's own settings, each by the ways that its ``ksctl`` may know, and again where it cannot tell now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ctmupgrade.core.ksctl import sounds_away, sounds_later, sounds_like_login
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, not_told
from ctmupgrade.core.looks.json_rows import listing
from ctmupgrade.core.node_settings import COUNTS, LOOKS, OTHER_WORDS, PAGE
from ctmupgrade.core.redact import scrubbed
from ctmupgrade.errors import (
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    LoginRefusedError,
    UnreachableError,
)
from ctmupgrade.ports import Reader, Reply

UNKNOWN_WORDS = ("unknown flag", "unknown shorthand", "unknown command")


def read_settings(control: Reader, only: Collection[str] = ()) -> dict[str, Any]:
    """Return all of ``LOOKS`` and ``COUNTS`` that the node tells; what it does not tell is ``{"unknown": why}``, with
    ``"passes": True`` where that ends without anybody's doing.

    :param only: the names that are wanted; none: all.
    """
    names = [name for name in (*LOOKS, *COUNTS) if not only or name in only]
    return {name: _count(control, name) if name in COUNTS else _setting(control, name) for name in names}


def passes_by_itself(setting: Any) -> bool:
    """Return whether a setting is not known now, for a reason that ends without anybody's doing."""
    return isinstance(setting, dict) and setting.get("passes") is True


def _count(control: Reader, name: str) -> dict[str, Any]:
    """The total of a listing, of which one row is asked for; not every listing takes a limit."""
    argv, _ = COUNTS[name]
    answer = _answer(control, ((*argv, "--limit", "1"), argv))
    if "unknown" in answer:
        return answer
    total = answer.get("total")
    return {"count": total} if isinstance(total, int) else {"unknown": "it tells no total"}


def _setting(control: Reader, name: str) -> dict[str, Any]:
    """One answer. A listing is asked for a long page first; one of which only a part is shown is not known."""
    argv = LOOKS[name]
    if argv[-1] != "list":
        return _answer(control, (argv, *OTHER_WORDS.get(name, (argv,))))
    answer = _answer(control, ((*argv, *PAGE), argv))
    rows, total = answer.get("resources"), answer.get("total")
    if isinstance(rows, list) and isinstance(total, int) and len(rows) < total:
        return {"unknown": f"only {len(rows)} of {total} rows were shown"}
    return answer


def _answer(control: Reader, ways: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """The first answer; where there is none, why the best known of the ways has none."""
    found: list[tuple[str, str]] = []  # in words, and what was answered
    silent = False
    for words in ways:
        try:
            answer: dict[str, Any] = scrubbed(listing(_text(control.read(*words))))
        except NotUnderstoodError as error:
            found.append((str(error), error.said))
        except CtmUpgradeError as error:
            found.append((error.brief, error.details))
            lost = isinstance(error, UnreachableError | ConnectionLostError | LoginRefusedError)
            silent = silent or (lost and not isinstance(error, HostKeyError))
        else:
            return answer
    telling = [one for one in found if not any(words in one[1].lower() for words in UNKNOWN_WORDS)]
    why, said = (telling or found)[0]
    passing = silent or sounds_away(said) or sounds_later(said) or sounds_like_login(said)
    return {"unknown": why, "passes": True} if passing else {"unknown": why}


def _text(reply: Reply) -> str:
    """What was said, wherever ksctl puts its errors (docs/appliance.md 4.1).

    :raises NotUnderstoodError: nothing of it is JSON.
    """
    for text in (reply.out, reply.err):
        if "{" in text or "[" in text:
            return text
    raise not_told(f"{reply.out} {reply.err}", f"no answer (exit {reply.code})")
