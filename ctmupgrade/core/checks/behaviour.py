"""Check of what changes for clients with the versions that are passed."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.behaviour_changes import changes_between
from ctmupgrade.core.checks.check import Question, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.version import Version


def behaviour_changes_read(q: Question) -> Iterator[Finding]:
    """Tell every known change of behaviour between the nodes' versions and the target: an upgrade that is perfect in itself may
    stop clients."""
    check, target = "behaviour_changes_read", q.cluster.target.version
    versions = {f.version for f in q.pending if isinstance(f.version, Version)}
    changes = dict.fromkeys(
        change
        for version in sorted(versions, key=lambda v: v.release)
        for change in changes_between(version, target)
    )
    found = []
    for change in changes:
        words = f"from {change.line[0]}.{change.line[1]} on: {change.text}"
        remedy = change.remedy or "tell those whom it concerns"
        found.append(Finding(check, Verdict.WARN, "", words, remedy, change.source))
    good = f"no change of behaviour is known up to {target.short}; the release notes may name some"
    yield from or_pass(check, found, good)
