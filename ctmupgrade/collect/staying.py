"""Watches for a while whether nodes stay as healthy as a first look saw them. Only looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from ctmupgrade.collect.collect import all_health
from ctmupgrade.core.checks.ages import span
from ctmupgrade.core.checks.health import STREAK, cluster_problems
from ctmupgrade.core.checks.problem import Problem
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.looks.watched import Watched, Worse
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.ports import Clock, Gather, Looks

_NUMBER = re.compile(r"\d+")
_NO_TIME = 0.001  # seconds


def watched(
    looks: Looks,
    cluster: Cluster,
    clock: Clock,
    gather: Gather,
    *,
    first: Facts,
    time: timedelta,
    tell: Callable[[str], None],
) -> Watched | None:
    """Look at all nodes again, at most :data:`STREAK` times, and stop at the first look that is worse.

    Return None where no time passes, as in a recording: there is nothing to watch, and it would never end.

    What a first look saw already has a finding of its own, perhaps a waived one, and counts as no change.

    :param first: the first look. :param time: how long to watch. :param tell: is told how it goes.
    """
    clustered = cluster.strategy is not StrategyName.STANDALONE
    known = {_alike(p) for p in cluster_problems(first.nodes, cluster, first.at, clustered=clustered)}
    began, whole, good, look = clock.monotonic(), time.total_seconds(), 0.0, 0
    while whole - good > _NO_TIME:
        tell(
            f"all nodes are asked again until they have stayed healthy for {span(whole)}; {span(good)} so far"
        )
        before, pause = clock.monotonic(), max(0.0, min(whole / STREAK, began + whole - clock.monotonic()))
        clock.sleep(pause)
        if pause > _NO_TIME and clock.monotonic() <= before:
            return None
        asked, look = clock.monotonic() - began, look + 1
        nodes = all_health(looks, cluster, clock, gather)
        problems = cluster_problems(nodes, cluster, clock.now(), clustered=clustered)
        if worse := [p for p in problems if _alike(p) not in known]:
            found = tuple(Worse(p.node, p.words, p.unknown, p.unreachable) for p in worse)
            return Watched(good, look, found)
        good = asked
    return Watched(good, look)


def _alike(problem: Problem) -> tuple[str, str, str]:
    """The problem without the numbers in its words, which may be ages."""
    return problem.node, problem.beside, _NUMBER.sub("", problem.text)
