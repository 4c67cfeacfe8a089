"""What is wrong with a value of cluster.yaml, in words."""

from __future__ import annotations

from typing import Any

from ctmupgrade.config.schema import MAX_NODES, MODELS, PRIVATE
from ctmupgrade.core.near import nearest

_WORDS = {
    "model_type": "keys and values are expected",
    "model_attributes_type": "keys and values are expected",
    "dict_type": "keys and values are expected",
    "list_type": "a list is expected, each entry behind a dash",
    "string_type": "a text (string) is expected",
    "string_too_short": "a text is expected, not an empty one",
    "too_short": "at least 1 entry is expected",
    "greater_than": "a number above 0 is expected",
    "missing": "is missing",
}
_PASSWORDS = frozenset({"password", "passphrase", "key_password", "pwd", "pass", "secret", "token"})
_PARTS = frozenset({"ksctl", "backup", "notify"})  # one value in place of these keys may be a secret too


def words(problem: Any, raw: object) -> str:
    """Return a problem that the models found, in a few words. ``raw``: the whole file as plain data."""
    kind, loc, given = problem["type"], problem["loc"], problem.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if kind == "too_long" and loc == ("nodes",):
        count = len(raw["nodes"]) if isinstance(raw, dict) else 0
        return f"{count} nodes; a cluster has at most {MAX_NODES}"
    if kind == "missing":
        return _WORDS[kind]
    if kind == "said":
        return str(problem["ctx"]["text"])
    shown = _shown(given, loc)
    if kind == "quotes":
        quoted = f': "{given}"' if shown else ""
        return f"a text is expected, and YAML reads a {problem['ctx']['reads_as']}: put it in quotes{quoted}"
    text = _WORDS.get(kind) or _of_its_kind(kind, problem)
    return f"{text}; {shown}" if shown else text


def _of_its_kind(kind: str, problem: Any) -> str:
    limits = problem.get("ctx", {})
    if kind == "enum":
        return f"{limits['expected'].replace(chr(39), '')} is expected"
    if kind in ("greater_than_equal", "less_than_equal") and problem["loc"][-1] == "port":
        return "a port from 1 to 65535 is expected"
    if kind == "too_long":
        return f"at most {limits['max_length']} entries are expected"
    return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _shown(given: object, loc: tuple[int | str, ...]) -> str:
    """What was found instead; "" where it may be a secret."""
    if PRIVATE & set(loc):
        return ""
    match given:
        case None:
            return ""
        case []:
            return "found an empty list"
        case list():
            return "found a list"
        case dict():
            return f"found keys and values ({', '.join(map(str, given))})"
        case _:
            return _one_value(str(given), loc)


def _one_value(given: str, loc: tuple[int | str, ...]) -> str:
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if key in _PARTS | PRIVATE | _PASSWORDS:
        return ""
    before, at, after = given.rpartition("@")
    text = f"***@{after}" if at and (":" in before or "/" in before) else given
    return f"found {text[:200]!r}"


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    holder = next((str(p) for p in reversed(loc[:-1]) if isinstance(p, str)), "")
    allowed = [field.alias or name for name, field in MODELS[holder].model_fields.items()]
    if str(loc[-1]).lower() in _PASSWORDS:
        places = ", ".join(key for key in allowed if key in PRIVATE)
        hint = f" ({places})" if places else ""
        return f"unknown key; no password is written in this file: name where it is kept{hint}"
    near = nearest(str(loc[-1]), allowed)
    hint = f"did you mean {near}? " if near else ""
    return f"unknown key; {hint}allowed: {', '.join(allowed)}"
