"""A page as values: what a runbook says, before it becomes Markdown or HTML.

Texts are words and commands; a command is a :class:`Mono`. Each writer escapes both, so that nobody else needs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

BLANK = "...................."  # to be written on


@dataclass(frozen=True, slots=True)
class Mono:
    """A command, a name or an output inside a sentence, as it is typed or shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that must not be overlooked."""

    text: str


Words: TypeAlias = tuple[str | Mono | Strong, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading. :ivar level: 1 is the page's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A paragraph. :ivar warning: it must catch the eye."""

    words: Words
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Ticks:
    """A list with a box before each item, to be ticked by a person."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table. :ivar about: what it shows, for who cannot see it."""

    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[Words, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Commands to type, or what is shown. :ivar shown: it is output, and not to be typed."""

    lines: tuple[str, ...]
    shown: bool = False


Part: TypeAlias = Heading | Said | Bullets | Ticks | Table | Lines


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title is the first heading. :ivar short: what stands at the head of every printed page."""

    short: str
    parts: tuple[Part, ...]

    @property
    def title(self) -> str:
        """Return the text of the first heading."""
        return next((part.text for part in self.parts if isinstance(part, Heading)), self.short)


def said(*words: str | Mono | Strong, warning: bool = False) -> Said:
    """Return a paragraph of words."""
    return Said(words, warning)


def rows(*cells: tuple[str | Words | Mono, ...]) -> tuple[tuple[Words, ...], ...]:
    """Return a table's rows; a cell may be a text."""
    return tuple(tuple(one if isinstance(one, tuple) else (one,) for one in row) for row in cells)
