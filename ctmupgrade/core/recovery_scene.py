"""What a diagnosis looks at, and what it is put together in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctmupgrade.core import health
from ctmupgrade.core.facts import Facts, Member, NodeFacts, Unknown
from ctmupgrade.core.history import Past
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.steps import Action, Options, Step

JOINING = frozenset(("creating", "b", "i", "c", "o"))


@dataclass(frozen=True, slots=True)
class Known:
    """What only the operator knows: nodes that are gone for good, nodes to take out and join anew, and the
    node whose data counts when no cluster is left."""

    gone: tuple[str, ...] = ()
    rejoin: tuple[str, ...] = ()
    survivor: str = ""


@dataclass(slots=True)
class Diagnosis:
    """:ivar support: only vendor support can help with what ``wrong`` says.
    :ivar finishing: the steps are those of an upgrade, for which every check must pass."""

    wrong: list[str] = field(default_factory=list)
    works: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    support: bool = False
    finishing: bool = False

    def add(self, kind: str, node: str, action: Action, why: str, seconds: int) -> None:
        """One more step, after all others: recovery does one thing at a time."""
        after = (self.steps[-1].id,) if self.steps else ()
        self.steps.append(Step(f"{kind}:{node}" if node else kind, node, action, why, after, seconds))

    def concerns(self, node: str) -> bool:
        """Whether something is done for this node already."""
        return any(step.node == node for step in self.steps)


@dataclass(frozen=True, slots=True)
class Scene:
    """:ivar silent: nodes of which neither the shell nor the control plane answers.
    :ivar via: a healthy member to act through; "" where there is none.
    :ivar members: that member's view, by name (by host where cluster.yaml lacks one)."""

    facts: Facts
    cluster: Cluster
    known: Known
    past: Past
    options: Options
    silent: tuple[str, ...]
    via: str
    members: Mapping[str, Member]

    def well(self, name: str) -> bool:
        """Its services are started and its version is known."""
        node = self.facts.nodes[name]
        return not list(health.service_problems({name: node})) and not isinstance(node.version, Unknown)

    def held_back(self, name: str) -> bool:
        """It is to stay apart until an operator names it."""
        return name in (self.past.held_back, self.options.hold_back) and name not in self.known.rejoin


def scene_of(facts: Facts, cluster: Cluster, known: Known, past: Past, options: Options) -> Scene:
    """The scene as it was seen."""
    nodes = facts.nodes
    silent = tuple(
        n for n, f in nodes.items() if isinstance(f.system, Unknown) and isinstance(f.shell, Unknown)
    )
    apart = (*known.gone, *known.rejoin)
    via, members = _best_member({n: f for n, f in nodes.items() if n not in apart}, nodes, cluster)
    return Scene(facts, cluster, known, past, options, silent, via, members)


def _best_member(
    able: Mapping[str, NodeFacts], nodes: Mapping[str, NodeFacts], cluster: Cluster
) -> tuple[str, Mapping[str, Member]]:
    """(the member that sees most others ready, its view by name); what a node says of itself counts only so
    far as that it forms a cluster and is ready."""
    ids = health.names_by_id(nodes)
    best: tuple[str, dict[str, Member]] = ("", {})
    for name, node in able.items():
        if isinstance(node.members, Unknown) or isinstance(node.membership, Unknown):
            continue
        if not node.membership.clustered or node.membership.code != "r":
            continue
        view = {health.name_of(m, ids, cluster) or m.host: m for m in node.members}
        if sum(m.ready for m in view.values()) > sum(m.ready for m in best[1].values()):
            best = (name, view)
    return best
