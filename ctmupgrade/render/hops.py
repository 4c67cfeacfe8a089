"""A way between two versions: for a reader, and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.disk_space import GIB
from ctmupgrade.core.hops import TYPICAL_ARCHIVE, Hop, UpgradePath
from ctmupgrade.core.modes import StrategyName

GENERAL_RULE = (
    "the vendor's general rule: an upgrade from a version that is not listed has not been tested; in place goes one minor "
    "version at a time. So each of these hops goes one minor version, and the release notes or vendor support must confirm it"
)
_RULES = {
    StrategyName.IN_PLACE: "one node after another, at most one minor version",
    StrategyName.REBUILD: "the nodes are taken out, upgraded apart, and joined again",
    StrategyName.STANDALONE: "one unclustered appliance",
}
RULE_SOURCE = "vendor page Clusters and Nodes"


def named(hop: Hop) -> str:
    """Return the version that a hop leads to, and whether another patch will do."""
    return (
        f"{hop.end} (or another patch of {hop.end.major}.{hop.end.minor})" if hop.any_patch else str(hop.end)
    )


def path_lines(path: UpgradePath, apart: UpgradePath | None = None) -> list[str]:
    """Return the way for a reader: a summary, the hops with their rules, the traps with their ways out.

    :param apart: the way by a rebuild, where there is none in place.
    """
    lines = [_headline(path)]
    for number, hop in enumerate(path.hops, 1):
        lines += [
            "",
            f"{number}. {hop.start} -> {named(hop)}",
            *(f"   {line}" for line in _hop_lines(path, hop)),
        ]
    if path.unlisted:
        lines += ["", f"no list of tested versions is published for {_unlisted(path)}", f"  {GENERAL_RULE}"]
    if path.hops:
        lines += [
            "",
            "all nodes are on one version before the next hop starts: a run for each hop, each with a backup of its own",
        ]
    for trap, out in path.traps:
        lines += ["", f"note: {trap}", f"  -> {out}"]
    if apart is not None:
        lines += ["", f"by the strategy {apart.strategy.value} there is a way:", *path_lines(apart)]
    return lines


def _headline(path: UpgradePath) -> str:
    if not path.hops:
        return f"{path.start} to {path.end}, {path.strategy.value}: {path.why}"
    count = f"{len(path.hops)} hop{'' if len(path.hops) == 1 else 's'}"
    chain = " -> ".join(str(version) for version in (path.start, *(hop.end for hop in path.hops)))
    return f"{path.start} to {path.end}, {path.strategy.value}: {count}: {chain}"


def _unlisted(path: UpgradePath) -> str:
    return ", ".join(hop.end.short for hop in path.unlisted)


def _hop_lines(path: UpgradePath, hop: Hop) -> Iterator[str]:
    if hop.tested is None:
        yield f"rule:     {hop.judged.verdict.value}: {hop.end.short} has no list of tested versions (see below){_captured(hop)}"
    else:
        yield f"rule:     {hop.judged.verdict.value}: {hop.judged.why} ({hop.judged.source})"
    if hop.judged.remedy:
        yield f"          -> {hop.judged.remedy}"
    yield f"strategy: {_RULES[path.strategy]} ({RULE_SOURCE})"
    if hop.tested is not None:
        yield f"tested:   from {', '.join(hop.tested)}"
    yield f"disk:     {hop.disk.bytes / GIB:.0f} GiB free on each node: {hop.disk.formula}; counted with an archive of 2.21's size, `check` takes the size of yours"
    yield f"archive:  {hop.archives[0]}, or {hop.archives[1]}"
    for change in hop.changes:
        line = ".".join(map(str, change.line))
        yield f"changes:  from {line} on {change.text} ({change.source}; sure: {change.sure})"
        if change.remedy:
            yield f"          -> {change.remedy}"


def _captured(hop: Hop) -> str:
    """What is known of a hop besides lists: one run was captured, which proves little for others."""
    seen = hop.start.line == (2, 20) and hop.end.release == (2, 21, 0)
    return "; one run from 2.20.0 by the vendor's staff was captured, and succeeded" if seen else ""


def path_document(path: UpgradePath, apart: UpgradePath | None = None) -> dict[str, object]:
    """Return the document of ``path``; ``hops`` is empty where no way is published."""
    verdicts = [hop.judged.verdict.value for hop in path.hops]
    verdict = "block" if not path.found else "manual" if "manual" in verdicts else "pass"
    return {
        "schema": 1,
        "from": str(path.start),
        "to": str(path.end),
        "strategy": path.strategy.value,
        "verdict": verdict,
        "why": path.why,
        "hops": [_hop_document(path, hop) for hop in path.hops],
        "unlisted": [hop.end.short for hop in path.unlisted],
        "general_rule": GENERAL_RULE if path.unlisted else "",
        "traps": [{"trap": trap, "way_out": out} for trap, out in path.traps],
        "instead": path_document(apart) if apart is not None else None,
    }


def _hop_document(path: UpgradePath, hop: Hop) -> dict[str, object]:
    return {
        "from": str(hop.start),
        "to": str(hop.end),
        "any_patch": hop.any_patch,
        "verdict": hop.judged.verdict.value,
        "why": hop.judged.why,
        "remedy": hop.judged.remedy,
        "source": hop.judged.source,
        "rule": {"text": _RULES[path.strategy], "source": RULE_SOURCE},
        "tested_from": list(hop.tested) if hop.tested is not None else None,
        "force_path": hop.forced,
        "database_upgrade": hop.database,
        "disk": {"bytes": hop.disk.bytes, "formula": hop.disk.formula, "archive_bytes": TYPICAL_ARCHIVE},
        "archives": list(hop.archives),
        "changes": [
            {
                "line": ".".join(map(str, change.line)),
                "text": change.text,
                "remedy": change.remedy,
                "source": change.source,
                "sure": change.sure,
            }
            for change in hop.changes
        ],
    }
