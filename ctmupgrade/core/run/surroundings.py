"""What a run began in, kept with its first event: its maintenance window, and what its checks found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.model import Window


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found that did not simply pass.

    :ivar verdict: a Verdict. :ivar nodes: all of which it is so; none: it concerns the whole cluster.
    """

    check: str
    verdict: str
    nodes: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """As in this module's first line.

    :ivar passed: how many findings were a pass. :ivar told: all others, the same of several nodes once.
    """

    window: Window = field(default_factory=Window)
    passed: int = 0
    told: tuple[Checked, ...] = ()


def surroundings_of(window: Window, findings: Iterable[Finding]) -> Surroundings:
    """Return what a run's first event keeps of its window and of its checks."""
    passed = 0
    told: dict[tuple[str, str, str], list[str]] = {}
    for one in findings:
        if one.verdict is Verdict.PASS:
            passed += 1
        else:
            told.setdefault((one.check, one.verdict.value, one.summary), []).append(one.node)
    return Surroundings(
        window,
        passed,
        tuple(
            Checked(check, verdict, tuple(node for node in nodes if node), summary)
            for (check, verdict, summary), nodes in told.items()
        ),
    )
