"""Judge upgrade paths by what is published.

Comparing versions alone is wrong: late patches of an older line are newer than early releases of the
next lines (2.11.2 to 2.11.6 cannot go to 2.12). What is published stands in ``tested_paths``; one real run is
known for 2.21. Where nothing is known the verdict is MANUAL, never PASS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.tested_paths import Release, crosses_database_upgrade, named, release_for
from ctmupgrade.core.version import Version


class PathVerdict(StrEnum):
    """Say whether a version may be upgraded to another."""

    PASS = "pass"  # noqa: S105
    MANUAL = "manual"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason and source.

    :ivar remedy: what to do about it; "": to confirm it in the target's release notes.
    """

    verdict: PathVerdict
    why: str
    source: str = "vendor page System Upgrade"
    remedy: str = ""


def judge_path(
    current: Version,
    target: Version,
    strategy: StrategyName,
    *,
    model: str = "",
    allow_downgrade: bool = False,
    force_path: bool = False,
) -> Judgement:
    """Return whether ``current`` may be upgraded to ``target`` by ``strategy``, and why.

    :param model: as ``ksctl system info get`` says; k160 and -tct builds have paths of their own.
    :param allow_downgrade: asked for by name; only one unclustered appliance may be downgraded.
    :param force_path: ``-o`` was asked for by name; passed on only where a page documents it.
    """
    if target.release < current.release:
        return _judge_downgrade(current, target, strategy, allow_downgrade)
    if current.beta or target.beta:
        return Judgement(
            PathVerdict.BLOCK,
            f"{current} to {target}: no path from or to a beta is published, and builds of betas cannot be compared",
            "none found",
            "ask vendor support for a path from and to a beta",
        )
    special = _judge_special_models(current, target, strategy, model)
    if special:
        return special
    if current.identity == target.identity and not current.same_release(target):
        return _judge_builds(current, target, allow_downgrade and strategy is StrategyName.STANDALONE)
    if strategy is StrategyName.IN_PLACE and _too_far_in_place(current, target):
        return Judgement(
            PathVerdict.BLOCK,
            _one_minor_at_a_time(current, target),
            "vendor page Clusters and Nodes",
            _nearer(current, target),
        )
    return _judge_listed(current, target, strategy, force_path)


def _judge_builds(current: Version, target: Version, back: bool) -> Judgement:
    """Two builds of one release: nothing is published about either way, and the way back is a downgrade."""
    if (target.build or 0) < (current.build or 0) and not back:
        return Judgement(
            PathVerdict.BLOCK,
            f"{target} is an older build than {current}: this is a downgrade",
            "none found",
            f"set {current.short} or a newer build as the target in cluster.yaml",
        )
    return Judgement(
        PathVerdict.MANUAL,
        f"no published list says whether {current} can be upgraded to {target}, another build of it",
        "none found",
        f"confirm with vendor support that {target} may replace {current}",
    )


def _nearer(current: Version, target: Version) -> str:
    if current.major != target.major:
        return "ask vendor support for the path between major versions, or use the rebuild strategy"
    nearer = f"{current.major}.{current.minor + 1}"
    return f"use the rebuild strategy, or upgrade to {nearer} first: ctmupgrade path {current.short} {target.short}"


def _too_far_in_place(current: Version, target: Version) -> bool:
    return current.major != target.major or target.minor - current.minor > 1


def _one_minor_at_a_time(current: Version, target: Version) -> str:
    chain = " -> ".join(f"{current.major}.{minor}" for minor in range(current.minor, target.minor + 1))
    named = chain if current.major == target.major else f"{current.short} to {target.short} is more"
    return f"an in-place upgrade moves one minor version at a time: {named}"


def _judge_downgrade(current: Version, target: Version, strategy: StrategyName, allowed: bool) -> Judgement:
    if strategy is not StrategyName.STANDALONE:
        return Judgement(
            PathVerdict.BLOCK,
            f"{target.short} is older than {current.short}; only an unclustered appliance can be downgraded",
            remedy=f"set a target in cluster.yaml that is not older than {current.short}",
        )
    if not allowed:
        return Judgement(
            PathVerdict.BLOCK,
            f"{target.short} is older than {current.short}: this is a downgrade",
            remedy="add --allow-downgrade if you mean the older version; if not, set another target in cluster.yaml",
        )
    return Judgement(
        PathVerdict.MANUAL,
        f"downgrade from {current.short} to {target.short}, as --allow-downgrade asks; a backup of the newer "
        "version cannot be restored on the older one",
        remedy=f"confirm in the release notes of {current.short} that it can be downgraded to {target.short}",
    )


def has_special_path(current: Version, model: str = "") -> bool:
    """Return whether an appliance is one of those (k160, -tct builds) that have a path of their own."""
    return "k160" in model.lower() or "tct" in current.suffix.lower()


def _judge_special_models(
    current: Version, target: Version, strategy: StrategyName, model: str
) -> Judgement | None:
    if not has_special_path(current, model):
        return None
    steps = {((2, 11, 2), (2, 15, 0)), ((2, 15, 0), (2, 16, target.patch))}
    if strategy is StrategyName.IN_PLACE or (current.release, target.release) not in steps:
        return Judgement(
            PathVerdict.BLOCK,
            "k160 and -tct builds have one path, 2.11.2-tct -> 2.15.0 -> 2.16, and not in place",
            "vendor page System Upgrade, edition 2.16",
            f"choose its next version as the target: ctmupgrade path {current} 2.16.0 --strategy standalone",
        )
    return Judgement(PathVerdict.MANUAL, "the path of a k160 or -tct build by the 2.16 page")


def _judge_listed(current: Version, target: Version, strategy: StrategyName, force_path: bool) -> Judgement:
    release = release_for(target)
    if release is None or release.tested is None:
        return Judgement(
            PathVerdict.MANUAL,
            f"no published list says which versions were tested for {target.short}",
            "none found",
        )
    if named(current, release.forced):
        verdict = PathVerdict.MANUAL if force_path else PathVerdict.BLOCK
        return Judgement(
            verdict,
            f"{current.short} can be upgraded to {target.short} only with -o, and only on the way to 2.16",
            remedy="add --force-path, which passes -o to ks_upgrade.sh as the vendor page documents it",
        )
    if named(current, release.refused):
        return Judgement(
            PathVerdict.BLOCK,
            f"{current.short} was released after {target.short} and contains more; this path is not supported",
            remedy=f"choose a newer target, whose list of tested versions has {current.short}",
        )
    if not named(current, release.tested):
        return _judge_unlisted(current, target, release)
    return _judge_database_steps(current, target, strategy, release)


def _judge_unlisted(current: Version, target: Version, release: Release) -> Judgement:
    lines = {name[:2] for name in release.tested or ()} | {
        target.line
    }  # a patch of one line: a person may know
    verdict = PathVerdict.MANUAL if current.line in lines else PathVerdict.BLOCK
    why = f"{current.short} is not on the list of versions tested for {target.short}"
    between = sorted(name for name in release.tested or () if current.release[: len(name)] < name)
    first = f"upgrade to {'.'.join(map(str, between[0]))} first" if between else ""
    return Judgement(verdict, why, remedy=first if verdict is PathVerdict.BLOCK else "")


def _judge_database_steps(
    current: Version, target: Version, strategy: StrategyName, release: Release
) -> Judgement:
    if strategy is StrategyName.IN_PLACE and crosses_database_upgrade(current, target):
        return Judgement(
            PathVerdict.MANUAL,
            "this step upgrades the internal database; whether that is supported in place is not published",
            remedy="ask vendor support, or use the rebuild strategy",
        )
    if release.latest_patch_only:
        return Judgement(
            PathVerdict.MANUAL,
            f"only the latest patch of {current.major}.{current.minor} was tested for {target.short}",
            remedy=f"confirm that {current.short} is the latest patch of {current.major}.{current.minor}, else upgrade to it",
        )
    return Judgement(
        PathVerdict.PASS, f"{current.short} is on the list of versions tested for {target.short}"
    )
