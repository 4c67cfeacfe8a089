"""What a check's page says, besides its title: for somebody who has its finding before the eyes and must decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ctmupgrade.core.checks.check import Check


class Sure(StrEnum):
    """How sure the source of a check is."""

    HIGH = "high: printed by the vendor, or seen on a real appliance"
    MEDIUM = "medium: from code of the vendor or of its staff, or from one indirect source"
    LOW = "low: concluded, or from one source that nobody confirmed"
    OURS = "of this program itself: no statement about the appliance"


@dataclass(frozen=True, slots=True)
class Page:
    """One check explained.

    :ivar means: what it makes sure. :ivar otherwise: what breaks where it is not so.
    :ivar looked_up: how it is looked up, with the commands. :ivar fix: what to do where it does not pass.
    :ivar source: where that is known from. :ivar sure: how sure it is.
    """

    means: str
    otherwise: str
    looked_up: str
    fix: str
    source: str
    sure: Sure = Sure.HIGH


def how_to_waive(check: Check) -> str:
    """Return how a check is skipped, or that it cannot be."""
    if not check.waivable:
        return "It cannot be skipped."
    return (
        f"ctmupgrade run --skip {check.id}='why it is safe'; or in cluster.yaml, with an end: "
        f'checks: {{skip: [{{check: {check.id}, reason: "CHG-4711", until: 2026-12-31}}]}}. The reason is in the journal and in '
        "every report; a skip that has ended counts no more."
    )


def sections(check: Check, page: Page) -> tuple[tuple[str, str], ...]:
    """Return the parts of a check's page in the order in which they are read: heading and text."""
    return (
        ("What it makes sure", page.means),
        ("What breaks otherwise", page.otherwise),
        ("Kind of harm", f"{check.harm.value}: {check.harm.words}"),
        ("How it is looked up", page.looked_up),
        ("How to fix it", page.fix),
        ("How to skip it", how_to_waive(check)),
        ("Source", page.source),
        ("How sure", page.sure.value),
    )
