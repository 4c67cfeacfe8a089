"""Whether a node holds data that a restore would lose: by what it says itself, and by the journals of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.looks.facts import NodeFacts
from ctmupgrade.core.looks.unknown import Maybe, Unknown
from ctmupgrade.core.redact import foreign

# What a new appliance, or one that was reset, has at most: its first administrator, and no key.
AS_NEW: Mapping[str, int] = {"keys": 0, "users": 1}


class Holds(StrEnum):
    """What is known of a node's data. Only NOTHING may be overwritten unasked."""

    NOTHING = "nothing"
    DATA = "data"
    NOT_KNOWN = "not-known"  # it answers, and does not tell
    SILENT = "silent"  # it does not answer at all


@dataclass(frozen=True, slots=True)
class Holding:
    """What a node holds, and why that is said of it: words that go on after its name and a colon.

    :ivar member: it is in a cluster. :ivar others: the other members, by what it lists; empty where it is in none, or
        alone."""

    state: Holds
    why: str
    member: bool = False
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """What a node said stands in it."""
        object.__setattr__(self, "why", one_line(foreign(self.why)))


@dataclass(frozen=True, slots=True)
class Journals:
    """What the journals on this machine tell of data.

    :ivar kept: why a node has data by an unfinished run, by its name.
    :ivar emptied: the nodes whose data a run has erased, and that nothing has filled since."""

    kept: Mapping[str, str] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()


def holding_of(
    facts: NodeFacts, counted: Mapping[str, Maybe[int]], journals: Journals, had: Mapping[str, int]
) -> Holding:
    """Return what a node holds. What is not known is never "nothing".

    :param counted: how many keys and users it has. :param had: how many there were, by the backup's manifest: where
        there were keys, a node without any cannot be one that holds them, whatever a journal says.
    """
    membership = facts.membership
    if isinstance(facts.shell, Unknown) and isinstance(membership, Unknown):
        return Holding(Holds.SILENT, f"it does not answer ({membership.why})")
    if isinstance(membership, Unknown):
        return Holding(Holds.NOT_KNOWN, f"whether it is in a cluster cannot be read ({membership.words})")
    if membership.clustered:
        return _member(facts, membership.count)
    known = {name: count for name, count in counted.items() if not isinstance(count, Unknown)}
    if known.get("keys") == 0 and had.get("keys", 0) > 0:
        return Holding(Holds.NOTHING, "it is in no cluster, and has no key, of which the backup has some")
    if more := [f"{count} {name}" for name, count in known.items() if count > AS_NEW.get(name, 0)]:
        return Holding(Holds.DATA, f"it is in no cluster, and has {' and '.join(more)}")
    if len(known) < len(AS_NEW):
        return _not_told(facts.name, counted, journals)
    if kept := journals.kept.get(facts.name, ""):
        return Holding(Holds.DATA, kept)
    return Holding(Holds.NOTHING, "it is in no cluster, and has no key and no user but the first")


def _member(facts: NodeFacts, count: int | None) -> Holding:
    if isinstance(facts.members, Unknown):
        alone = count == 1
        others: tuple[str, ...] = () if alone else ("members that it does not list",)
        return Holding(Holds.DATA, "it is in a cluster", True, others)
    others = tuple(m.host or m.node_id for m in facts.members if not m.is_this)
    with_whom = f"a cluster with {', '.join(others)}" if others else "a cluster of its own"
    return Holding(Holds.DATA, f"it is in {with_whom}", True, others)


def _not_told(name: str, counted: Mapping[str, Maybe[int]], journals: Journals) -> Holding:
    """It does not say how much it has: a journal may say that it was erased."""
    if name in journals.emptied and name not in journals.kept:
        return Holding(Holds.NOTHING, "it is in no cluster, and a run on this machine has erased it")
    why = next((one.words for one in counted.values() if isinstance(one, Unknown)), "not asked")
    missing = " and ".join(n for n in AS_NEW if isinstance(counted.get(n, Unknown("")), Unknown))
    return Holding(Holds.NOT_KNOWN, f"how many {missing} it has cannot be read ({why})")
