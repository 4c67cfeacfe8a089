"""Ages and clocks in words: two clocks differ, so an age has a sign and an error bar."""

from __future__ import annotations

from collections.abc import Iterable

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.looks.facts import ClockReading, Facts, Unknown

DAY_S, YEAR_S = 86400, 365 * 86400
NOTICED_S = 60.0  # a clock of this machine that is wrong by less makes no age wrong that matters


def span(seconds: float) -> str:
    """Return a time without its sign: ``2.5 years``, ``3 days``, ``30 h``, ``12 min`` or ``40 s``."""
    size = abs(seconds)
    for unit, word, least in ((YEAR_S, "years", YEAR_S), (DAY_S, "days", 2 * DAY_S)):
        if size >= least:
            return f"{size / unit:.1f} {word}".replace(".0 ", " ")
    for unit, word, least in ((3600, "h", 2 * 3600), (60, "min", 120)):
        if size >= least:
            return f"{size / unit:.0f} {word}"
    return f"{size:.0f} s"


def ours_against(readings: Iterable[ClockReading]) -> ClockReading | None:
    """Return how far this machine's clock is surely ahead of every node's (negative: behind); None where it is not
    known to differ from all of them by more than :data:`NOTICED_S` in one direction."""
    found = list(readings)
    if not found or any(abs(one.offset) - one.uncertainty <= NOTICED_S for one in found):
        return None
    if len({one.offset > 0 for one in found}) != 1:
        return None
    nearest = min(found, key=lambda one: abs(one.offset))
    return ClockReading(-nearest.offset, max(one.uncertainty for one in found))


def backup_age(manifest: Manifest, facts: Facts) -> str:
    """Return how old a downloaded backup is, by this machine's clock, and how sure that is."""
    age = (facts.at - manifest.made_at).total_seconds()
    node = facts.nodes.get(manifest.node)
    clock = node.clock if node is not None else Unknown("no such node")
    if isinstance(clock, Unknown):
        sure = "; the difference between its node's clock and this machine's is not known"
    else:
        unsure = abs(clock.offset) + clock.uncertainty
        sure = f", give or take {span(unsure)}" if unsure >= 0.5 else ""
    if manifest.is_ahead(facts.at):
        ahead = max(manifest.created, manifest.downloaded or manifest.created) - facts.at
        return f"its time is {span(ahead.total_seconds())} ahead of this machine's clock, so its age is not known"
    return f"{span(age)} old{sure}"


def why_none(facts: Facts, node: str) -> str:
    """Return why no downloaded backup of a node is fresh: there is none, one is unusable, or how old the newest is."""
    mine = [m for m in facts.manifests if m.node == node]
    if broken := [m for m in mine if m.problem]:
        return f"the one on this machine is unusable: {broken[-1].problem}"
    if not mine:
        return "there is none"
    newest = max(mine, key=lambda manifest: manifest.made_at)
    limit = span(facts.max_backup_age.total_seconds())
    return (
        f"none is younger than max_age, {limit}: the newest, {newest.backup_id}: {backup_age(newest, facts)}"
    )
