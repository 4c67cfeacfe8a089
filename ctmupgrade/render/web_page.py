"""The frame of a page that stands alone: no outside requests, light and dark, phone, print, keyboard, screen reader."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence

from ctmupgrade.core.clean_text import clean, one_line
from ctmupgrade.render.markup import Markup, Part, joined, raw, tag
from ctmupgrade.render.web_style import STYLE

_PAGE_HEADS = """
@page{size:A4;margin:20mm 15mm 18mm;
@top-left{content:%s;font:600 9pt system-ui,sans-serif;color:#444}
@top-right{content:%s;font:9pt system-ui,sans-serif;color:#444}
@bottom-right{content:"Page " counter(page) " of " counter(pages);font:9pt system-ui,sans-serif;color:#444}}
"""
_LONGEST_HEAD = 60  # characters, so that a page's head stays on its line


def page(
    title: str, *body: Part, head: str = "", more_style: str = "", script: str = "", nonce: str = ""
) -> str:
    """Return a whole page.

    :param head: stands at the right of each printed page's head; the title stands at its left.
    :param more_style: rules of this kind of page, ours. :param script: likewise.
    :param nonce: of a server that sends the page's policy; "": the page has its policy itself, by hashes.
    """
    style = f"{STYLE}{more_style}{_PAGE_HEADS % (css_string(title), css_string(head))}"
    policy = "" if nonce else _policy(style, script)
    return "\n".join((
        '<!doctype html>\n<html lang="en">',
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy) if policy else "",
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("link", rel="icon", href="data:,"),
            tag("title", one_line(clean(title))),
            tag("style", raw(style), nonce=nonce),
        ),
        tag(
            "body",
            tag("a", "Skip to the content", class_="skip", href="#content"),
            joined(*body),
            tag("script", raw(script), nonce=nonce) if script else "",
        ),
        "</html>",
        "",
    ))  # fmt: skip


def policy_of(style: str, scripts: str, connect: str = "'none'") -> str:
    """Return a Content-Security-Policy under which a page loads nothing, and runs only what it has itself.

    :param style: sources of style sheets. :param scripts: of scripts. :param connect: what a script may ask.
    """
    return (
        f"default-src 'none'; style-src {style}; script-src {scripts}; connect-src {connect}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def css_string(text: str) -> str:
    """Return a text of anybody's as a string of CSS that shows it, cut where it is long."""
    line = one_line(clean(text))
    line = line if len(line) <= _LONGEST_HEAD else f"{line[: _LONGEST_HEAD - 3]}..."
    return f'"{"".join(_css_char(char) for char in line)}"'


def section(key: str, heading: str, *body: Part) -> Markup:
    """Return a part of a page with its heading. :param key: its id, ours."""
    return tag(
        "section", tag("h2", heading, id=f"{key}-heading"), *body, id=key, aria_labelledby=f"{key}-heading"
    )


def table(
    caption: str, heads: tuple[str, ...], rows: Iterable[Sequence[Part]], class_: str = "stack"
) -> Markup:
    """Return a table; its heads are repeated on each printed page, and its first cells name their rows.

    :param class_: ``stack``: on a phone a row's cells stand below each other. The roles are said, for a browser forgets
        them there.
    """
    head = tag("tr", [tag("th", one, scope="col", role="columnheader") for one in heads], role="row")
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", head, role="rowgroup"),
            tag("tbody", [tag("tr", _cells(heads, row), role="row") for row in rows], role="rowgroup"),
            class_=class_,
            role="table",
        ),
        class_="wide",
    )


def _cells(heads: tuple[str, ...], row: Sequence[Part]) -> Markup:
    name = joined(row[0])
    if re.sub("<[^<>]*>", "", name).strip():
        first = tag("th", name, scope="row", role="rowheader")
    else:  # to be written on: it names nothing yet
        first = tag("td", name, data_head=heads[0], role="cell")
    rest = (tag("td", one, data_head=head, role="cell") for head, one in zip(heads[1:], row[1:], strict=True))
    return joined(first, rest)


def folded(key: str, summary: str, *body: Part) -> Markup:
    """Return a part that is folded away until it is asked for; a printed page has it. :param key: its id, ours."""
    return tag("details", tag("summary", summary), *body, id=key)


def _policy(style: str, script: str) -> str:
    return policy_of(_hash(style), _hash(script) if script else "'none'")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _css_char(char: str) -> str:
    return char if char.isascii() and (char.isalnum() or char in " -_.,:") else f"\\{ord(char):x} "
