"""What every check is made of: the question it is asked, and findings from what is unknown or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.checks.problem import TRUST_FIRST, Problem
from ctmupgrade.core.looks.facts import Facts, Maybe, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import reached

T = TypeVar("T")
VENDOR = "vendor page Clusters and Nodes"


LIKELY_LENGTH = timedelta(hours=8)  # of the work, where cluster.yaml has no window


@dataclass(frozen=True, slots=True)
class Period:
    """When the work is done. :ivar known: cluster.yaml has a window that ends."""

    start: datetime
    end: datetime
    known: bool

    @property
    def words(self) -> str:
        """Return it for a summary."""
        return "in the window" if self.known else f"within {LIKELY_LENGTH.seconds // 3600} h"


@dataclass(frozen=True, slots=True)
class Question:
    """What a check may look at."""

    facts: Facts
    cluster: Cluster
    options: Options

    @property
    def clustered(self) -> bool:
        """Return whether the strategy is for nodes of a cluster."""
        return self.cluster.strategy is not StrategyName.STANDALONE

    @property
    def pending(self) -> list[NodeFacts]:
        """Return nodes that are not known to be at the target already."""
        target = self.cluster.target.version
        return [
            f
            for f in self.facts.nodes.values()
            if isinstance(f.version, Unknown) or not reached(f.version, target)
        ]

    @property
    def silent(self) -> int:
        """Return how many nodes do not answer at all: what others report of them follows from that."""
        return sum(
            any(isinstance(fact, Unknown) and fact.unreachable for fact in (f.shell, f.system))
            for f in self.facts.nodes.values()
        )

    @property
    def period(self) -> Period:
        """Return when the work is done: in the window, or from now on."""
        window = self.cluster.window
        start = max(window.start or self.facts.at, self.facts.at)
        end = window.finish_by
        return Period(start, max(start, end) if end else start + LIKELY_LENGTH, end is not None)


class Group(StrEnum):
    """What a check is about; ``check --list`` shows the checks in this order."""

    PORTS = "ports"
    CLUSTER = "cluster"
    SERVICES = "services"
    DISK = "disk"
    BACKUP = "backup"
    TIME = "time"
    CERTIFICATES = "certificates"
    HSM = "HSM"
    LICENCES = "licences"
    WORK = "work in flight"
    ACCOUNTS = "accounts"
    VERSIONS = "versions"
    CLIENTS = "clients"
    OWN = "the operator's own"


class Harm(StrEnum):
    """What would come of it: the worst that is likely where nobody acts on a finding."""

    OUTAGE = "outage"
    FAILED_UPGRADE = "failed-upgrade"
    LOST_DATA = "lost-data"
    SLOW = "slow"
    BY_HAND = "by-hand"
    AFTER = "after"

    @property
    def words(self) -> str:
        """Return the same for a reader."""
        return {
            Harm.OUTAGE: "clients are not served",
            Harm.FAILED_UPGRADE: "the upgrade stops, or leaves a node half upgraded",
            Harm.LOST_DATA: "data is lost, or there is no way back to it",
            Harm.SLOW: "the upgrade takes longer, or waits",
            Harm.BY_HAND: "somebody must act by hand during the upgrade",
            Harm.AFTER: "a fault after the upgrade, perhaps noticed late",
        }[self]


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    :ivar id: the sentence that should be true. :ivar title: the same for a reader.
    :ivar run: judges facts; yields at least one finding.
    :ivar harm: what is to be feared where it does not pass.
    :ivar waivable: whether it may be skipped, by name and with a reason.
    """

    id: str
    title: str
    run: Callable[[Question], Iterator[Finding]]
    group: Group
    harm: Harm
    waivable: bool = True


def unknown(check: str, node: str, fact: Unknown, remedy: str, what: str = "") -> Finding:
    """Return a finding about something that could not be found out."""
    text = f"{what or 'this'} is not known: {fact.why}"
    if fact.certificate:
        remedy = TRUST_FIRST
    return Finding(check, Verdict.UNKNOWN, node, text, remedy, unreachable=fact.unreachable)


def looked(
    q: Question,
    check: str,
    look: Callable[[NodeFacts], Maybe[T]],
    what: str,
    command: str,
    verdict: Verdict = Verdict.WARN,
) -> tuple[dict[str, T], list[Finding]]:
    """Return what is known of each node, and a finding for each of which it is not.

    Not every release knows every command: what could not be looked up stops nothing by itself, and a person is told.

    :param what: as the start of a sentence. :param command: that shows it.
    :param verdict: MANUAL where the harm would be great.
    """
    known: dict[str, T] = {}
    found: list[Finding] = []
    for name, facts in q.facts.nodes.items():
        fact = look(facts)
        if isinstance(fact, Unknown):
            found.append(not_looked_up(check, name, fact, what, command, verdict))
        else:
            known[name] = fact
    return known, found


def not_looked_up(
    check: str, node: str, fact: Unknown, what: str, command: str, verdict: Verdict = Verdict.WARN
) -> Finding:
    """Return a finding about a look that gave no answer, and that stops nothing by itself."""
    remedy = TRUST_FIRST if fact.certificate else f"{command}   # look by hand"
    shut = fact.unreachable or fact.login or bool(fact.certificate)
    return Finding(check, verdict, node, f"{what} could not be looked up: {fact.why}", remedy, "", shut)


def or_pass(check: str, found: Sequence[Finding], good: str) -> Iterator[Finding]:
    """Yield the findings; where there is none, one pass that says what is good."""
    yield from found or [Finding(check, Verdict.PASS, "", good)]


def of_problems(check: str, problems: Iterable[Problem], remedy: str, good: str) -> Iterator[Finding]:
    """Yield a finding per problem, or one pass that says what is good."""
    found = False
    for problem in in_one(problems):
        found = True
        verdict = Verdict.UNKNOWN if problem.unknown else Verdict.BLOCK
        yield Finding(
            check, verdict, problem.node, problem.words, problem.remedy or remedy, VENDOR, problem.unreachable
        )
    if not found:
        yield Finding(check, Verdict.PASS, "", good)


def in_one(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, with what several nodes report of another in the same words as one: of twenty nodes nineteen see the
    one that is down."""
    alike: dict[Problem, list[str]] = {}
    for problem in dict.fromkeys(problems):
        form = replace(problem, beside="") if problem.heard else problem
        alike.setdefault(form, []).append(problem.beside)
    return [replace(form, beside=", ".join(names)) if form.heard else form for form, names in alike.items()]
