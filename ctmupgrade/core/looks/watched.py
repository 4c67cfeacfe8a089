"""How long nodes were watched after a first look, and what got worse meanwhile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worse:
    """Something that was not so at the first look.

    :ivar node: by name; "" where it is about the cluster. :ivar unknown: it could not be looked up.
    :ivar unreachable: because nothing answered.
    """

    node: str
    words: str
    unknown: bool = False
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A streak of looks.

    :ivar seconds: from the first look to the last one that was as good. :ivar looks: how many there were after the first.
    :ivar worse: what ended it; empty: nothing did.
    """

    seconds: float
    looks: int
    worse: tuple[Worse, ...] = ()
