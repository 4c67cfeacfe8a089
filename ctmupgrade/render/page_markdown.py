"""A page as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.render.escape import block, code, markdown
from ctmupgrade.render.page import (
    Bullets,
    Heading,
    Lines,
    Mono,
    Page,
    Part,
    Said,
    Strong,
    Table,
    Ticks,
    Words,
)


def page_markdown(page: Page) -> str:
    """Return the page as a text."""
    lines: list[str] = []
    for part in page.parts:
        lines += [*_part(part), ""]
    return "\n".join(lines)


def words_markdown(words: Words, *, cell: bool = False) -> str:
    """Return words as one line. :param cell: it is a table's, in which a bar would end it."""
    return "".join(_piece(piece, first=index == 0, cell=cell) for index, piece in enumerate(words))


def _piece(piece: str | Mono | Strong, *, first: bool, cell: bool) -> str:
    if isinstance(piece, Mono):  # outside a table a backslash in code is one that is typed
        return code(piece.text) if cell else code(piece.text).replace("\\|", "|")
    text = piece.text if isinstance(piece, Strong) else piece
    shown = markdown(f"{text};")[:-1] if first else _inside(text)
    return f"**{shown.strip()}**{' ' if shown[-1:] == ' ' else ''}" if isinstance(piece, Strong) else shown


def _inside(text: str) -> str:
    """A text that begins no line; a mark at each end keeps the blanks there."""
    return markdown(f";{text};")[1:-1]


def _part(part: Part) -> Iterator[str]:
    match part:
        case Heading(level, text):
            yield f"{'#' * level} {_inside(text)}"
        case Said(words, warning):
            yield f"{'> ' if warning else ''}{words_markdown(words)}"
        case Bullets(items):
            yield from (f"- {words_markdown(item)}" for item in items)
        case Ticks(items):
            yield from (f"- [ ] {words_markdown(item)}" for item in items)
        case Table(_, head, rows):
            yield f"| {' | '.join(map(markdown, head))} |"
            yield f"|{'---|' * len(head)}"
            for row in rows:
                yield f"| {' | '.join(words_markdown(one, cell=True) for one in row)} |"
        case Lines(lines, shown):
            yield from block(lines, "text" if shown else "sh")
