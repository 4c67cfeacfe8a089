"""Something that is not well, as the health of nodes and their membership are judged."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.looks.facts import Unknown

TRUST_FIRST = "make this machine trust its certificate first: see control_plane_reachable"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not well, or (``unknown``) could not be known.

    :ivar beside: the other node that it is about or that says it, by name (by host where cluster.yaml lacks it).
    :ivar heard: the text ends in that node's name, which is said by :attr:`words`: others may say the same.
    :ivar remedy: what to do about this one; "" where it is the same for all of its kind.
    :ivar csm: its secrets manager is in error, alone or among others.
    :ivar version: it has another version than it should have: no waiting changes that."""

    node: str
    text: str
    unknown: bool = False
    unreachable: bool = False
    beside: str = ""
    heard: bool = False
    remedy: str = ""
    version: bool = False
    csm: bool = False

    @property
    def words(self) -> str:
        """Return what is wrong, with the node that says it."""
        return f"{self.text} {self.beside}" if self.heard else self.text

    def __str__(self) -> str:
        return f"{self.node}: {self.words}" if self.node else self.words


def not_known(node: str, what: str, fact: Unknown) -> Problem:
    """Return the problem that something of a node is not known."""
    remedy = TRUST_FIRST if fact.certificate else ""
    text = f"{what} is not known: {fact.words}"
    return Problem(node, text, unknown=True, unreachable=fact.unreachable, remedy=remedy)
