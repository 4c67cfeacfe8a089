"""What a diagnosis looks at, and what it is put together in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctmupgrade.core.checks import health
from ctmupgrade.core.looks.facts import Facts, Member, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.plan.steps import Action, Step
from ctmupgrade.core.run.past_runs import RunHistory

JOINING = frozenset(("creating", "b", "i", "c", "o"))


@dataclass(frozen=True, slots=True)
class OperatorInput:
    """What only the operator knows: nodes that are gone for good, nodes to take out and join anew, and the
    node whose data counts when no cluster is left."""

    gone: tuple[str, ...] = ()
    rejoin: tuple[str, ...] = ()
    survivor: str = ""

    @property
    def words(self) -> str:
        """As options of ``recover``, each with a blank before it."""
        given = (
            ("gone", ",".join(self.gone)),
            ("rejoin", ",".join(self.rejoin)),
            ("survivor", self.survivor),
        )
        return "".join(f" --{option} {value}" for option, value in given if value)


@dataclass(slots=True)
class Diagnosis:
    """:ivar support: only vendor support can help with what ``wrong`` says.
    :ivar finishing: the steps are those of an upgrade, for which every check must pass.
    :ivar passing: all that is wrong may be the last of what a step did, and be well in a moment.
    :ivar blamed: nodes (hosts, where cluster.yaml lacks them) that ``wrong`` tells of: what else is seen of them
        follows from that."""

    wrong: list[str] = field(default_factory=list)
    works: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    support: bool = False
    finishing: bool = False
    passing: bool = False
    blamed: set[str] = field(default_factory=set)

    def blame(self, name: str, text: str) -> None:
        """Something that is wrong with one node, from which all else follows that is seen of it."""
        self.wrong.append(text)
        self.blamed.add(name)

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
    :ivar members: that member's view, by name (by host where cluster.yaml lacks one).
    :ivar all_named: there would be such a member, were not all of them to be taken out."""

    facts: Facts
    cluster: Cluster
    known: OperatorInput
    past: RunHistory
    options: Options
    silent: tuple[str, ...]
    via: str
    members: Mapping[str, Member]
    all_named: bool = False

    def well(self, name: str) -> bool:
        """Its services are started and its version is known."""
        node = self.facts.nodes[name]
        return not list(health.service_problems({name: node})) and not isinstance(node.version, Unknown)

    @property
    def joining(self) -> list[str]:
        """Members that are joining now: while one does, no other may be removed, reset or joined."""
        return [name for name, member in self.members.items() if member.code in JOINING]

    def held_back(self, name: str) -> bool:
        """It is to stay apart until an operator names it."""
        return name in (self.past.held_back, self.options.hold_back) and name not in self.known.rejoin


def scene_of(
    facts: Facts, cluster: Cluster, known: OperatorInput, past: RunHistory, options: Options
) -> Scene:
    """The scene as it was seen."""
    nodes = facts.nodes
    silent = tuple(
        n for n, f in nodes.items() if isinstance(f.system, Unknown) and isinstance(f.shell, Unknown)
    )
    able = {n: f for n, f in nodes.items() if n not in known.rejoin}
    via, members = _best_member({n: f for n, f in able.items() if n not in known.gone}, facts, cluster)
    if not via:  # one that is called gone but answers is a member like any other
        via, members = _best_member(able, facts, cluster)
    all_named = not via and bool(_best_member(nodes, facts, cluster)[0])
    return Scene(facts, cluster, known, past, options, silent, via, members, all_named)


def _best_member(
    able: Mapping[str, NodeFacts], facts: Facts, cluster: Cluster
) -> tuple[str, Mapping[str, Member]]:
    """(the member that sees most others ready and is connected to by most, its view by name); what a node says of
    itself counts only so far as that it forms a cluster and is ready."""
    ids = health.names_by_id(facts.nodes)
    linked = [peer for _, peer in health.connected_pairs(facts.nodes, facts.at)]
    best: tuple[str, dict[str, Member]] = ("", {})
    most = (0, 0)
    for name, node in able.items():
        if isinstance(node.members, Unknown) or isinstance(node.membership, Unknown):
            continue
        if not node.membership.clustered or node.membership.code != "r":
            continue
        view = {health.name_of(m, ids, cluster) or m.host: m for m in node.members}
        counts = (sum(m.ready for m in view.values()), linked.count(name))
        if counts[0] and counts > most:
            best, most = (name, view), counts
    return best
