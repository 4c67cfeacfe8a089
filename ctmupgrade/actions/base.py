"""The common shape of every action: prepare, [journal], start, look until it is so.

Because *perform* is "start, then look until done", *resume* is the same without the start: look, start
only what the look shows not to have happened, look until done. There is no second path for recovery.

Actions are generators. What they yield (:data:`Tick`) is for the executor: to journal, to show, to wait.
A wait is a value, so the simulator runs the same code in virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from ctmupgrade.collect import Gather
from ctmupgrade.core.facts import BootMark, Manifest, Maybe, Unknown
from ctmupgrade.core.journal import Evidence
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan import Plan
from ctmupgrade.core.steps import Step
from ctmupgrade.errors import (
    ConnectionLostError,
    HostKeyError,
    InconclusiveError,
    NodeError,
    UnreachableError,
)
from ctmupgrade.ports import Clock, Fleet, Terminal, Verifier

T = TypeVar("T")


def known(fact: Maybe[T], what: str) -> T:
    """The fact itself.

    :raises UnreachableError: nothing answered. :raises NodeError: it answered, but could not tell.
    """
    if not isinstance(fact, Unknown):
        return fact
    text = f"{what} cannot be found out: {fact.why}"
    raise UnreachableError(text) if fact.unreachable else NodeError(text)


def boot_text(mark: BootMark) -> str:
    """A boot mark as journal evidence."""
    return json.dumps(asdict(mark))


def boot_from(text: str) -> BootMark:
    """And back; an absent one compares with nothing."""
    return BootMark(**json.loads(text)) if text else BootMark()


@dataclass(frozen=True, slots=True)
class Started:
    """About to act. The executor journals it, durably, before the generator goes on."""

    before: Evidence


@dataclass(frozen=True, slots=True)
class Noted:
    """Worth keeping in the journal."""

    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sleep ``seconds``, then look again. ``since`` and ``until`` are for the reader."""

    seconds: float
    what: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes done of all; ``pause`` is virtual time the simulator wants to pass."""

    what: str
    done: int
    total: int
    pause: float = 0.0


Tick: TypeAlias = Started | Noted | Waiting | Progress
Task: TypeAlias = Generator[Tick, None, Evidence]
Doing: TypeAlias = Generator[Tick, None, None]


class So(StrEnum):
    """What a look shows. UNKNOWN is never taken for NOT_YET."""

    DONE = "done"
    GOING_ON = "going-on"  # it was started and is under way
    NOT_YET = "not-yet"  # it did not happen; starting it (again) is right
    FAILED = "failed"  # it happened and ended badly
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. ``detail`` says in words what is waited for or what is wrong."""

    so: So
    detail: str = ""
    evidence: Evidence = field(default_factory=dict)
    remedy: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to look.

    :param timeout: after so long the step ends, by what the last look showed.
    :param looks: so many looks in a row must show it done.
    :param steady: and for so long without a break.
    :param grace: so long NOT_YET or UNKNOWN is borne before it is believed.
    """

    timeout: timedelta
    looks: int = 1
    steady: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)


@dataclass(slots=True)
class Session:
    """What this process knows of a step's start: the terminal it runs on, and what it said."""

    terminal: Terminal | None = None
    text: str = ""
    ended: bool = False
    code: int | None = None
    refused: str = ""  # a definite "no" at the start
    unsure: bool = False  # the connection was lost at the start: it may not have reached the node
    last: str = ""  # the last growth seen
    last_at: float = 0.0  # by the monotonic clock
    said_stuck: bool = False
    memo: dict[str, str] = field(default_factory=dict)


class Store(Protocol):
    """Where backups are kept on this machine."""

    def manifests(self) -> tuple[Manifest, ...]: ...

    def paths(self, node: str, backup_id: str) -> tuple[Path, Path]:
        """Temporary paths to download a backup and its key to. Made ready; old remains are removed."""
        ...

    def keep(self, manifest: Manifest) -> Manifest:
        """Moves what was downloaded into place (0600) and writes its manifest; returns it with the paths.

        :raises NodeError: a file is missing or empty, or the disk does not take it."""
        ...

    def save(self, name: str, text: str) -> str:
        """Keeps a text (a node's settings) and returns its path."""
        ...


@dataclass(slots=True)
class Ctx:
    """What an action may use."""

    cluster: Cluster
    plan: Plan
    run: str
    fleet: Fleet
    verifier: Verifier
    clock: Clock
    gather: Gather
    store: Store
    prefix_hash: Callable[[int], str]  # SHA-256 of the archive's first bytes, on this machine
    expected: Mapping[str, tuple[object, ...]] = field(default_factory=dict)  # node -> releases it may have
    befores: dict[str, Evidence] = field(default_factory=dict)  # step -> what was journaled before it
    sessions: dict[str, Session] = field(default_factory=dict)

    def session(self, step: Step) -> Session:
        """This process's session of a step."""
        return self.sessions.setdefault(step.id, Session())

    @property
    def poll(self) -> float:
        return max(0.05, self.cluster.poll.total_seconds())


class Doer:
    """One action's behaviour. The defaults are those of a step that only looks."""

    def patience(self, ctx: Ctx) -> Patience:
        """How long to wait for it."""
        return Patience(ctx.cluster.timeouts.service)

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Looks that must precede the act, and what later looks will compare with."""
        return {}
        yield  # pragma: no cover - makes it a generator

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> Doing:
        """The act itself. May raise ConnectionLostError: then only looking tells.

        :raises NodeError: a definite no.
        """
        return
        yield  # pragma: no cover

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> Seen:
        """Whether it is so. Only looks. May raise the connection errors of the ports."""
        raise NotImplementedError


def perform(ctx: Ctx, doer: Doer, step: Step, before: Evidence | None) -> Task:
    """Does a step, or (``before`` given) goes on with one that was started by whoever died.

    :returns: the evidence of its being done.
    """
    if before is None:
        before = yield from doer.prepare(ctx, step)
        yield Started(before)
        ctx.befores[step.id] = before
        yield from _begin(ctx, doer, step, before)
    else:
        ctx.befores[step.id] = before
        seen = yield from _settled_look(ctx, doer, step, before)
        if seen.so is So.NOT_YET:
            yield Noted(f"it had not happened ({seen.detail or 'by the look'}); starting it")
            yield from _begin(ctx, doer, step, before)
        elif seen.so is So.UNKNOWN:
            raise InconclusiveError(
                f"{step.id}: whether it happened cannot be known: {seen.detail}",
                remedy=seen.remedy or f"look at {step.node}, then: ctmupgrade node retry|done {ctx.run} {step.node}",
            )
    return (yield from _until_done(ctx, doer, step, before))


def _begin(ctx: Ctx, doer: Doer, step: Step, before: Evidence) -> Doing:
    ctx.sessions.pop(step.id, None)
    try:
        yield from doer.start(ctx, step, before)
    except ConnectionLostError as lost:
        ctx.session(step).unsure = True
        yield Noted(f"the connection was lost while starting it ({lost.brief}); looking whether it happened")
    except UnreachableError as gone:
        if isinstance(gone, HostKeyError):
            raise
        ctx.session(step).unsure = True
        yield Noted(f"no connection while starting it ({gone.brief})")


def careful_look(ctx: Ctx, doer: Doer, step: Step, before: Evidence) -> Seen:
    """A look in which a lost connection is UNKNOWN, never FAILED. A wrong host key is for a person."""
    try:
        return doer.look(ctx, step, before)
    except HostKeyError:
        raise
    except (UnreachableError, ConnectionLostError) as error:
        return Seen(So.UNKNOWN, error.brief, remedy=error.remedy, unreachable=True)


def _settled_look(ctx: Ctx, doer: Doer, step: Step, before: Evidence) -> Generator[Tick, None, Seen]:
    """Looks until the answer can be believed: NOT_YET and UNKNOWN must last for the grace."""
    patience = doer.patience(ctx)
    began, since = ctx.clock.monotonic(), ctx.clock.now()
    grace = max(patience.grace.total_seconds(), 2 * ctx.poll)
    seen = careful_look(ctx, doer, step, before)
    while seen.so in (So.NOT_YET, So.UNKNOWN):
        limit = patience.timeout.total_seconds() if seen.unreachable else grace
        if ctx.clock.monotonic() - began >= limit:
            if seen.unreachable:
                raise UnreachableError(f"{step.node or step.id}: {seen.detail}", remedy=seen.remedy)
            return seen
        until = since + timedelta(seconds=limit)
        yield Waiting(ctx.poll, f"finding out whether it happened: {seen.detail}", since, until)
        seen = careful_look(ctx, doer, step, before)
    return seen


def _until_done(ctx: Ctx, doer: Doer, step: Step, before: Evidence) -> Task:
    patience = doer.patience(ctx)
    began, since = ctx.clock.monotonic(), ctx.clock.now()
    good, good_since, not_yet_since = 0, 0.0, -1.0
    while True:
        seen = careful_look(ctx, doer, step, before)
        now = ctx.clock.monotonic()
        if seen.so is So.DONE:
            good_since = now if good == 0 else good_since
            good += 1
            if good >= patience.looks and now - good_since >= patience.steady.total_seconds():
                return seen.evidence
        else:
            good = 0
        if seen.so is So.FAILED:
            raise NodeError(f"{step.id}: {seen.detail}", remedy=seen.remedy)
        not_yet_since = _since_when(seen, not_yet_since, now)
        _give_up_refused(ctx, step, seen, patience, not_yet_since)
        if _never_arrived(ctx, step, patience, not_yet_since):
            yield Noted(f"it never reached the node ({seen.detail or 'by the look'}); starting it")
            not_yet_since = -1.0
            yield from _begin(ctx, doer, step, before)
        if now - began >= patience.timeout.total_seconds():
            raise _too_late(ctx, step, seen, patience)
        until = since + patience.timeout
        yield Waiting(ctx.poll, seen.detail or "one more good look", since, until)


def _since_when(seen: Seen, since: float, now: float) -> float:
    """Since when the look has been NOT_YET without a break; -1 where it is not."""
    if seen.so is not So.NOT_YET:
        return -1.0
    return now if since < 0 else since


def _never_arrived(ctx: Ctx, step: Step, patience: Patience, since: float) -> bool:
    """The start was lost on its way, and the node has shown for long enough that nothing happened."""
    grace = max(patience.grace.total_seconds(), 2 * ctx.poll)
    return ctx.session(step).unsure and since >= 0 and ctx.clock.monotonic() - since >= grace


def _give_up_refused(ctx: Ctx, step: Step, seen: Seen, patience: Patience, since: float) -> None:
    """A start that was refused and left no trace has failed; there is nothing to wait for."""
    refused = ctx.session(step).refused
    if refused and since >= 0 and ctx.clock.monotonic() - since >= patience.grace.total_seconds():
        raise NodeError(f"{step.id}: {refused}", details=seen.detail, remedy=seen.remedy)


def _too_late(ctx: Ctx, step: Step, seen: Seen, patience: Patience) -> Exception:
    minutes = patience.timeout.total_seconds() / 60
    text = f"{step.id}: not done after {minutes:.0f} min; last look: {seen.detail or seen.so.value}"
    if seen.unreachable:
        return UnreachableError(text, remedy=seen.remedy or f"bring {step.node} back, then: ctmupgrade resume")
    if seen.so is So.UNKNOWN:
        return InconclusiveError(
            text, remedy=seen.remedy or f"look at {step.node}, then: ctmupgrade node retry|done {ctx.run} {step.node}"
        )
    return NodeError(text, remedy=seen.remedy or f"look at {step.node}, then: ctmupgrade resume")
