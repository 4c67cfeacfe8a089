"""Find the hops between two versions, with what is published about each.

A hop is one upgrade of the whole cluster. Versions between are chosen from those that a vendor's list names, so that
late patches, which are newer than the next lines' first releases, are avoided. Where no list is published, a hop goes one
minor version, which is what the vendor's general rule allows in place.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ctmupgrade.core.behaviour_changes import Change, changes_between
from ctmupgrade.core.disk_space import SpaceNeed, space_need
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.path_traps import traps
from ctmupgrade.core.releases import Judgement, PathVerdict, has_special_path, judge_path
from ctmupgrade.core.tested_paths import RELEASES, Release, crosses_database_upgrade, release_for
from ctmupgrade.core.version import Version

NEWEST_LINE = (2, 26)  # the newest that was seen (docs/appliance.md 2)
IN_PLACE_SINCE = (1, 9, 0)  # vendor page "Clusters and Nodes"
TYPICAL_ARCHIVE = 5_499_876_577  # bytes of the captured 2.21.0 archive
_UNSEEN = 3  # so many lines beyond the newest that was seen are believed in


@dataclass(frozen=True, slots=True)
class Hop:
    """One upgrade of the whole cluster.

    :ivar any_patch: another patch of the target's line will do as well; it is named by one that surely does.
    :ivar forced: only with ``--force-path``. :ivar tested: starting versions that a vendor's list names; None: no list.
    :ivar disk: free space that each node needs, with an archive of :data:`TYPICAL_ARCHIVE` bytes.
    """

    start: Version
    end: Version
    judged: Judgement
    disk: SpaceNeed
    any_patch: bool = False
    forced: bool = False
    tested: tuple[str, ...] | None = None
    changes: tuple[Change, ...] = ()

    @property
    def database(self) -> bool:
        """Return whether the internal database is upgraded."""
        return crosses_database_upgrade(self.start, self.end)

    @property
    def archives(self) -> tuple[str, str]:
        """Return how the archive is called: in the vendor's pages, and as the support portal has it."""
        build = "+BUILD" if self.end.build is None else f"+{self.end.build}"
        portal = f"610-NNNNNN-NNN_SW_Upgrade_Package_CipherTrust_Manager_v{self.end.short}_RevX.tar.gz.gpg"
        return f"ks_upgrade_{self.end.short}{build}.tar.gz.gpg", portal


@dataclass(frozen=True, slots=True)
class UpgradePath:
    """The hops from one version to another.

    :ivar why: why there is no way, or why there is nothing to do; "": the hops are the way.
    :ivar traps: what has misled others on this way, each with its way out.
    """

    start: Version
    end: Version
    strategy: StrategyName
    hops: tuple[Hop, ...] = ()
    why: str = ""
    traps: tuple[tuple[str, str], ...] = ()

    @property
    def found(self) -> bool:
        """Return whether the end can be reached."""
        return bool(self.hops) or self.start.same_release(self.end)

    @property
    def unlisted(self) -> tuple[Hop, ...]:
        """Return the hops for which no list of tested versions is published."""
        return tuple(hop for hop in self.hops if hop.tested is None)


def find_path(start: Version, end: Version, strategy: StrategyName, *, model: str = "") -> UpgradePath:
    """Return the hops from ``start`` to ``end``: few, and on what is published where that is possible.

    :param model: as ``ksctl system info get`` says; k160 has a path of its own.
    """
    if start.same_release(end):
        return UpgradePath(start, end, strategy, why=f"{start.short} is {end.short} already: nothing to do")
    steps = _search(start, end, strategy, model)
    hops = tuple(_hop(a, b, end, strategy, model) for a, b in pairwise(steps))
    why = "" if hops else _why_none(start, end, strategy, model)
    return UpgradePath(start, end, strategy, hops, why, tuple(traps(start, end, strategy, steps, model)))


def next_lines(after: Version) -> tuple[str, ...]:
    """Return the release lines that are known to follow a version, in their order: "2.22"."""
    known = after.major == NEWEST_LINE[0]
    last = NEWEST_LINE[1] if known else after.minor
    return tuple(f"{after.major}.{minor}" for minor in range(after.minor + 1, last + 1))


def _search(start: Version, end: Version, strategy: StrategyName, model: str) -> tuple[Version, ...]:
    """The cheapest chain of versions (Dijkstra); () where there is none."""
    if end.release < start.release or start.beta or end.beta or not _believable(start, end):
        return ()
    if start.release == end.release:  # another build of it
        return (start, end) if _price(start, end, strategy, model) is not None else ()
    between = list(_between(start, end))
    queue: list[tuple[float, int, tuple[Version, ...]]] = [(0, 0, (start,))]
    seen: set[tuple[int, int, int]] = set()
    tie = 0
    while queue:
        cost, _, chain = heapq.heappop(queue)
        here = chain[-1]
        if here.release == end.release:
            return (*chain[:-1], end)
        if here.release in seen:
            continue
        seen.add(here.release)
        for there in (v for v in between if v.release > here.release):
            price = _price(here, there, strategy, model)
            if price is not None:
                tie += 1
                heapq.heappush(queue, (cost + price, tie, (*chain, there)))
    return ()


def _believable(start: Version, end: Version) -> bool:
    return start.major == end.major and (end.major != NEWEST_LINE[0] or end.minor <= NEWEST_LINE[1] + _UNSEEN)


def _between(start: Version, end: Version) -> Iterator[Version]:
    """The end, and releases between that a list names, else the first of their line. An appliance with a path of its own
    stays one."""
    suffix = start.suffix if has_special_path(start) else ""
    named = {name for release in RELEASES for name in release.tested or () if len(name) == 3}
    named |= {(*release.line, release.patch) for release in RELEASES if release.patch is not None}
    named |= {(start.major, minor, 0) for minor in range(start.minor + 1, end.minor)}
    for name in sorted(named):
        if start.release < name < end.release:
            yield Version(*name, suffix=suffix)
    yield replace(end, suffix=suffix or end.suffix)


def _judge(here: Version, there: Version, strategy: StrategyName, model: str) -> tuple[Judgement, bool]:
    """What is published, and whether only ``-o`` makes it possible."""
    judged = judge_path(here, there, strategy, model=model)
    if judged.verdict is PathVerdict.BLOCK:
        forced = judge_path(here, there, strategy, model=model, force_path=True)
        if forced.verdict is not PathVerdict.BLOCK:
            return forced, True
    return judged, False


def _price(here: Version, there: Version, strategy: StrategyName, model: str) -> float | None:
    """What a hop costs in the search; None where it cannot be made."""
    if strategy is StrategyName.IN_PLACE and here.release < IN_PLACE_SINCE:
        return None
    judged, forced = _judge(here, there, strategy, model)
    if judged.verdict is PathVerdict.BLOCK:
        return None
    unlisted = release_for(there) is None and not has_special_path(here, model)
    if unlisted and there.minor - here.minor > 1:
        return None
    unsure = 5 if judged.verdict is PathVerdict.MANUAL else 0
    return 10 + unsure + (20 if forced else 0) - there.patch / 100


def _hop(here: Version, there: Version, end: Version, strategy: StrategyName, model: str) -> Hop:
    judged, forced = _judge(here, there, strategy, model)
    release = release_for(there)
    tested = None if release is None or release.tested is None else _tested(release)
    exact = {name[:2] for r in RELEASES for name in r.tested or () if len(name) == 3}
    return Hop(
        here,
        there,
        judged,
        space_need(here, there, TYPICAL_ARCHIVE, staged=False),
        any_patch=there.release != end.release and there.line not in exact,
        forced=forced,
        tested=tested,
        changes=changes_between(here, there),
    )


def _tested(release: Release) -> tuple[str, ...]:
    latest = " (latest patch)" if release.latest_patch_only else ""
    names = (".".join(map(str, name)) + (".x" if len(name) == 2 else "") for name in release.tested or ())
    return tuple(f"{name}{latest}" for name in names)


def _why_none(start: Version, end: Version, strategy: StrategyName, model: str) -> str:
    if not _believable(start, end) and start.major == end.major:
        newest = ".".join(map(str, NEWEST_LINE))
        return f"{end.short} is not known here: the newest release line that was seen is {newest}"
    if strategy is StrategyName.IN_PLACE and start.release < IN_PLACE_SINCE:
        return f"an in-place upgrade exists since {'.'.join(map(str, IN_PLACE_SINCE))}"
    judged = judge_path(start, end, strategy, model=model)
    apart = start.major == end.major and end.minor - start.minor > 1 and not (start.beta or end.beta)
    if judged.verdict is PathVerdict.BLOCK and (not apart or has_special_path(start, model)):
        return judged.why
    return f"no chain of hops leads from {start.short} to {end.short} by the strategy {strategy.value}"
