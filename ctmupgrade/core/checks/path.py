"""The check of the path from each node's version to the target."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.checks.check import Question, unknown
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.hops import find_path
from ctmupgrade.core.looks.facts import SystemInfo, Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.releases import PathVerdict, judge_path
from ctmupgrade.core.version import reached


def upgrade_path_known(q: Question) -> Iterator[Finding]:
    """Judge each node's path to the target by what is published (docs/appliance.md 2)."""
    target = q.cluster.target.version
    for facts in q.facts.nodes.values():
        if isinstance(facts.system, Unknown):
            yield unknown(
                "upgrade_path_known", facts.name, facts.system, "ksctl system info get", "its version"
            )
            continue
        if reached(facts.system.version, target):
            yield Finding("upgrade_path_known", Verdict.PASS, facts.name, f"already at {target.short}")
            continue
        judged = judge_path(
            facts.system.version, target, q.cluster.strategy, model=facts.system.model,
            allow_downgrade=q.options.allow_downgrade, force_path=q.options.force_path,
        )  # fmt: skip
        verdict = {
            PathVerdict.PASS: Verdict.PASS, PathVerdict.MANUAL: Verdict.MANUAL, PathVerdict.BLOCK: Verdict.BLOCK
        }[judged.verdict]  # fmt: skip
        confirm = f"confirm in the release notes of {target.short} that {facts.system.version.short} is a supported starting version"
        remedy = "" if verdict is Verdict.PASS else judged.remedy or confirm
        remedy = (_by_hops(q, facts.system) if verdict is Verdict.BLOCK else "") or remedy
        yield Finding("upgrade_path_known", verdict, facts.name, judged.why, remedy, judged.source)


def _by_hops(q: Question, system: SystemInfo) -> str:
    """How to get there all the same: by versions between; "" where no such way is published."""
    target, strategy = q.cluster.target.version, q.cluster.strategy
    hops = find_path(system.version, target, strategy, model=system.model).hops
    if len(hops) < 2:
        return ""
    apart = "use the rebuild strategy, or " if strategy is StrategyName.IN_PLACE else ""
    words = f"ctmupgrade path {system.version.short} {target.short} --strategy {strategy.value}"
    return f"{apart}upgrade to {hops[0].end.short} first: {words}"
