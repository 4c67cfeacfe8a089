"""What the checks find wrong or unknown of the cluster's health, and no other part of the diagnosis has told.

A list of members goes on to say ``r`` of a node whose control plane is dead or to which no other is connected
(docs/appliance.md 4.3): that nothing is wrong is said only where every node says so of every other, in answers of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.caught_up import blocked_problems
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.looks.upgrade_log import undecided
from ctmupgrade.core.recovery.result import Advice, Part, Trouble, Urgency, together
from ctmupgrade.core.recovery.scene import Scene

_DRIFTS = (
    "what clients write to some nodes may not reach the others; the nodes queue changes, and their disks will eventually "
    "fill"
)
_UNKNOWN = "whether clients are served there is not known"


def unhealthy(scene: Scene, before: Part) -> Part:
    """Return all that is not healthy or not known, besides what is told and what steps are there for in ``before``."""
    nodes = {n: f for n, f in scene.facts.nodes.items() if not _written_off(scene, n)}
    explained = {*before.explained, *scene.silent, *(one.node for one in before.steps)}
    mute = {n: _cannot_tell(scene, n, f) for n, f in nodes.items() if n not in explained}
    silenced = {name for name, part in mute.items() if part.wrong}
    own = [p for p in _own(nodes) if p.node not in explained and not (p.unknown and p.node in silenced)]
    between = [
        p
        for p in _between(nodes, scene)
        if not explained & {p.node, p.beside} and not (p.unknown and silenced & {p.node, p.beside})
    ]
    told = Part(tuple(_troubles(own, "not healthy", "")) + tuple(_troubles(between, _STATE, _DRIFTS)))
    return together(mute.values()) + told + _advice(scene, own, between)


_STATE = "not in sync with the others"


def _written_off(scene: Scene, name: str) -> bool:
    """Return whether it is no member any more, as somebody wanted it: gone for good, or held back."""
    gone = name in scene.silent and name in scene.known.gone
    return bool(scene.via) and name not in scene.members and (scene.held_back(name) or gone)


def _cannot_tell(scene: Scene, name: str, node: NodeFacts) -> Part:
    """Return that a whole side of a node does not answer: said once, not once per probe."""
    found = Part()
    if isinstance(node.system, Unknown):
        why = node.members.why if isinstance(node.members, Unknown) else node.system.why
        found += _mute(
            name,
            f"{name}: its control plane gives no usable answer: {why}",
            Advice(
                "the control plane must answer, and accept the ksctl login, before anything can be done: try the url of "
                "cluster.yaml from this machine, and check keysecure on the node. It may be unhealthy although others "
                "list it as ready",
                ("systemctl status keysecure",),
                (name,),
            ),
        )
    if isinstance(node.shell, Unknown):
        found += _mute(
            name,
            f"{name}: the SSH login fails: {node.shell.why}",
            Advice("the SSH login must work before its state can be known", ("ctmupgrade check",), (name,)),
        )
    left = scene.facts.unbooted_still(name)
    if isinstance(left, Unknown) and not found.wrong:
        found += _mute(
            name,
            f"{name}: whether its upgrade waits for its reboot is not known: {left.why}",
            Advice(
                f"{name}: find out at its console whether it was rebooted; then check again", (scene.again(),)
            ),
        )
    return found


def _mute(name: str, text: str, advice: Advice) -> Part:
    return Part((Trouble(text, name, state="not known to be healthy", if_left=_UNKNOWN),), (advice,))


def _own(nodes: dict[str, NodeFacts]) -> Iterator[Problem]:
    """Yield what each node says of itself."""
    yield from health.service_problems(nodes)
    yield from health.upgrade_problems(nodes)
    for name, node in nodes.items():
        if isinstance(node.version, Unknown):
            yield Problem(name, f"its version is not known: {node.version.why}", unknown=True)
        if isinstance(node.membership, Unknown):
            yield Problem(name, f"whether it is a member is not known: {node.membership.why}", unknown=True)
        unread = node.logs if isinstance(node.logs, Unknown) else undecided(node.logs)
        if unread is not None:
            text = "whether an upgrade of it failed or waits for its reboot is not known"
            yield Problem(name, f"{text}: {unread.why}", unknown=True)


def _between(nodes: dict[str, NodeFacts], scene: Scene) -> list[Problem]:
    """Return what the nodes say of each other; where none forms a cluster, that is told and all there is to say."""
    if not scene.via or scene.standalone:
        return []
    kept = tuple(node for node in scene.cluster.nodes if node.name in nodes)
    cluster = replace(scene.cluster, nodes=kept)
    found = [*health.membership_problems(nodes, cluster), *health.readiness_problems(nodes, cluster)]
    if len(kept) > 1:
        found += health.replication_problems(nodes, cluster, scene.facts.at)
        found += blocked_problems(nodes)
    return list(dict.fromkeys(found))


def _troubles(problems: Iterable[Problem], state: str, if_left: str) -> Iterator[Trouble]:
    """Yield one trouble for what several nodes say of one in the same words."""
    sayers: dict[Problem, list[str]] = {}
    for problem in problems:
        by = sayers.setdefault(replace(problem, beside="") if problem.heard else problem, [])
        by += [problem.beside] if problem.heard and problem.beside not in by else []
    for problem, by in sayers.items():
        words, node = str(replace(problem, beside=", ".join(by))) if by else str(problem), problem.node
        if problem.unknown:
            yield Trouble(words, node, state="not known to be healthy", if_left=_UNKNOWN)
        else:
            yield Trouble(words, node, state=state, if_left=if_left, urgency=Urgency.TODAY)


def _advice(scene: Scene, own: list[Problem], between: list[Problem]) -> Part:
    names = sorted({p.node for p in own if p.node})
    found = Part()
    if names:
        text = f"{', '.join(names)}: find the cause on the node"
        found += Part(advice=(Advice(text, ("systemctl status keysecure", "ksctl services status")),))
    if not between:
        return found
    every = Advice(
        "every node must report every other node as ready and connected: compare these three lists of each node, check "
        "port 5432 in both directions, and the clocks. After a join or a reboot that may take minutes: check again",
        ("ksctl cluster nodes list", "ksctl cluster summary", "ksctl cluster errors", scene.again()),
    )
    bad = {p.node for p in between if not p.unknown}
    named = sorted(bad & set(scene.members) & set(scene.facts.nodes) - {scene.via})
    rejoin = tuple(
        Advice(
            f"{name}: if all of that is in order and it stays so, join it again, which erases it; what clients wrote to it "
            "alone is then lost",
            (scene.again(rejoin=(name,)),),
        )
        for name in named
    )
    never = Advice("no node is reset or joined while the members' reports differ: fix that first")
    return found + Part(advice=(every, *rejoin), forbids=(never,) if bad else ())
