"""What the checks find wrong or unknown of the cluster's health, and no other part of the diagnosis has told.

A list of members goes on to say ``r`` of a node whose control plane is dead or to which no other is connected
(FACTS 4.3): that nothing is wrong is said only where every node says so of every other, in answers of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import JoinNode, ResetNode
from ctmupgrade.core.recovery.scene import Diagnosis, Scene


def unwell(found: Diagnosis, scene: Scene) -> None:
    """All that is not well or not known, beside what is told already and what steps are there for."""
    told = bool(found.wrong)
    nodes = {n: f for n, f in scene.facts.nodes.items() if not _written_off(scene, n)}
    apart = {*found.blamed, *scene.silent, *(step.node for step in found.steps)}
    silenced = set()
    for name, node in nodes.items():
        if name not in apart and _cannot_tell(found, scene, name, node):
            silenced.add(name)
    own = [p for p in _own(nodes) if p.node not in apart and not (p.unknown and p.node in silenced)]
    between = [
        p
        for p in _between(nodes, scene)
        if not apart & {p.node, p.beside} and not (p.unknown and silenced & {p.node, p.beside})
    ]
    found.wrong += _lines([*own, *between])
    _advise(found, scene, own, between)
    found.passing = bool(found.wrong) and not told


def _written_off(scene: Scene, name: str) -> bool:
    """No member any more, as somebody wanted it: gone for good, or held back."""
    return bool(scene.via) and name not in scene.members and (scene.held_back(name) or _gone(scene, name))


def _gone(scene: Scene, name: str) -> bool:
    return name in scene.silent and name in scene.known.gone


def _cannot_tell(found: Diagnosis, scene: Scene, name: str, node: NodeFacts) -> bool:
    """Whether a whole side of a node does not answer: said once, not once per look."""
    before = len(found.wrong)
    if isinstance(node.system, Unknown):
        why = node.members.why if isinstance(node.members, Unknown) else node.system.why
        found.wrong.append(f"{name}: its control plane does not answer as it should: {why}")
        found.advice.append(
            f"{name}: its control plane must answer, and let ksctl in, before anything can be told or done: "
            f"{scene.cluster.node(name).url} from here; systemctl status keysecure on it. Do not take it for well "
            "because others list it as ready"
        )
    if isinstance(node.shell, Unknown):
        found.wrong.append(f"{name}: it does not let us in over SSH: {node.shell.why}")
        found.advice.append(f"{name}: SSH must let us in before its state can be told: ctmupgrade check")
    left = scene.facts.unbooted_still(name)
    if isinstance(left, Unknown) and len(found.wrong) == before:
        found.wrong.append(f"{name}: whether its upgrade waits for its reboot is not known: {left.why}")
        found.advice.append(f"{name}: look at its console whether it was rebooted: ctmupgrade check")
    return len(found.wrong) > before


def _own(nodes: dict[str, NodeFacts]) -> Iterator[Problem]:
    """What each node says of itself."""
    yield from health.service_problems(nodes)
    yield from health.upgrade_problems(nodes)
    for name, node in nodes.items():
        if isinstance(node.version, Unknown):
            yield Problem(name, f"its version is not known: {node.version.why}", unknown=True)


def _between(nodes: dict[str, NodeFacts], scene: Scene) -> list[Problem]:
    """What the nodes say of each other; where none forms a cluster, that is told and all there is to say."""
    if not scene.via or scene.cluster.strategy is StrategyName.STANDALONE:
        return []
    kept = tuple(node for node in scene.cluster.nodes if node.name in nodes)
    cluster = replace(scene.cluster, nodes=kept)
    found = [*health.membership_problems(nodes, cluster), *health.readiness_problems(nodes, cluster)]
    if len(kept) > 1:
        found += health.replication_problems(nodes, cluster, scene.facts.at)
    return list(dict.fromkeys(found))


def _lines(problems: Iterable[Problem]) -> list[str]:
    """One line for what several nodes say of one in the same words."""
    sayers: dict[str, list[str]] = {}
    for problem in problems:
        text = str(problem)
        heard = bool(problem.beside) and text.endswith(f" {problem.beside}")
        by = sayers.setdefault(text.removesuffix(problem.beside) if heard else text, [])
        by += [problem.beside] if heard and problem.beside not in by else []
    return [f"{text}{', '.join(by)}" for text, by in sayers.items()]


def _advise(found: Diagnosis, scene: Scene, own: list[Problem], between: list[Problem]) -> None:
    names = sorted({p.node for p in own if p.node})
    if names:
        found.advice.append(
            f"{', '.join(names)}: no step by itself: find out why, on the node: systemctl status keysecure; ksctl "
            "services status; ctmupgrade check"
        )
    if not between:
        return
    found.advice.append(
        "every node must be ready and connected in every other's eyes, by answers of now: ksctl cluster nodes list, "
        "ksctl cluster summary and ksctl cluster errors on each; port 5432 both ways, and the clocks. After a join or a "
        "reboot that may take minutes: ctmupgrade recover looks again"
    )
    bad = {p.node for p in between if not p.unknown}
    for name in sorted(bad & set(scene.members) & set(scene.facts.nodes) - {scene.via}):
        found.advice.append(
            f"{name}: where all that is in order and it lasts: ctmupgrade recover --rejoin {name}, which erases it; "
            "what clients wrote to it alone meanwhile is lost"
        )
    if bad and any(isinstance(step.action, ResetNode | JoinNode) for step in found.steps):
        found.steps = []
        found.advice.append("no node is reset or joined while the members do not agree: mend that first")
