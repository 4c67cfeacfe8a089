"""The questions put to nodes: read-only command lines and the parsers of their answers.

A :class:`Probe` has several ways of asking, best first, because what a restricted ``ksadmin`` shell
offers is not known (docs/appliance.md 8, 14). A way that is missing, refused or not understood leads to the next;
when all fail the fact is ``Unknown`` with every way's answer named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from ctmupgrade.core.looks.excerpt import not_told

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LONG = 32_768  # characters: of longer answers each parser remembers only a few, for they may have a MiB


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """One way of asking. ``parse`` gets (exit code, standard output, standard error)."""

    argv: tuple[str, ...]
    parse: Callable[[int, str, str], T_co]


@dataclass(frozen=True, slots=True)
class Probe(Generic[T_co]):
    """A question with its ways, best first."""

    name: str
    ways: tuple[Query[T_co], ...]


def _remembering(parser: Callable[[str], T]) -> Callable[[str], T]:
    short, long = lru_cache(maxsize=32)(parser), lru_cache(maxsize=3)(parser)
    return lambda answer: (long if len(answer) > LONG else short)(answer)


def text(parser: Callable[[str], T]) -> Callable[[int, str, str], T]:
    """Return a parser of standard output alone; an empty one is explained by standard error."""
    read = _remembering(parser)

    def of_reply(code: int, out: str, err: str) -> T:
        if not out.strip():
            raise not_told(err, f"no answer (exit {code})")
        return read(out)

    return of_reply


def either(parser: Callable[[str], T]) -> Callable[[int, str, str], T]:
    """Return a parser for ``ksctl``: whether errors come on stdout or stderr is not known (docs/appliance.md 8, 11).

    Twenty nodes asked for a summary of twenty give the same long text: it is read once."""
    read = _remembering(parser)

    def of_reply(code: int, out: str, err: str) -> T:
        if "{" in out or "[" in out:
            return read(out)
        raise not_told(f"{out} {err}", f"no answer (exit {code})")

    return of_reply


def plain_probe(name: str, parser: Callable[[str], T], *ways: tuple[str, ...]) -> Probe[T]:
    """Return ways whose standard output alone tells."""
    return Probe(name, tuple(Query(argv, text(parser)) for argv in ways))
