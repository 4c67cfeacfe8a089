"""How long the steps of a plan take, usually and at worst: by what earlier runs of this cluster took, else by what is known
of the vendor's script (:mod:`ctmupgrade.core.timing`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, Unknown
from ctmupgrade.core.past_times import LONGER, Estimate, PastStep
from ctmupgrade.core.plan.steps import Step, in_service
from ctmupgrade.core.timing import UPGRADE_S
from ctmupgrade.core.version import Version

LEARNT = ("verify-archive", "backup", "stage", "upgrade", "reboot", "await", "join", "reset")
BY_SIZE = (
    "verify-archive",
    "stage",
)  # their time depends on the archive's size alone, and on the machine and its links
_MORE_A_VERSION = 0.25  # an assumption: so much longer for each further minor version that is crossed


def timed(steps: Iterable[Step], facts: Facts, target: Version) -> tuple[Step, ...]:
    """Return the steps with how long they take, usually and at worst."""
    return tuple(_timed(step, facts, target) for step in steps)


def hop_of(version: Version, target: Version) -> str:
    """Return what is crossed, as earlier runs are told by: ``2.20 -> 2.21``."""
    return f"{version.major}.{version.minor} -> {target.major}.{target.minor}"


def _timed(step: Step, facts: Facts, target: Version) -> Step:
    found = _learnt(step, facts, target) or _usual(step, facts, target)
    return replace(step, estimate_s=found.usual, worst_s=found.worst)


def _usual(step: Step, facts: Facts, target: Version) -> Estimate:
    seconds = step.estimate_s
    if step.action.kind != "upgrade":
        return Estimate(seconds, round(seconds * LONGER))
    version = _version(facts, step.node)
    more = max(0, target.minor - version.minor - 1) if version and version.major == target.major else 0
    usual = round(seconds * (1 + _MORE_A_VERSION * more))
    # Of the run that was captured it is known that it ended within this time: for one hop it is an upper bound already.
    return Estimate(usual, round(usual * LONGER) if more else usual)


def _learnt(step: Step, facts: Facts, target: Version) -> Estimate | None:
    kind, node = step.action.kind, step.node
    if kind not in LEARNT or not facts.past_times.by_kind.get(kind):
        return None
    if kind in BY_SIZE:
        size = facts.archive.size if isinstance(facts.archive, ArchiveFacts) else 0
        return (
            facts.past_times.of(kind, lambda one: one.node == node, lambda _one: True, size=size)
            if size
            else None
        )
    version, model = _version(facts, node), _model(facts, node)
    hop = hop_of(version, target) if version else ""

    def same_hop(one: PastStep) -> bool:
        return bool(hop) and one.hop == hop

    def same_model(one: PastStep) -> bool:
        return bool(model) and _model(facts, one.node) == model

    def both(one: PastStep) -> bool:
        return same_hop(one) and same_model(one)

    return facts.past_times.of(kind, both, same_hop, same_model, lambda _one: True)


def _version(facts: Facts, node: str) -> Version | None:
    found = facts.nodes.get(node) or facts.fresh.get(node)
    return None if found is None or isinstance(found.version, Unknown) else found.version


def _model(facts: Facts, node: str) -> str:
    found = facts.nodes.get(node) or facts.fresh.get(node)
    return "" if found is None or isinstance(found.system, Unknown) else found.system.model


def worst_of(step: Step) -> int:
    """Return the seconds that a step takes at worst; of a plan of an earlier version, which does not tell, a quarter more
    than usual, and no less than the vendor's script was seen to take."""
    if step.worst_s:
        return max(step.worst_s, step.estimate_s)
    return max(UPGRADE_S if step.action.kind == "upgrade" else 0, round(step.estimate_s * LONGER))


def node_seconds(steps: Iterable[Step], node: str) -> tuple[int, int]:
    """Return for how many seconds a node is out of service, usually and at worst."""
    mine = [step for step in steps if step.node == node and not in_service(step.action)]
    return sum(step.estimate_s for step in mine), sum(worst_of(step) for step in mine)
