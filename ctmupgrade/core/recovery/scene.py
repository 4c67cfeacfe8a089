"""What a diagnosis looks at: the facts, and what follows from them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.alive import seen_alive_by
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts, Unknown
from ctmupgrade.core.looks.holding import AS_NEW
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.node_settings import COUNTS, half_lost
from ctmupgrade.core.plan.restore_choice import newest_whole
from ctmupgrade.core.recovery.acting import best_member
from ctmupgrade.core.run.operator_input import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory

# "": joined, and its state is not published yet; passes within about 100 s on 2.21 (docs/appliance.md 4.3)
JOINING = frozenset(("creating", "b", "i", "c", "o", ""))
LEAVING = frozenset(("m", "v"))
Counts = Mapping[str, Mapping[str, int]]
KEPT = COUNTS["keys"][1]  # clients go on destroying keys


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts, and what follows from them at once.

    :ivar silent: nodes of which neither the shell nor the control plane answers.
    :ivar via: a healthy member to act through; "" where there is none.
    :ivar members: that member's view, by name (by host where cluster.yaml lacks one).
    :ivar formed: the names of the members of the cluster, also where all of them are to be taken out.
    :ivar counts: how many keys and users each node tells now to have, by name.
    :ivar replaced: a node that alone forms the cluster, in whose place a person named one that has more as the base.
    """

    facts: Facts
    cluster: Cluster
    known: OperatorInput
    past: RunHistory
    options: Options
    silent: tuple[str, ...]
    via: str
    members: Mapping[str, Member]
    formed: tuple[str, ...] = ()
    counts: Counts = field(default_factory=dict)
    replaced: str = ""

    @property
    def all_named(self) -> bool:
        """Return whether there would be a member to act through, were not all of them to be taken out."""
        return not self.via and bool(self.formed)

    @property
    def emptied(self) -> frozenset[str]:
        """Return the nodes whose data was erased. A journal that does not know how a join ended presumes it; as many keys as
        there were prove the contrary, fewer may be what a join brought before it died."""
        return frozenset(n for n in self.past.emptied if not self._proven_whole(n))

    @property
    def partial(self) -> tuple[str, ...]:
        """Return the emptied nodes that have keys: their join began, and nothing proves that it ended."""
        return tuple(n for n in self.facts.nodes if n in self.emptied and self.keys(n))

    @property
    def whole(self) -> int:
        """Return how many keys the cluster's data has, as far as is known: the most of what the nodes tell that no journal
        presumes emptied, the newest whole backup of one of them, and what the latest run wrote down; 0: not known."""
        sure = [n for n in self.facts.nodes if n not in self.past.emptied]
        made = newest_whole([m for m in self.facts.manifests if m.node not in self.past.emptied])
        backed = made.counts.get("keys", 0) if made is not None else 0
        return max((backed, *map(self.keys, sure), *self.past.keys.values()))

    def _proven_whole(self, name: str) -> bool:
        member = self.members.get(name)
        if member is not None and member.ready:
            return self.keys(name) > 0
        return 0 < self.whole * KEPT <= self.keys(name)

    def part_of(self, name: str) -> str:
        """Return how much of the data a node has whose join began, as "60 of 100 keys"."""
        return f"{self.keys(name)} of {self.whole} keys" if self.whole else f"{self.keys(name)} keys"

    def as_new(self, name: str) -> bool:
        """Return whether a node tells that it has nothing that a backup would save: no key, and no user but the first. Where no
        node has a key that proves nothing."""
        found = self.counts.get(name, {})
        return self.whole > 0 and all(what in found and found[what] <= most for what, most in AS_NEW.items())

    def keys(self, name: str) -> int:
        """Return how many keys a node tells to have; 0 where it does not tell."""
        return self.counts.get(name, {}).get("keys", 0)

    def richer(self, name: str, base: str) -> bool:
        """Return whether a node has more keys than the one that it would join; what is not told proves nothing."""
        return "keys" in self.counts.get(base, {}) and self.keys(name) > self.keys(base)

    def lacks(self, base: str, name: str) -> str:
        """Return of what a node has less than half of what another has, as "0 of 100 keys"; "" where that is not known."""
        return ", ".join(half_lost(self.counts.get(name, {}), self.counts.get(base, {})))

    def both_named(self, name: str, base: str) -> bool:
        """Return whether a person has named both: the node that is erased, and the one whose data counts."""
        return name in self.known.rejoin and self.known.survivor == base

    @property
    def standalone(self) -> bool:
        """Return whether it is one appliance, of no cluster."""
        return self.cluster.strategy is StrategyName.STANDALONE

    def healthy(self, name: str) -> bool:
        """Return whether its services are started and its version is known."""
        node = self.facts.nodes[name]
        return not list(health.service_problems({name: node})) and not isinstance(node.version, Unknown)

    @property
    def joining(self) -> list[str]:
        """Return the members that are joining now: while one does, no other may be removed, reset or joined."""
        return [name for name, member in self.members.items() if member.code in JOINING]

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Return the configured nodes that no entry of the list of members was found to be."""
        return tuple(name for name in self.facts.nodes if name not in self.members)

    @property
    def foreign(self) -> dict[str, Member]:
        """Return the members that no configured node was found to be, by host."""
        return {host: m for host, m in self.members.items() if host not in self.facts.nodes}

    def seen_alive_by(self, name: str) -> tuple[str, ...]:
        """Return the members that are connected to a node that does not answer here: only the way to it is broken."""
        if name not in self.silent:
            return ()
        return seen_alive_by(name, self.facts.nodes, self.cluster, self.facts.at)

    def given_up(self, name: str) -> bool:
        """Return whether a silent node is gone for good: an operator says so, and no member is connected to it."""
        return name in self.known.gone and name in self.silent and not self.seen_alive_by(name)

    def held_back(self, name: str) -> bool:
        """Return whether it is to stay apart until an operator names it."""
        apart = {self.past.held_back, self.options.hold_back, *self.past.replaced}
        return name in apart and name not in self.known.rejoin

    def again(self, *, gone: str = "", rejoin: tuple[str, ...] = (), survivor: str = "") -> str:
        """Return the ``recover`` command with all that was given, and more; what is said now takes the place of what
        was said of the same node before."""
        known, said = self.known, {gone, survivor, *rejoin}
        lost = [*(n for n in known.gone if n not in said), *([gone] if gone else [])]
        back = [*(n for n in known.rejoin if n not in said), *rejoin]
        base = survivor or ("" if known.survivor in said else known.survivor)
        return f"ctmupgrade recover{OperatorInput(tuple(lost), tuple(back), base).words}"


def scene_of(
    facts: Facts,
    cluster: Cluster,
    known: OperatorInput,
    past: RunHistory,
    options: Options,
    counts: Counts | None = None,
) -> Scene:
    """Return the scene as it was seen."""
    nodes = facts.nodes
    silent = tuple(
        n for n, f in nodes.items() if isinstance(f.system, Unknown) and isinstance(f.shell, Unknown)
    )
    able = {n: f for n, f in nodes.items() if n not in known.rejoin}
    via, members = best_member(
        {n: f for n, f in able.items() if n not in known.gone}, facts, cluster, known.survivor
    )
    if not via:  # one that is called gone but answers is a member like any other
        via, members = best_member(able, facts, cluster, known.survivor)
    formed = (via, members) if via else best_member(nodes, facts, cluster, known.survivor)
    seen = Scene(facts, cluster, known, past, options, silent, via, members, tuple(formed[1]), counts or {})
    if _is_replaced(seen, *formed):
        return replace(seen, via="", members={}, formed=(), replaced=formed[0])
    return seen


def _is_replaced(seen: Scene, via: str, members: Mapping[str, Member]) -> bool:
    """Return whether a person named, as the node whose data counts, one that has far more than the only member of the cluster:
    an emptied survivor has formed it, and nobody has joined it yet."""
    base = seen.known.survivor
    if not via or base not in seen.facts.nodes or base in members or set(members) != {via}:
        return False
    own = seen.facts.nodes[base].membership
    return not isinstance(own, Unknown) and not own.clustered and bool(seen.lacks(via, base))


__all__ = [  # what an operator says is part of a scene for its users
    "JOINING",
    "KEPT",
    "LEAVING",
    "Counts",
    "OperatorInput",
    "Scene",
    "scene_of",
]  # fmt: skip
