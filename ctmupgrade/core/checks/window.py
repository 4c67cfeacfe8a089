"""The check of the maintenance window."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.plan.strategies import steps_for
from ctmupgrade.core.plan.windows import fit_lines, fit_summary, window_fit, window_words

CHECK = "window_fits"


def window_fits(q: Question) -> Iterator[Finding]:
    """Judge whether the plan can be finished in the maintenance window."""
    window = q.cluster.window
    if window.finish_by is None:
        what = "has no end" if window.start else "is not set"
        yield Finding(CHECK, Verdict.PASS, "", f"the maintenance window {what}")
        return
    if q.facts.at >= window.finish_by:
        summary = f"the maintenance window ({window_words(window)}) is over"
        yield Finding(CHECK, Verdict.MANUAL, "", summary, "set the next window in cluster.yaml (window)")
        return
    fit = window_fit(window, steps_for(q.facts, q.cluster, q.options), q.cluster.strategy, q.facts.at)
    if fit is None:
        yield Finding(CHECK, Verdict.PASS, "", "nothing is left to do in the maintenance window")
        return
    summary = "; ".join((fit_summary(fit), *fit_lines(fit)))
    if fit.whole:
        yield Finding(CHECK, Verdict.PASS, "", summary)
        return
    remedy = "set a longer window in cluster.yaml (window.finish_by), or upload before it: ctmupgrade stage"
    if fit.partial:
        remedy += "\nor take only those that fit: ctmupgrade run --accept-partial   # resume does the others in the next window"
    yield Finding(CHECK, Verdict.MANUAL, "", summary, remedy)
