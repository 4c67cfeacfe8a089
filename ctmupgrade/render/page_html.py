"""A page as one HTML file that is complete in itself: to be read on a screen, printed and ticked.

The frame is that of all pages (:mod:`web_page`): no requests, light and dark, print heads. Here: boxes to tick with their
labels, commands that keep their lines, lines to write on, headings in their order, row and column headers.
"""

from __future__ import annotations

from itertools import count

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.render.markup import Markup, joined, tag
from ctmupgrade.render.page import (
    BLANK,
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
from ctmupgrade.render.web_page import page as whole_page
from ctmupgrade.render.web_page import table

_STYLE = """
h3{margin-top:2rem;overflow-wrap:anywhere}
@media (min-width:641px){td,th{border:1px solid var(--line);padding:.35rem .6rem}th{background:var(--soft)}}
pre{border-left:4px solid var(--edge)}pre code{padding:0;background:none;font-size:1em}
pre.shown{border-left-style:dotted}
.warning{border-left:5px solid var(--bad);background:var(--soft);padding:.6rem .8rem}
.ticks{list-style:none;padding-left:0}.ticks li{display:flex;gap:.6rem;align-items:flex-start;margin:.45rem 0}
.ticks input{width:1.5rem;height:1.5rem;flex:none;margin:0}
.blank{display:inline-block;min-width:9rem;border-bottom:1px solid var(--ink);height:1.2em;vertical-align:bottom}
@media print{nav{display:none}h2,h3,h4,p:has(+pre),p:has(+ul){break-after:avoid}.ticks li,.warning,pre{break-inside:avoid}
pre{font-size:8.5pt}td{height:1.9em}}
"""


def page_html(page: Page) -> str:
    """Return the page as a text."""
    made = _Maker()
    body = [made.part(part) for part in page.parts]
    contents = [tag("li", tag("a", text, href=f"#{anchor}")) for anchor, text in made.contents]
    nav = tag("nav", tag("ul", *contents), aria_label="Contents")
    return whole_page(
        page.title, nav, tag("main", *body, id="content", tabindex="-1"), head=page.short, more_style=_STYLE
    )


class _Maker:
    """Makes the parts, and counts those that are referred to."""

    def __init__(self) -> None:
        self.contents: list[tuple[str, str]] = []
        self._boxes = count(1)

    def part(self, part: Part) -> Markup:
        """Return one part of the page."""
        match part:
            case Heading(level, text):
                return self._heading(level, text)
            case Said(words, warning):
                return tag("p", *_words(words), class_="warning" if warning else "")
            case Bullets(items):
                return tag("ul", *(tag("li", *_words(item)) for item in items))
            case Ticks(items):
                return tag("ul", *(self._tick(item) for item in items), class_="ticks")
            case Table():
                return _table(part)
            case Lines(lines, shown):
                text = tag("code", "\n".join(lines))
                kind, label = ("shown", "Expected output") if shown else ("typed", "Commands")
                return tag("pre", text, class_=kind, role="group", aria_label=label)

    def _heading(self, level: int, text: str) -> Markup:
        if level != 2:
            return tag(f"h{level}", text)
        anchor = f"part-{len(self.contents) + 1}"
        self.contents.append((anchor, text))
        return tag("h2", text, id=anchor)

    def _tick(self, item: Words) -> Markup:
        box = f"box-{next(self._boxes)}"
        return tag("li", tag("input", type="checkbox", id=box), tag("label", *_words(item), for_=box))


def _words(words: Words) -> list[Markup]:
    return [_piece(piece) for piece in words]


def _piece(piece: str | Mono | Strong) -> Markup:
    match piece:
        case Mono(text):
            return tag("code", one_line(text))
        case Strong(text):
            return tag("strong", text)
        case _:
            first, *rest = piece.split(BLANK)
            return joined(first, *((tag("span", class_="blank"), text) for text in rest))


def _table(part: Table) -> Markup:
    return table(part.about, part.head, [[joined(*_words(cell)) for cell in row] for row in part.rows])
