"""A check's result: what was found, what it means, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """``block`` and ``unknown`` keep a run from starting; ``manual`` asks a person to make sure."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    MANUAL = "manual"
    BLOCK = "block"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """:param check: the check's id, a sentence that should be true.
    :param node: its node, "" for the whole cluster.
    :param remedy: what to do, as something to paste where possible; "" for a pass.
    :param source: where the fact comes from.
    :param unreachable: it is so only because something did not answer.
    :param own: the check is the operator's, and has no page.
    """

    check: str
    verdict: Verdict
    node: str
    summary: str
    remedy: str = ""
    source: str = ""
    unreachable: bool = False
    own: bool = False

    @property
    def doc(self) -> str:
        """Return where the check's page is: a command, for whoever installed the program has it; of an own check where
        it is written."""
        return self.source if self.own else f"ctmupgrade check --explain {self.check}"

    @property
    def stops(self) -> bool:
        """Return whether a run may not start because of it."""
        return self.verdict in (Verdict.BLOCK, Verdict.UNKNOWN)


def waive(findings: Iterable[Finding], skips: Sequence[tuple[str, str]]) -> list[Finding]:
    """Return the findings with those that were waived by name marked ``skipped``, the reason in the summary."""
    reasons = dict(skips)
    return [
        replace(f, verdict=Verdict.SKIPPED, summary=f"{f.summary} [skipped: {reasons[f.check]}]")
        if f.check in reasons and f.verdict is not Verdict.PASS
        else f
        for f in findings
    ]


def expire(findings: Iterable[Finding], ended: Mapping[str, str]) -> list[Finding]:
    """Return the findings with those told that were waived once, and count again.

    :param ended: checks whose skip in cluster.yaml has ended, and since when.
    """
    return [
        replace(f, summary=f"{f.summary} [its skip in cluster.yaml ended {ended[f.check]}]")
        if f.check in ended and f.verdict not in (Verdict.PASS, Verdict.SKIPPED)
        else f
        for f in findings
    ]


_RANK = (Verdict.BLOCK, Verdict.UNKNOWN, Verdict.MANUAL, Verdict.WARN, Verdict.SKIPPED, Verdict.PASS)


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the worst verdict of all."""
    found = {f.verdict for f in findings}
    return next((v for v in _RANK if v in found), Verdict.PASS)


def silent_nodes(findings: Iterable[Finding]) -> set[str]:
    """Return nodes whose shell or control plane does not answer; what others say of them follows from that."""
    causes = ("node_reachable", "control_plane_reachable", "stays_well_for_a_minute")
    return {f.node for f in findings if f.check in causes and f.stops and f.unreachable}
