"""An interrupted upload: how much of it is provably the archive, and going on from there.

A size proves nothing. What a node has is hashed on it and compared with the archive's beginning here. Where it has
Python, that happens while the rest is sent already, and the rest is hashed as it arrives. Where its shell has pipes,
the beginning is hashed meanwhile; and afterwards, for a few nodes, only the rest: both together are the whole file.
Elsewhere the beginning is hashed before, and the whole file after.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import file_probes
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.file_probes import MIB
from ctmupgrade.core.looks.probes import Probe
from ctmupgrade.core.ticks import Noted, Tick
from ctmupgrade.errors import ConnectionLostError, CtmUpgradeError
from ctmupgrade.ports import Shell

T = TypeVar("T")
HOLES = 128 * MIB  # an upload by several connections leaves holes in its last bytes: never more than these
HASH_TIMEOUT = 1800.0  # seconds; a slow sha256sum takes 7 s for a GiB, an appliance may take longer
SILENCE = 60.0  # seconds; a node that hashes while it receives says something every 5 s
NOTHING = hashlib.sha256(b"").hexdigest()


class _Beside(Generic[T]):
    """A function in a thread of its own, which keeps nobody from leaving: a hash may take half a minute."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:  # it is raised where the result is asked for
            self._error = error

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> T:
        """Waits for it. Raises what the function raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]


class _Follower:
    """The node's own hashes of a part that grows: of its beginning, and of all of it once that is there. What goes
    wrong here only means that it is asked in another way, which tells what is wrong."""

    def __init__(self, shell: Shell, part: str, offset: int, size: int) -> None:
        self._shell, self._argv = shell, file_probes.following(part, offset, size)
        self._hashes: list[str] = []
        self._began, self._left = threading.Event(), False
        self._listening = _Beside(self._listen)

    def _listen(self) -> None:
        said = b""
        try:
            with suppress(CtmUpgradeError):
                for piece in self._shell.stream(*self._argv, timeout=SILENCE):
                    said += piece
                    *lines, _unfinished = said.decode("ascii", "replace").split("\n")
                    self._hashes = [line for line in lines if line.strip()]
                    if self._hashes:
                        self._began.set()
                    if self._left:
                        return
        finally:
            self._began.set()

    def beginning(self) -> Maybe[str]:
        """Waits for it."""
        self._began.wait()
        return self._hashes[0].strip() if self._hashes else Unknown("the node gave no hash")

    def whole(self) -> str:
        """Waits for it; "" where the node did not tell."""
        self._listening.result()
        return self._hashes[1].strip() if len(self._hashes) > 1 else ""

    def leave(self) -> None:
        """It is needed no longer: it ends when it next says something."""
        self._left = True


class Proof:
    """What is known of the first ``offset`` bytes of a part, which are not sent again.

    :ivar offset: bytes; those before are proven already, or are being proven now.
    :ivar read_back: the whole was not hashed on the node, which cannot, but here.
    """

    def __init__(
        self, ctx: Ctx, shell: Shell, part: str, offset: int, *, beside: bool = False, follow: bool = False
    ) -> None:
        """:param beside: the beginning is proven from now on, in the background; ``follow``: and then all of it."""
        self.offset = offset
        self.read_back = False
        self._ctx, self._shell, self._part = ctx, shell, part
        self._follower = _Follower(shell, part, offset, ctx.plan.target.size) if follow else None
        self._there = self._here = None
        if beside:
            follower = self._follower
            self._there = _Beside(
                follower.beginning if follower else lambda: _told(shell, file_probes.first_hash(part, offset))
            )
            self._here = _Beside(lambda: ctx.tools.prefix_hash(offset))

    def leave(self) -> None:
        """Let go: nobody will ask any more."""
        if self._follower:
            self._follower.leave()

    @property
    def failed(self) -> bool:
        """Return whether the beginning is known by now not to be the archive's."""
        if self._there is None or self._here is None or not self._there.over or not self._here.over:
            return False
        return self.beginning() is False

    def beginning(self) -> bool | None:
        """Wait for the two hashes; None: the node could not tell after all."""
        if self._there is None or self._here is None:
            return None
        there = self._there.result()
        return None if isinstance(there, Unknown) else there == self._here.result()

    def of_the_whole(self) -> bool:
        """Return whether the part, which is complete, is the archive.

        :raises ConnectionLostError: no answer. :raises NodeError: it can be neither hashed nor read.
        """
        sha256 = self._ctx.plan.target.sha256
        beginning = self.beginning()
        # Several connections write behind a hole that it has read already: then it says nothing.
        if beginning and self._follower and self._follower.whole() == sha256:
            return True
        if beginning and self._rest_is_cheap():
            rest = _Beside(lambda: self._ctx.tools.rest_hash(self.offset))
            there = _told(self._shell, file_probes.rest_hash(self._part, self.offset))
            if not isinstance(there, Unknown):
                here, whole = rest.result()
                return there == here and whole == sha256
        if beginning is False:
            return False
        hashed = node_hash(self._shell, self._part)
        self.read_back = hashed.read_back
        return hashed.sha256 == sha256

    def _rest_is_cheap(self) -> bool:
        """The rest is hashed here too, for each node again: not where all nodes' rests are more than a beginning."""
        plan = self._ctx.plan
        return len(plan.nodes) * (plan.target.size - self.offset) <= self.offset

    def disproven(self) -> Generator[Tick, None, int]:
        """Yield where to go on instead: before the holes that several connections leave, or at the beginning."""
        yield Noted(f"the first {self.offset / MIB:.0f} MiB on the node differ from what was sent")
        return (yield from _proven(self._ctx, self._shell, self._part, (self.offset - HOLES,)))


def begin_proof(ctx: Ctx, shell: Shell, part: str) -> Generator[Tick, None, Proof]:
    """Look what is there of a part, and prove it, now or beside the upload."""
    size = ask(shell, file_probes.staged(part))
    if isinstance(size, Unknown) or size < MIB:
        return Proof(ctx, shell, part, 0)
    most = min(size, ctx.plan.target.size) // MIB * MIB
    if ask(shell, file_probes.can_follow(part)) == NOTHING and _cut(shell, part, size, most):
        yield Noted(f"continuing at {most / MIB:.0f} MiB, which the node has proven to have")
        return Proof(ctx, shell, part, most, beside=True, follow=True)
    behind = (size // MIB + 1) * MIB
    if (
        NOTHING
        == ask(shell, file_probes.rest_hash(part, behind))
        == ask(shell, file_probes.first_hash(part, 0))
    ):
        yield Noted(f"continuing at {most / MIB:.0f} MiB, which the node has proven to have")
        return Proof(ctx, shell, part, most, beside=True)
    return Proof(ctx, shell, part, (yield from _proven(ctx, shell, part, (most, most - HOLES))))


def _cut(shell: Shell, part: str, size: int, length: int) -> bool:
    """Nothing behind ``length`` may be read before it is sent again."""
    return size == length or shell.change("truncate", "-s", str(length), part).ok


def _proven(ctx: Ctx, shell: Shell, part: str, candidates: tuple[int, ...]) -> Generator[Tick, None, int]:
    """The first of these lengths of which the part is the archive's beginning; the part is cut there. Else 0."""
    for prefix in (length for length in candidates if length > 0):
        cut = shell.change("truncate", "-s", str(prefix), part)
        if not cut.ok:
            yield Noted("the node cannot cut the interrupted upload; starting again")
            return 0
        with ThreadPoolExecutor(1) as beside:  # half a minute each on a slow node: at the same time
            here = beside.submit(ctx.tools.prefix_hash, prefix)
            there = ask(shell, file_probes.file_hash(part), timeout=HASH_TIMEOUT)
        if isinstance(there, Unknown):
            yield Noted("the node cannot hash the interrupted upload; starting again")
            return 0
        if there == here.result():
            yield Noted(f"continuing at {prefix / MIB:.0f} MiB, which the node has")
            return prefix
    yield Noted("the interrupted upload differs from what was sent (a hole); starting again")
    return 0


def _told(shell: Shell, probe: Probe[str]) -> Maybe[str]:
    """:raises ConnectionLostError: no answer."""
    told = ask(shell, probe, timeout=HASH_TIMEOUT)
    if isinstance(told, Unknown) and told.unreachable:
        raise ConnectionLostError(told.why)
    return told


@dataclass(frozen=True, slots=True)
class NodeHash:
    """SHA-256 of a node's file. ``read_back``: the node could not, so the file came back and was hashed here."""

    sha256: str
    read_back: bool = False


def node_hash(shell: Shell, path: str) -> NodeHash:
    """Return the hash of a node's file; where the node has no program for it, the file is read back and hashed
    here, which is slow but proves the same.

    :raises ConnectionLostError: no answer. :raises NodeError: it can be neither hashed nor read.
    """
    told = _told(shell, file_probes.file_hash(path))
    if not isinstance(told, Unknown):
        return NodeHash(told)
    digest = hashlib.sha256()
    for piece in shell.stream("cat", path):
        digest.update(piece)
    return NodeHash(digest.hexdigest(), read_back=True)
