"""Read JSON that somebody else wrote: one reading only, of a bounded depth, with numbers that are numbers.

Python's own reader takes the last of two equal keys, ``NaN``, numbers without end, and a depth that its own stack
does not bear. Two readers of such a text may see two things, so it is refused here, always as :class:`BadJsonError`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from ctmupgrade.core.clean_text import clean, is_clean

MOST_DEPTH = 64  # objects and lists inside each other; a cluster summary has 6
MOST_DIGITS = 30  # of a whole number
MOST_FLOAT = 40  # characters of a number with a point or an exponent


class BadJsonError(ValueError):
    """It is no JSON, or none that has one reading."""


class CutJsonError(BadJsonError):
    """It is no JSON: it may have been, before its end was lost."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if [*value.items()] != pairs:
        raise BadJsonError("a key is there twice")
    return value


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS + digits.startswith("-"):
        raise BadJsonError(f"a number of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits) if len(digits) <= MOST_FLOAT else math.inf
    if not math.isfinite(value):
        raise BadJsonError("a number that is too large")
    return value


def _constant(word: str) -> NoReturn:
    raise BadJsonError(f"{word} is no number")


# strict=False: what services/status answers can hold raw line ends inside a text (docs/appliance.md 4.2).
_DECODER = json.JSONDecoder(strict=False, parse_float=_real, parse_constant=_constant)
# What needs more work, which few texts do: each object's keys are compared, each number is measured.
_CAREFUL = json.JSONDecoder(
    strict=False, object_pairs_hook=_pairs, parse_int=_whole, parse_float=_real, parse_constant=_constant
)
_KEY = re.compile(r'"[ \t\r\n]*+:')  # in a text without a backslash: exactly its keys
_ANOTHER = re.compile(r"\{|\[\s*+(?:[\]\[\"\d-]|true|false|null)")  # the beginning of another object or list
_LONG_NUMBER = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
_ESCAPED = re.compile(r"\\[ubfr]")  # what a text may become that was none of ours in the JSON


def read_json(text: str) -> Any:
    """Return the one JSON value of ``text``, its texts cleaned.

    :raises BadJsonError: anything else, or more behind it.
    """
    value, end = _decoded(text.strip())
    if end != len(text.strip()):
        raise BadJsonError("there is more behind its end")
    return value


def read_first_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in ``text``: a prompt or a notice may be around it, but no second value.

    :raises BadJsonError: none, cut short, or followed by another.
    """
    return dict(_first(text, "{"))


def read_first_array(text: str) -> list[Any]:
    """Return the first JSON array in ``text``, as :func:`read_first_object` does an object.

    :raises BadJsonError: none, cut short, or followed by another value.
    """
    return list(_first(text, "["))


def _first(text: str, opening: str) -> Any:
    start = text.find(opening)
    if start < 0:
        raise BadJsonError("no JSON")
    value, end = _decoded(text[start:])
    if _ANOTHER.search(text, start + end):
        raise BadJsonError("there is a second answer behind the first")
    return value


def _decoded(text: str) -> tuple[Any, int]:
    careful = "\\" in text or _LONG_NUMBER.search(text) is not None
    value, end = _read(_CAREFUL if careful else _DECODER, text)
    if _keys_of(value) != len(_KEY.findall(text, 0, end)) and not careful:
        value, end = _read(_CAREFUL, text)
    return (value if is_clean(text) and not _ESCAPED.search(text) else _cleaned(value)), end


def _read(decoder: json.JSONDecoder, text: str) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text)
    except BadJsonError:
        raise
    except json.JSONDecodeError as error:
        raise CutJsonError(f"not JSON, or cut short (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise BadJsonError(f"not JSON, or of more than {MOST_DEPTH} levels") from None


def _keys_of(value: Any) -> int:
    """Return how many keys all objects of a value have.

    :raises BadJsonError: it is too deep."""
    count = 0
    boxes: list[Any] = [[value]]
    for _ in range(MOST_DEPTH + 1):
        deeper: list[Any] = []
        for box in boxes:  # without a call: this is done for every answer
            for key in box:
                one = key
                if box.__class__ is dict:
                    one, count = box[key], count + 1
                if one.__class__ is dict or one.__class__ is list:
                    deeper += (one,)
        if not deeper:
            return count
        boxes = deeper
    raise BadJsonError(f"more than {MOST_DEPTH} levels")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return _pairs([(clean(key), _cleaned(one)) for key, one in value.items()])
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value
