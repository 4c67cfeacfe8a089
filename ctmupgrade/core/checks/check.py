"""What every check is made of: the question it is asked, and findings from what is unknown or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.checks.problem import TRUST_FIRST, Problem
from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import reached

VENDOR = "vendor page Clusters and Nodes"


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
        """Nodes that are not known to be at the target already."""
        target = self.cluster.target.version
        return [
            f
            for f in self.facts.nodes.values()
            if isinstance(f.version, Unknown) or not reached(f.version, target)
        ]


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
    """A finding about something that could not be found out."""
    text = f"{what or 'this'} is not known: {fact.why}"
    if fact.certificate:
        remedy = TRUST_FIRST
    return Finding(check, Verdict.UNKNOWN, node, text, remedy, unreachable=fact.unreachable)


def of_problems(check: str, problems: Iterable[Problem], remedy: str, good: str) -> Iterator[Finding]:
    """A finding per problem, or one pass that says what is good."""
    found = False
    for problem in dict.fromkeys(problems):
        found = True
        verdict = Verdict.UNKNOWN if problem.unknown else Verdict.BLOCK
        yield Finding(
            check, verdict, problem.node, problem.words, problem.remedy or remedy, VENDOR, problem.unreachable
        )
    if not found:
        yield Finding(check, Verdict.PASS, "", good)
