"""What every check is made of: the question it is asked, and findings from what is unknown or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its id, what it asks, and whether it may be waived with a reason."""

    id: str
    title: str
    run: Callable[[Question], Iterator[Finding]]
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
