"""Worlds to and from plain dicts, with the place named in every complaint."""

from __future__ import annotations

import base64
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

_MOST = 10**15  # bytes, or seconds: more than anything here has


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def decode(kind: Any, value: object, place: str) -> Any:
    """Return ``value`` as ``kind``: a dataclass, a builtin, a list, a dict or one of these or None.

    :raises ValueError: another type or an unknown key; names the place.
    """
    if is_dataclass(kind):
        return _decode_dataclass(kind, value, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else decode(inner, value, place)
    if origin is list:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise ValueError(f"{place}: a list is expected, not {value!r}")
        return [decode(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(value)]
    if origin is dict:
        items = _mapping(value, place).items()
        return {str(k): decode(arguments[1], v, f"{place}.{k}") for k, v in items}
    return _plain(kind, value, place)


def _mapping(value: object, place: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place}: a mapping is expected, not {value!r}")
    return value


def _decode_dataclass(kind: Any, value: object, place: str) -> Any:
    given = _mapping(value, place)
    hints, names = _hints(kind), {f.name for f in fields(kind)}
    for key in given:
        if key not in names:
            raise ValueError(f"{place}: unknown key {key!r}; known: {', '.join(sorted(names))}")
    try:
        return kind(**{str(k): decode(hints[str(k)], v, f"{place}.{k}") for k, v in given.items()})
    except TypeError as error:
        raise ValueError(f"{place}: {error}") from None


def _plain(kind: Any, value: object, place: str) -> Any:
    match value:
        case bool() if kind in (bool, object):
            return value
        case int() | float() if kind in (int, float) and not isinstance(value, bool):
            if not -_MOST <= value <= _MOST:  # not a number is neither
                raise ValueError(f"{place}: a number up to {_MOST} is expected")
            if kind is int and isinstance(value, float):
                raise ValueError(f"{place}: int is expected, not {value!r}")
            return kind(value)
        case str() if kind is bytes:
            return base64.b64decode(value)
        case _ if kind is object or (kind is str and isinstance(value, str)):
            return value
        case _:
            raise ValueError(f"{place}: {kind.__name__} is expected, not {value!r}")


def encode(value: Any, without: Collection[str] = ()) -> Any:
    """Return a dataclass as a plain dict; bytes become base64 text.

    :param without: fields that are left out.
    """
    match value:
        case dict():
            return {k: encode(v) for k, v in value.items()}
        case list() | tuple():
            return [encode(v) for v in value]
        case bytes():
            return base64.b64encode(value).decode()
        case _ if is_dataclass(value):
            return {n: encode(getattr(value, n)) for n in _names(value.__class__) if n not in without}
        case _:
            return value


@lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
