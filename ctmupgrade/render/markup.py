"""HTML that escapes by its type: a plain text becomes a text that is shown, and only what was made here is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

from ctmupgrade.core.clean_text import clean


class Markup(str):
    """HTML that may stand as it is: made by :func:`tag` and :func:`joined` alone."""

    __slots__ = ()


Part: TypeAlias = str | Iterable["Part"]  # Markup as it is; a plain str is escaped
_VOID = frozenset({"br", "meta", "link", "hr", "input"})


def escape(text: str) -> Markup:
    """Return a text of anybody's as HTML that shows it; markup stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(clean(text)))


def joined(*parts: Part, between: str = "") -> Markup:
    """Return parts behind each other. :param between: what stands between them."""
    return Markup(escape(between).join(_flat(parts)))


def tag(name: str, /, *parts: Part, **attributes: str | bool) -> Markup:
    """Return an element. ``class_`` is ``class``, and ``aria_label`` is ``aria-label``; True is an attribute without a
    value, False and "" leave it away (``alt`` and the like are never empty here).

    :param name: of the element: ours, never another's text.
    """
    given = Markup("").join(_attribute(key, value) for key, value in attributes.items() if value)
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(*parts)}</{name}>")


def raw(text: str) -> Markup:
    """Return a text of this program's own, such as its style sheet, as markup. Nothing of others may be in it."""
    return Markup(text)


def _attribute(key: str, value: str | bool) -> Markup:
    name = key.rstrip("_").replace("_", "-")
    return Markup(f" {name}" if value is True else f' {name}="{html.escape(clean(str(value)))}"')


def _flat(parts: Iterable[Part]) -> Iterable[Markup]:
    for part in parts:
        if isinstance(part, str):
            yield escape(part)
        else:
            yield from _flat(part)
