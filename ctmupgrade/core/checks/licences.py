"""Check of licences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ctmupgrade.core.checks.check import Question, looked, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict

MARGIN = timedelta(days=30)


def licences_last(q: Question) -> Iterator[Finding]:
    """Check that no active licence or trial ends in the work or within 30 days after it."""
    check, command = "licences_last", "ksctl licensing licenses list"
    known, found = looked(q, check, lambda f: f.licences, "its licences", command)
    for name, licences in known.items():
        for licence in licences:
            end = licence.expires
            if licence.trial_s is not None:
                end = q.facts.at + timedelta(seconds=licence.trial_s)
            if end is None or licence.state == "inactive" or end > q.period.end + MARGIN:
                continue
            over = end <= q.facts.at or licence.state == "expired"
            inside = not over and end <= q.period.end
            when = "has expired" if over else f"ends on {end:%Y-%m-%d}"
            what = "trial" if licence.trial_s is not None else "licence"
            summary = f'the {what} "{licence.name}" {when}' + (f", {q.period.words}" if inside else "")
            verdict = Verdict.BLOCK if inside else Verdict.WARN
            found.append(
                Finding(check, verdict, name, summary, f"renew it before the upgrade, then: {command}")
            )
    yield from or_pass(check, found, "no licence ends within 30 days after the work")
