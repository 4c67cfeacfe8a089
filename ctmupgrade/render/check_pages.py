"""The catalogue of checks for readers: the list, and each check's page as text, JSON and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ctmupgrade.core.checks.check import Check, Group
from ctmupgrade.core.checks.page import Page, sections

WIDTH = 100


def check_document(check: Check) -> dict[str, object]:
    """Return one check of ``check --list``."""
    return {
        "id": check.id,
        "title": check.title,
        "group": check.group.value,
        "waivable": check.waivable,
        "harm": check.harm.value,
    }


def list_document(groups: Mapping[Group, Sequence[Check]]) -> dict[str, object]:
    """Return the document of ``check --list``."""
    return {"schema": 1, "checks": [check_document(check) for checks in groups.values() for check in checks]}


def list_lines(groups: Mapping[Group, Sequence[Check]]) -> Iterator[str]:
    """Return ``check --list`` for a reader, a heading for each group."""
    width = max(len(check.id) for checks in groups.values() for check in checks)
    for group, checks in groups.items():
        yield f"{group.value}:"
        for check in checks:
            yield f"  {check.id:{width}}  {check.title}{'' if check.waivable else '  (cannot be skipped)'}"
    yield "What one of them means: ctmupgrade check --explain ID"


def page_document(check: Check, page: Page) -> dict[str, object]:
    """Return the document of ``check --explain``."""
    parts = {heading.lower().replace(" ", "_"): text for heading, text in sections(check, page)}
    return {"schema": 1, "check": {**check_document(check), "page": parts}}


def page_lines(check: Check, page: Page) -> Iterator[str]:
    """Yield a check's page for a terminal."""
    yield f"{check.id}: {check.title}"
    for heading, text in sections(check, page):
        yield ""
        yield f"{heading}:"
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def page_markdown(check: Check, page: Page) -> str:
    """Return a check's page as a file of the documentation."""
    lines = [
        f"# {check.id}",
        "",
        f"{check.title[0].upper()}{check.title[1:]}. Group: {check.group.value}.",
        "",
    ]
    for heading, text in sections(check, page):
        lines += [f"## {heading}", "", text, ""]
    return "\n".join(lines)


def index_markdown(groups: Mapping[Group, Sequence[Check]]) -> str:
    """Return the list of all pages as a file of the documentation."""
    lines = [
        "# Checks",
        "",
        "What `ctmupgrade check` looks at, and why. These pages are made by `scripts/pages` from the same texts as",
        "`ctmupgrade check --explain ID`.",
        "",
    ]
    for group, checks in groups.items():
        lines += [
            f"## {group.value[0].upper()}{group.value[1:]}",
            "",
            "| check | makes sure that | harm |",
            "|---|---|---|",
        ]
        lines += [f"| [{c.id}]({c.id}.md) | {c.title} | {c.harm.value} |" for c in checks]
        lines.append("")
    return "\n".join(lines)
