"""What is wrong with a value, in words for who wrote the file instead of the validation library's."""

from __future__ import annotations

import difflib
from typing import Any

from ctmupgrade.config.schema import MAX_NODES, MODELS

_TIME = "a time with its timezone is expected, like 2026-12-05T22:00:00+01:00"
_WORDS = {
    "model_type": "keys and values are expected",
    "model_attributes_type": "keys and values are expected",
    "dict_type": "keys and values are expected",
    "list_type": "a list is expected, each entry behind a dash",
    "string_type": "a text (string) is expected",
    "string_too_short": "a text is expected, not an empty one",
    "int_parsing": "a whole number (integer) is expected",
    "int_type": "a whole number (integer) is expected",
    "int_from_float": "a whole number (integer) is expected",
    "int_parsing_size": "a smaller number is expected",
    "bool_parsing": "true or false is expected (a boolean)",
    "bool_type": "true or false is expected (a boolean)",
    "timezone_aware": _TIME,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "too_short": "at least 1 entry is expected",
    "greater_than": "a number above 0 is expected",
    "missing": "is missing",
}


def words(problem: Any, raw: object) -> str:
    """A problem that the models found, in a few words. ``raw``: the whole file as plain data."""
    kind, loc, given = problem["type"], problem["loc"], problem.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if kind == "too_long" and loc == ("nodes",):
        count = len(raw["nodes"]) if isinstance(raw, dict) else 0
        return f"{count} nodes; a cluster has at most {MAX_NODES}"
    if kind == "missing":
        return _WORDS[kind]
    text = _WORDS.get(kind) or _of_its_kind(kind, problem)
    return f"{text}; {_shown(given)}"


def _of_its_kind(kind: str, problem: Any) -> str:
    limits = problem.get("ctx", {})
    if kind == "enum":
        return f"{limits['expected'].replace(chr(39), '')} is expected"
    if kind in ("greater_than_equal", "less_than_equal") and problem["loc"][-1] == "port":
        return "a port from 1 to 65535 is expected"
    return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _shown(given: object) -> str:
    """What stands there instead."""
    match given:
        case []:
            return "an empty list stands there"
        case list():
            return "a list stands there"
        case dict():
            return f"keys and values stand there ({', '.join(map(str, given))})"
        case _:
            return f"{given!r} stands there"


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    holder = next((str(p) for p in reversed(loc[:-1]) if isinstance(p, str)), "")
    allowed = list(MODELS[holder].model_fields)
    near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {hint}allowed: {', '.join(allowed)}"
