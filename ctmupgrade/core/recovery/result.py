"""What the parts of a diagnosis return, and the diagnosis that is made of them: frozen values all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from ctmupgrade.core.plan.steps import ResetNode, Step


class Urgency(IntEnum):
    """How soon somebody must act; the greatest of all troubles counts."""

    NONE = 0
    NO_HURRY = 1
    TODAY = 2
    NOW = 3
    WAIT = 4  # something works that must not be disturbed, however bad the rest is

    @property
    def words(self) -> str:
        """Return how a headline says it."""
        return {
            Urgency.NONE: "nothing to do",
            Urgency.NO_HURRY: "no hurry",
            Urgency.TODAY: "act today",
            Urgency.NOW: "act now",
            Urgency.WAIT: "wait and touch nothing",
        }[self]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong.

    :ivar text: a sentence for the list of what is wrong.
    :ivar node: the node that it is about (its host, where cluster.yaml lacks it); "" for the cluster as a whole.
    :ivar explains: what else is seen of that node follows from this.
    :ivar state: for the headline, after "NODE is". :ivar sentence: for the headline, instead of that. One with
        neither is told in the list alone.
    :ivar if_left: what happens when nothing is done; "" where nothing gets worse.
    """

    text: str
    node: str = ""
    explains: bool = False
    state: str = ""
    if_left: str = ""
    urgency: Urgency = Urgency.NO_HURRY
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Something for a person to decide or to do.

    :ivar commands: what to type, a line each; each works as it is printed.
    :ivar about: the nodes that it is for, where the text does not name them: advice that is equal for several is
        told once.
    """

    text: str
    commands: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return the text, with the nodes that it is for."""
        return f"{', '.join(self.about)}: {self.text}" if self.about else self.text

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.sentence}: {'; '.join(self.commands)}" if self.commands else self.sentence


def merged(advice: Iterable[Advice]) -> tuple[Advice, ...]:
    """Return the advice, with what is equal for several nodes once."""
    about: dict[Advice, list[str]] = {}
    for one in advice:
        about.setdefault(replace(one, about=()), []).extend(one.about)
    return tuple(replace(one, about=tuple(dict.fromkeys(names))) for one, names in about.items())


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the diagnosis found; parts add up.

    :ivar steps: in their order; :func:`in_order` makes each wait for the one before it.
    :ivar forbids: why no node may be erased now; it is told only where a step would erase one.
    :ivar support: only vendor support can help.
    :ivar finishing: the steps are those of an upgrade, for which every check must pass.
    """

    wrong: tuple[Trouble, ...] = ()
    advice: tuple[Advice, ...] = ()
    steps: tuple[Step, ...] = ()
    forbids: tuple[Advice, ...] = ()
    support: bool = False
    finishing: bool = False

    def __add__(self, other: Part) -> Part:
        """Return both, this one first."""
        return Part(
            self.wrong + other.wrong,
            self.advice + other.advice,
            self.steps + other.steps,
            self.forbids + other.forbids,
            self.support or other.support,
            self.finishing or other.finishing,
        )

    def concerns(self, node: str) -> bool:
        """Return whether something is done for this node already."""
        return any(step.node == node for step in self.steps)

    @property
    def explained(self) -> frozenset[str]:
        """Return the nodes of which all else that is seen follows from a trouble that is told."""
        return frozenset(trouble.node for trouble in self.wrong if trouble.explains)


def together(parts: Iterable[Part]) -> Part:
    """Return the sum of parts, in their order."""
    return sum(parts, Part())


def advise(text: str, *commands: str) -> Part:
    """Return a part that only advises."""
    return Part(advice=(Advice(text, commands),))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, what works meanwhile, and the way back.

    :ivar headline: all of it in one sentence: who is out, who serves, how soon to act.
    :ivar losses: what the way back loses for good; empty without steps.
    :ivar if_left: what happens when nothing is done until morning.
    :ivar passing: all that is wrong may be the last of what a step did, and be over in a moment.
    """

    headline: str
    urgency: Urgency
    wrong: tuple[str, ...] = ()
    works: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    steps: tuple[Step, ...] = ()
    losses: tuple[str, ...] = ()
    if_left: tuple[str, ...] = ()
    support: bool = False
    finishing: bool = False
    passing: bool = False

    @property
    def seconds(self) -> int:
        """Return how long the way back usually takes: its steps come one after the other."""
        return sum(step.estimate_s for step in self.steps)

    @property
    def erased(self) -> tuple[str, ...]:
        """Return the nodes that the way back erases."""
        return tuple(dict.fromkeys(s.node for s in self.steps if isinstance(s.action, ResetNode)))


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps, each after the one before it (recovery does one thing at a time), with ids that occur once."""
    seen: dict[str, int] = {}
    made: list[Step] = []
    for one in steps:
        seen[one.id] = seen.get(one.id, 0) + 1
        own = one.id if seen[one.id] == 1 else f"{one.id}:{seen[one.id]}"
        made.append(replace(one, id=own, after=(made[-1].id,) if made else ()))
    return tuple(made)
