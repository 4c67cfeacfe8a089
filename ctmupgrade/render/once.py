"""Leaves out of a text what its line, or its row, says in front of it."""

from __future__ import annotations


def names_itself(names: list[str], text: str) -> bool:
    """Return whether a text about one node begins with that node's name."""
    return len(names) == 1 and text.startswith((f"{names[0]} ", f"{names[0]}:"))


def without_name(name: str, text: str) -> str:
    """Return a text about one node without that node's name at its beginning, where it is said of several."""
    return text.removeprefix(f"{name}: ")
