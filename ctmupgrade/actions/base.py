"""The common shape of every action: prepare, [journal], start, look until it is so.

Because *perform* is "start, then look until done", *resume* is the same without the start: look, start
only what the look shows not to have happened, look until done. There is no second path for recovery.

Actions are generators. What they yield (:data:`Tick`) is for the executor: to journal, to show, to wait.
A wait is a value, so the simulator runs the same code in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.holding import Journals
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.interlocks import Hold
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import HostKeyError, NotToldError, NotYetError, UnreachableError
from ctmupgrade.ports import Clock, Fleet, Terminal, Tools

T = TypeVar("T")
OwnT = TypeVar("OwnT")


def known(fact: Maybe[T], what: str) -> T:
    """Return the fact itself.

    :raises UnreachableError: nothing answered. :raises NotToldError: it answered, but could not tell.
    :raises NotYetError: it answered that it cannot tell now.
    """
    if not isinstance(fact, Unknown):
        return fact
    text = f"{what} cannot be read: {fact.words}"
    if fact.host_key:
        raise HostKeyError(text, remedy=HOST_KEY_REMEDY)
    if fact.unreachable:
        raise UnreachableError(text)
    raise NotYetError(text) if fact.later or fact.login else NotToldError(text)


HOST_KEY_REMEDY = "compare the key on the node's own console; if it is the node's new key, put it into known_hosts (or host_key)"


class LookState(StrEnum):
    """What a look shows. UNKNOWN is never taken for NOT_YET."""

    DONE = "done"
    GOING_ON = "going-on"  # it was started and is under way
    NOT_YET = "not-yet"  # it did not happen; starting it (again) is right
    FAILED = "failed"  # it happened and ended badly
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookResult:
    """One look. ``detail`` says in words what is waited for or what is wrong."""

    state: LookState
    detail: str = ""
    evidence: Evidence = field(default_factory=dict)
    remedy: str = ""
    go_on: GoOn | None = None  # how the run goes on where this ends it; None: as is usual for the error
    unreachable: bool = False
    untold: bool = False  # it answered, and did not tell: that passes by itself, or is a failure soon
    final: bool = False  # UNKNOWN, and looking longer will not tell: a person must decide now
    gist: str = ""  # what of the detail stays the same from look to look; "": all of it
    note: Noted | None = None  # worth keeping in the journal, once
    node: str = ""  # of all that were looked at, the one that it is about
    seen: Evidence = field(
        default_factory=dict
    )  # what is known of it though it is not done; the journal keeps it

    def __post_init__(self) -> None:
        """What a node said stands in all of these."""
        object.__setattr__(self, "detail", one_line(foreign(self.detail)))
        object.__setattr__(self, "evidence", {name: foreign(text) for name, text in self.evidence.items()})
        object.__setattr__(self, "seen", {name: foreign(text) for name, text in self.seen.items()})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to look.

    :param timeout: after so long the step ends, by what the last look showed.
    :param looks: so many looks in a row must show it done.
    :param steady: and for so long without a break.
    :param grace: so long NOT_YET or UNKNOWN is tolerated before it is believed.
    :param apart: while looks are good, so long is between two of them at least.
    :param waits: and while they are not; a poll where that is longer.
    :param starts: so often one process starts it at most, where nothing seems to come of it; 0: as often as there is time.
    """

    timeout: timedelta
    looks: int = 1
    steady: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)
    apart: timedelta = timedelta(0)
    waits: timedelta = timedelta(0)
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was seen, by both clocks: one has stopped while a machine sleeps, the other may be set."""

    monotonic: float
    wall: datetime

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        """Return the present moment."""
        return cls(clock.monotonic(), clock.now())

    def age(self, clock: Clock) -> float:
        """Return seconds since then, by the clock that says more."""
        return max(clock.monotonic() - self.monotonic, abs((clock.now() - self.wall).total_seconds()))


@dataclass(slots=True)
class Session:
    """What this process knows of a step's start: the terminal it runs on, and what it said."""

    terminal: Terminal | None = None
    text: str = ""
    ended: bool = False
    code: int | None = None
    refused: str = ""  # a "no" at the start
    definite: bool = False  # and one that no waiting changes
    unsure: bool = False  # the connection was lost at the start: it may not have reached the node
    last: str = ""  # the last growth seen
    last_at: float = 0.0  # by the monotonic clock
    said_stuck: bool = False
    looked: Moment | None = None  # when the looks that precede the act were made
    young_s: float = 0.0  # so many seconds they are good for
    stale: bool = False  # they were older than that when it was to begin: nothing was sent
    untold_at: float = -1.0  # since when looks are answered without telling, by the monotonic clock
    seen: Evidence = field(default_factory=dict)  # see LookResult; of the last look that had something
    said: str = ""  # what was answered to a start that may not have reached the node
    refused_at: float = (
        -1.0
    )  # when the login for it was refused, by the monotonic clock: nothing was sent; -1: it was not
    _own: object = None

    def own(self, kind: type[OwnT]) -> OwnT:
        """Return what a handler remembers of this start, as a value of a class of its own; made when first asked for."""
        if not isinstance(self._own, kind):
            self._own = kind()
        return self._own

    def aged(self, clock: Clock) -> bool:
        """Return whether the looks before the act are too old to begin it now; remembered as :attr:`stale`."""
        self.stale = self.looked is not None and self.looked.age(clock) > self.young_s
        return self.stale


@dataclass(slots=True)
class Ctx:
    """What an action may use."""

    cluster: Cluster
    plan: Plan
    run: str
    tools: Tools
    expected: Mapping[str, tuple[object, ...]] = field(default_factory=dict)  # node -> releases it may have
    # node -> what an earlier run proved of its archive
    staged: Mapping[str, Evidence] = field(default_factory=dict)
    noted: dict[str, tuple[NoteCode, ...]] = field(
        default_factory=dict
    )  # step -> what dead processes noted of it
    last_noted: dict[str, tuple[NoteCode, ...]] = field(
        default_factory=dict
    )  # the same, since the last start of it alone
    baselines: dict[str, Evidence] = field(default_factory=dict)  # step -> what was journaled before it
    earlier: dict[str, Evidence] = field(
        default_factory=dict
    )  # step -> what was journaled before its last start, though an operator said to do it again
    sessions: dict[str, Session] = field(default_factory=dict)
    interlock: Callable[[Step], Hold] = lambda _step: Hold()  # why a step may not start now; the loop's
    proven: Callable[[str], bool] = lambda _step: False  # whether a look has seen a step done; the loop's
    # step -> what its last look saw before a person said that it is done; the loop's
    judged: Callable[[str], Evidence] = lambda _step: {}
    anchor: Callable[[Step], None] = lambda _step: (
        None
    )  # keeps the journal's head on the node that is changed
    looked: dict[str, Moment] = field(
        default_factory=dict
    )  # step -> when the looks before it began to be made
    journals: Journals = field(
        default_factory=Journals
    )  # what other runs tell of who holds data: for a restore
    # node -> its own settings as an earlier run recorded them: for a restore
    remembered: Mapping[str, Evidence] = field(default_factory=dict)

    def session(self, step: Step) -> Session:
        """Return this process's session of a step."""
        return self.sessions.setdefault(step.id, Session())

    def recorded(self, node: str) -> Evidence:
        """Return what was recorded of a node in this run, or recalled of an earlier one; empty where nothing was."""
        ids = (step_id("record-settings", node), step_id("recall-settings", node))
        return next((found for one in ids if (found := self.baselines.get(one))), {})

    @property
    def fleet(self) -> Fleet:
        """Return the nodes' shells and control planes."""
        return self.tools.fleet

    @property
    def clock(self) -> Clock:
        """Return the run's clock."""
        return self.tools.clock

    @property
    def poll(self) -> float:
        """Return how often waits look, in seconds; never less than 0.05."""
        return max(0.05, self.cluster.poll.total_seconds())


class StepHandler:
    """One action's behaviour. The defaults are those of a step that only looks.

    :ivar lost_words: what to say where the connection ends as it starts; "": that its answer was lost."""

    lost_words = ""

    def patience(self, ctx: Ctx) -> Patience:
        """Return how long to wait for it."""
        return Patience(ctx.cluster.timeouts.service)

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make the looks that must precede the act, and keep what later looks will compare with."""
        return {}
        yield  # pragma: no cover - makes it a generator

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Act. May raise ConnectionLostError: then only looking tells.

        :raises NodeError: a definite no.
        """
        return
        yield  # pragma: no cover

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Return whether it is so. It only looks. It may raise the connection errors of the ports."""
        raise NotImplementedError
