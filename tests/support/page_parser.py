"""A page taken apart, for tests that need no browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_BLOCKS = {"td", "th", "li", "p", "dt", "dd", "div", "caption", "summary", "h2", "h3", "pre"}
_VOID = {"br", "meta", "link", "hr", "input"}


@dataclass
class Element:
    """A tag with its attributes and all text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Parsed(HTMLParser):
    """All elements of a page in order; those that were closed by another tag's end are in ``wrong``."""

    elements: list[Element] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.handle_data(" ")
        if self._open and self._open[-1].tag == tag:
            self._open.pop()
        else:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """The elements of these tags."""
        return [element for element in self.elements if element.tag in tags]

    @property
    def text(self) -> str:
        """What a person reads of it."""
        body = next(element.text for element in self.elements if element.tag == "body")
        return re.sub(r"\s+", " ", body)


def parsed(text: str) -> Parsed:
    """The page. :raises AssertionError: its tags do not nest."""
    page = Parsed()
    page.feed(text)
    assert page.wrong == []
    assert page._open == []
    return page
