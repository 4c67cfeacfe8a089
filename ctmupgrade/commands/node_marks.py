"""A mark on every node: who runs what on it, from where, since when. A second operator's run respects it.

The mark is a folder, because making one is atomic on any node with any shell; who made it is the name of
a folder inside, so that a plain ``ls`` tells. A mark is never taken for stale by its age: only that its
run has ended *in this machine's own journals* makes it so, or an operator's ``--take-over RUN``.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.errors import (
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    LockedError,
    UnreachableError,
)
from ctmupgrade.ports import Fleet, Shell

MARK = ".ctmupgrade-run"
RUN = "ctmupgrade run"
NAMELESS_LOOKS, LOOK_EVERY = 6, 0.5  # a mark gets its name at once; one without was left by a killed process


_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


def is_run_id(text: str) -> bool:
    """Return whether a text can be a run's id: it goes into paths here and into commands that a person copies."""
    return _RUN_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a mark names. ``run`` is "" where the mark is none that this program made."""

    run: str
    who: str
    since: str

    @property
    def folder(self) -> str:
        """Return the inner folder's name: no blanks, so that ``ls`` output splits."""
        return re.sub(r"[\s/]", "_", "__".join((self.run, self.who, self.since)))


def owner_of(name: str) -> Owner:
    """Return the owner that an inner folder's name tells."""
    run, _, rest = name.strip().partition("__")
    who, _, since = rest.partition("__")
    return Owner(run if is_run_id(run) else "", who or "unknown", since or "unknown")


def _said(listing: str) -> list[str]:
    """The names of marks in a listing. A shell that greets, or warns of its use, says other words before it.

    A line that is a name with blanks in it is none that we make; a mark without a name is free to take, so it counts.
    """
    found: list[str] = []
    for line in listing.split("\n"):
        words = [word for word in line.split() if _names_someone(word)]
        found += words or [line.strip()] * _names_someone(line)
    return found


def _names_someone(text: str) -> bool:
    return text.count("__") >= 2 and "/" not in text and len(text) < 256


def claim(
    fleet: Fleet,
    nodes: list[str],
    mine: Owner,
    *,
    over: Callable[[str], bool],
    say: Callable[[str], None],
    again: bool = False,
    spared: Collection[str] = (),
    command: str = RUN,
) -> None:
    """Mark every node, the first by name first, so that of two runs one loses at once and touches no more.

    :param over: whether a run has ended, or is to be taken over.
    :param again: the run goes on: a node that is unreachable now, as while it boots, has its mark from before.
    :param spared: nodes that this run writes off: they may be away.
    :param command: what takes over a dead run, with ``--take-over``: for the error.
    :raises LockedError: another run's mark stands on a node. :raises UnreachableError: a node is unreachable.
        Marks made here are removed again.
    """
    made: list[str] = []
    away: list[CtmUpgradeError] = []
    for name in sorted(nodes):
        try:
            if _claim_one(name, fleet.shell(name), mine, over, say, command):
                made.append(name)
        except CtmUpgradeError as error:
            if (again or name in spared) and _is_away(error) and len(away) + 1 < len(nodes):
                say(f"{name}: its mark cannot be set or read now: {error.brief}")
                away.append(error)
                continue
            release(fleet, made, mine)
            raise


def _is_away(error: CtmUpgradeError) -> bool:
    if isinstance(error, HostKeyError):
        return False  # a person must look first
    return isinstance(error, UnreachableError | ConnectionLostError)


def standing(fleet: Fleet, nodes: list[str]) -> list[tuple[str, Owner]]:
    """Return the marks that stand, by node. Only looks; a node that does not answer shows none."""
    found = []
    for name in sorted(nodes):
        try:
            reply = fleet.shell(name).read("ls", "-1", MARK)
        except CtmUpgradeError:
            continue
        names = _said(reply.out) if reply.ok else []
        found += [(name, owner_of(names[0]))] if names else []
    return found


def held_by(node: str, owner: Owner, command: str = RUN) -> LockedError:
    """Return the error that names who holds a node, and what takes it over: ``command``, as it was called."""
    if not owner.run:
        return LockedError(
            f"{node}: a mark of somebody else is on it, which names no run: {excerpt(owner.who)}",
            remedy=f"find out who made it: ls -lR {MARK} in the node's home; then remove it there by hand",
        )
    broken = f"; if the cluster is broken: ctmupgrade recover --take-over {owner.run}"
    return LockedError(
        f"{node}: run {owner.run} by {owner.who} since {owner.since} works on this cluster",
        remedy=f"ask {shlex.quote(owner.who)}; if that run can never continue: {command} --take-over {owner.run}"
        + broken * (command == RUN),
    )


def _claim_one(
    name: str,
    shell: Shell,
    mine: Owner,
    over: Callable[[str], bool],
    say: Callable[[str], None],
    command: str,
) -> bool:
    """Whether the mark was made now; False where it is ours already or the node cannot be marked."""
    for _attempt in range(2):
        reply = shell.change("mkdir", MARK)
        if reply.ok:
            return _named(name, shell, mine, command)
        names = _names(shell)
        if names is None:
            say(f"the node cannot be marked: {(reply.err or reply.out).strip()}")
            return False
        if not names:
            return _named(name, shell, mine, command)
        theirs = owner_of(names[0])
        if theirs.run == mine.run:
            return False
        if not over(theirs.run):
            raise held_by(name, theirs, command)
        _remove(shell, names)
    return False


def _names(shell: Shell) -> list[str] | None:
    """Who the mark names; empty where its maker was killed before it said; None where there is no mark."""
    for look in range(NAMELESS_LOOKS):
        listing = shell.read("ls", "-1", MARK)
        if not listing.ok:
            return None
        if names := _said(listing.out):
            return names
        if look + 1 < NAMELESS_LOOKS:
            time.sleep(LOOK_EVERY)
    return []


def _named(node: str, shell: Shell, mine: Owner, command: str) -> bool:
    """Writes our name into a mark that has none. Where two do so at once, neither has it."""
    shell.change("mkdir", f"{MARK}/{mine.folder}")
    others = [n for n in _said(shell.read("ls", "-1", MARK).out) if owner_of(n).run != mine.run]
    if others:
        shell.change("rmdir", f"{MARK}/{mine.folder}")
        raise held_by(node, owner_of(others[0]), command)
    return True


def _remove(shell: Shell, names: list[str]) -> None:
    heads = [one.folder for one in _heads(shell.read("ls", "-1", MARK).out)]
    for name in (*names, *heads):
        shell.change("rmdir", f"{MARK}/{name}")
    shell.change("rmdir", MARK)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A journal's head as a node keeps it, inside the mark: how many lines it had, and the sha256 of the last one.

    It only ever grows while the run lives. A journal that ends before it was rolled back, as with its machine."""

    lines: int
    head: str

    @property
    def folder(self) -> str:
        """Return its folder's name; without the two "__" of an owner's."""
        return f"journal.{self.lines}.{self.head}"


_ANCHOR = re.compile(r"journal\.(\d{1,9})\.([0-9a-f]{64})", re.ASCII)


def _heads(listing: str) -> list[Anchor]:
    found = [_ANCHOR.fullmatch(word) for word in listing.split()]
    return [Anchor(int(match[1]), match[2]) for match in found if match]


def anchor(shell: Shell, run: str, head: Anchor) -> None:
    """Keep a journal's head on a node that has the run's mark, and drop what it kept before. Never fails: a node that
    cannot be asked now keeps what it has."""
    try:
        listing = shell.read("ls", "-1", MARK).out
        if not any(owner_of(name).run == run for name in _said(listing)):
            return
        if shell.change("mkdir", f"{MARK}/{head.folder}").ok:
            for older in _heads(listing):
                if older.lines < head.lines:
                    shell.change("rmdir", f"{MARK}/{older.folder}")
    except CtmUpgradeError:
        return


def anchors(fleet: Fleet, nodes: list[str], run: str) -> list[tuple[str, Anchor]]:
    """Return the heads that nodes keep of a run's journal. Only looks; a node that does not answer keeps none."""
    found: list[tuple[str, Anchor]] = []
    for name in sorted(nodes):
        try:
            listing = fleet.shell(name).read("ls", "-1", MARK).out
        except CtmUpgradeError:
            continue
        if any(owner_of(word).run == run for word in _said(listing)):
            found += [(name, one) for one in _heads(listing)]
    return found


def rename(fleet: Fleet, nodes: list[str], mine: Owner) -> None:
    """Put our name into the marks of a run that another machine had. A node that cannot be reached keeps the old one,
    which names the same run."""
    for name in nodes:
        try:
            shell = fleet.shell(name)
            old = [n for n in _said(shell.read("ls", "-1", MARK).out) if owner_of(n).run == mine.run]
            if old and mine.folder not in old and shell.change("mkdir", f"{MARK}/{mine.folder}").ok:
                for folder in old:
                    shell.change("rmdir", f"{MARK}/{folder}")
        except CtmUpgradeError:
            continue


def refuse_silence(fleet: Fleet, nodes: list[str]) -> None:
    """Make sure that at least one node can be asked. Only looks.

    :raises CtmUpgradeError: none can; why the last one cannot.
    """
    last: CtmUpgradeError | None = None
    for name in sorted(nodes):
        try:
            fleet.shell(name).read("ls", "-1", MARK)
        except CtmUpgradeError as error:
            last = error
        else:
            return
    if last is not None:
        raise last


def release(fleet: Fleet, nodes: list[str], mine: Owner) -> None:
    """Take our marks away. One that cannot be reached keeps its mark, which is known to be stale later."""
    for name in nodes:
        try:
            shell = fleet.shell(name)
            names = _said(shell.read("ls", "-1", MARK).out)
            if names and owner_of(names[0]).run == mine.run:
                _remove(shell, names)
        except CtmUpgradeError:
            continue
