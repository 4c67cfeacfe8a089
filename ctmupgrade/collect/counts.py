"""Asks how much a node has: the numbers by which a node with data is told from a new one."""

from __future__ import annotations

from ctmupgrade.collect.settings import passes_by_itself, read_settings
from ctmupgrade.core.looks.unknown import Maybe, Unknown
from ctmupgrade.core.node_settings import COUNTS
from ctmupgrade.ports import Reader


def count_of(control: Reader) -> dict[str, Maybe[int]]:
    """Return how many keys and users a node has, or why it does not tell."""
    found: dict[str, Maybe[int]] = {}
    for name, answer in read_settings(control, tuple(COUNTS)).items():
        count = answer.get("count")
        why = str(answer.get("unknown", "it tells no number"))
        found[name] = count if type(count) is int else Unknown(why, later=passes_by_itself(answer))
    return found
