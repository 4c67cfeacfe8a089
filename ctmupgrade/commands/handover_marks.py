"""What the nodes keep of a hand-over: an offer of the run, and who took it. They are the only place that both machines
see, so whoever goes on with the run must have it from them.

Beside the marks (:mod:`ctmupgrade.commands.node_marks`) and by the same means: folders, whose making and removing is
atomic on any node with any shell, and whose names ``ls`` tells. An offer is removed by one taker alone; the run belongs
to whoever removed more than half of its offers, so that two takers never both have it. Who took it stays there, an empty
folder, for the machine that handed it over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ctmupgrade.errors import BlockedError, CtmUpgradeError, LockedError, NodeError, UnreachableError
from ctmupgrade.ports import Fleet, Reader, Shell

FOLDER = ".ctmupgrade-handover"
_OFFER = re.compile(r"offer\.([0-9A-Za-z-]{1,64})\.([0-9a-f]{16})\.([0-9a-f]{64})", re.ASCII)
_TAKEN = re.compile(
    r"taken\.([0-9A-Za-z-]{1,64})\.([0-9a-f]{16})\.([0-9a-f]{16})__([^/\s]{1,80})__([0-9T:-]{1,30})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes a run over. :ivar holder: 16 hexadecimal digits that nobody else has. :ivar who: user@host."""

    holder: str
    who: str
    since: str

    def folder(self, run: str, ticket: str) -> str:
        """Return the name of its folder on a node."""
        who = re.sub(r"[/\s]", "_", self.who)[:80].replace("__", "_-")
        return f"taken.{run}.{ticket}.{self.holder}__{who}__{self.since}"


@dataclass(slots=True)
class Seen:
    """What the nodes show of one hand-over.

    :ivar offers: node -> the digest of the file that it was packed into. :ivar taken: node -> who took it.
    :ivar silent: node -> why nothing is known of it.
    """

    offers: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Taker] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)

    def other(self, holder: str) -> Taker | None:
        """Return somebody else who took it; None where no node says so."""
        return next((taker for taker in self.taken.values() if taker.holder != holder), None)


def look(fleet: Fleet, nodes: Sequence[str], run: str, ticket: str) -> Seen:
    """Ask the nodes about one hand-over. Only looks."""
    found = Seen()
    for name in sorted(nodes):
        try:
            words = _listed(fleet.shell(name))
        except CtmUpgradeError as error:
            found.silent[name] = error.brief
            continue
        for word in words:
            offer, taken = _OFFER.fullmatch(word), _TAKEN.fullmatch(word)
            if offer and offer.group(1, 2) == (run, ticket):
                found.offers[name] = offer[3]
            if taken and taken.group(1, 2) == (run, ticket):
                found.taken[name] = Taker(*taken.group(3, 4, 5))
    return found


def _listed(shell: Reader) -> list[str]:
    """What is in the folder. :raises NodeError: the node cannot list it; one that has none says so."""
    reply = shell.read("ls", "-1", FOLDER)
    if reply.missing:
        raise NodeError(f"ls cannot be run there: {(reply.err or reply.out).strip()}")
    return reply.out.split() if reply.ok else []


def answering(fleet: Fleet, nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the nodes that can keep an offer now. Only looks."""
    return tuple(name for name in sorted(nodes) if name not in look(fleet, [name], "", "").silent)


def offer(fleet: Fleet, nodes: Sequence[str], run: str, ticket: str, digest: str) -> None:
    """Offer a run on every one of these nodes. :raises NodeError: one does not take it, or is unreachable."""
    for name in nodes:
        shell = fleet.shell(name)
        shell.change("mkdir", FOLDER)  # it may be there
        reply = shell.change("mkdir", f"{FOLDER}/offer.{run}.{ticket}.{digest}")
        if not reply.ok:
            raise NodeError(f"{name}: the run cannot be offered there: {(reply.err or reply.out).strip()}")


def take(
    fleet: Fleet, nodes: Sequence[str], run: str, ticket: str, mine: Taker, say: Callable[[str], None]
) -> None:
    """Take a run from the nodes that offer it; taking it twice is taking it once.

    :param nodes: those that were to keep the offer.
    :raises LockedError: somebody else took it. :raises UnreachableError: too few nodes answer to be sure.
    :raises BlockedError: too few of them offer it.
    """
    seen = look(fleet, nodes, run, ticket)
    # A blank node was not reached when it was to be offered; where all answer, nobody can have it from there.
    blank = 0 if seen.silent else 1
    won = 0
    for name in sorted(nodes):
        if name in seen.silent:
            say(f"{name}: what it keeps of the hand-over cannot be read now: {seen.silent[name]}")
            continue
        if other := seen.other(mine.holder):
            raise taken_by(run, other)
        if name not in seen.offers:
            won += 1 if name in seen.taken else blank
            continue
        won += _take_one(fleet.shell(name), name, run, ticket, seen.offers[name], mine)
    if won * 2 > len(nodes):
        return
    if seen.silent:
        raise UnreachableError(
            f"run {run}: too few nodes answer to be sure that nobody else takes it over: {', '.join(seen.silent)}",
            remedy="bring them back, then the same command again",
        )
    raise BlockedError(
        f"run {run}: the nodes do not offer it any more, and do not say who took it",
        remedy="ask whoever has the file; ctmupgrade check shows how the nodes are",
    )


def _take_one(shell: Shell, name: str, run: str, ticket: str, digest: str, mine: Taker) -> bool:
    """Whether this node's offer is ours now. Our name first: who is killed behind it is found again by it.

    :raises LockedError: somebody else was faster.
    """
    folder = f"{FOLDER}/{mine.folder(run, ticket)}"
    shell.change("mkdir", folder)
    if shell.change("rmdir", f"{FOLDER}/offer.{run}.{ticket}.{digest}").ok:
        return True
    for word in _listed(shell):
        taken = _TAKEN.fullmatch(word)
        if taken and taken.group(1, 2) == (run, ticket) and taken[3] != mine.holder:
            shell.change("rmdir", folder)
            raise taken_by(run, Taker(*taken.group(3, 4, 5)))
    raise NodeError(f"{name}: the offer of run {run} cannot be taken from it")


def taken_by(run: str, other: Taker) -> LockedError:
    """Return the error that says where a run went."""
    return LockedError(
        f"run {run} was taken over by {other.who} at {other.since}: it goes on there, and only there",
        remedy=f"ask {other.who}; ctmupgrade report {run}   # up to the hand-over",
    )
