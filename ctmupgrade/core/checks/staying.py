"""Whether nodes stay healthy: for minutes after the first `started` of a boot services go back to error and starting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ctmupgrade.core.checks.ages import span
from ctmupgrade.core.checks.check import Question, or_pass
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.looks.watched import Worse
from ctmupgrade.core.model import Cluster

CHECK = "stays_well_for_a_minute"
SETTLED_S = 900.0  # so long after a boot services may go back to error (a Thales group's deployment kit waits as long)
GLANCE = timedelta(seconds=15)  # what a check watches where no node has just been started
FLAPPING = "deployment kit of a Thales group"


def how_long(facts: Facts, cluster: Cluster) -> timedelta:
    """Return how long a check watches that all stay healthy: :data:`GLANCE` is enough, or ``stable_for`` where it is shorter; the
    whole of ``stable_for`` where a node has been up for less than :data:`SETTLED_S`, or nobody knows for how long."""
    new = any(
        not isinstance(f.system, Unknown) and f.system.uptime_s < SETTLED_S for f in facts.nodes.values()
    )
    return cluster.stable_for if new else min(cluster.stable_for, GLANCE)


def stays_well_for_a_minute(q: Question) -> Iterator[Finding]:
    """Judge whether all stayed healthy while they were watched, which only `check` does; a run waits before its first node, and
    before each join, until they have. Where they were not watched for ``stable_for``, tell which have just been started."""
    watched = q.facts.watched
    if watched and watched.worse:
        for worse in watched.worse:
            yield _ended(worse, watched.seconds)
        return
    for_so_long = watched and f"stayed healthy for {span(watched.seconds)} ({watched.looks + 1} looks)"
    if watched and watched.seconds >= q.cluster.stable_for.total_seconds():
        yield Finding(CHECK, Verdict.PASS, "", f"every node {for_so_long}")
        return
    up = f"has been up for {span(SETTLED_S)} or more"
    good = f"{for_so_long}, and {up}" if for_so_long else up
    yield from or_pass(CHECK, list(_just_started(q)), f"every node that answers {good}")


def _ended(worse: Worse, seconds: float) -> Finding:
    verdict = Verdict.UNKNOWN if worse.unknown else Verdict.BLOCK
    words = f"{worse.words}; it was healthy for {span(seconds)} before: services may still go back to error"
    remedy = "wait some minutes; then check again"
    return Finding(CHECK, verdict, worse.node, words, remedy, FLAPPING, worse.unreachable)


def _just_started(q: Question) -> Iterator[Finding]:
    stable = span(q.cluster.stable_for.total_seconds())
    remedy = (
        f"look again in some minutes; a run waits until all have been healthy for {stable} without a break"
    )
    for name, facts in q.facts.nodes.items():
        if isinstance(facts.system, Unknown):
            continue  # said by control_plane_reachable
        up = facts.system.uptime_s
        if up < 0:
            words = "how long it has been up could not be looked up: its services may still go back to error"
            yield Finding(CHECK, Verdict.WARN, name, words, remedy, FLAPPING)
        elif up < SETTLED_S:
            words = f"it has been up for {span(up)} only: its services may still go back to error"
            yield Finding(CHECK, Verdict.WARN, name, words, remedy, FLAPPING)
