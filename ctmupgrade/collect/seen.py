"""Looks at nodes, and at what all of them share, to compare them with how they were before. Nothing waits on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ctmupgrade.collect.ask import ask, every_page, not_foreseen
from ctmupgrade.collect.fact_table import CONTROL_FACTS, Asked, answers
from ctmupgrade.collect.patience import PatientReader
from ctmupgrade.core.looks import seen_probes, state_probes
from ctmupgrade.core.looks.facts import Facts, Maybe, NodeFacts, Unknown
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.run import topics
from ctmupgrade.core.run.client_targets import watched_ports
from ctmupgrade.core.run.seen_events import NodesSeen, PortsWatched, Seen
from ctmupgrade.errors import CtmUpgradeError
from ctmupgrade.ports import Clock, Gather, Looks, Reader

_ROWS = [fact for fact in CONTROL_FACTS if fact.field in topics.OF_A_NODE]


def look_before(cluster: Cluster, facts: Facts) -> tuple[NodesSeen, PortsWatched]:
    """Return what a run is compared with, by what its check has found out: nothing is asked again."""
    return NodesSeen("before", _before(facts)), watched_ports(cluster, facts)


def _before(facts: Facts) -> dict[str, Seen]:
    seen = {name: topics.node_seen(node) for name, node in facts.nodes.items()}
    return {**seen, "": topics.seen_of({"cluster_errors": topics.of_errors(facts.shared.errors)})}


def rest_of_before(looks: Looks, cluster: Cluster, clock: Clock, gather: Gather) -> dict[str, Seen]:
    """Return what no check asks for: the products of each node, and how much the cluster holds."""

    def products(name: str) -> Seen:
        control = _patient(looks, cluster, name, clock)
        return topics.seen_of({"products": ask(control, seen_probes.PRODUCTS)})

    found = _gathered(gather, _safe(products, "products"), [node.name for node in cluster.nodes], "products")
    first = next((name for name, seen in found.items() if seen.topics), cluster.nodes[0].name)

    def shared(name: str) -> Seen:
        return topics.seen_of(_shared(_patient(looks, cluster, name, clock)))

    of_all = ("counts", "cte_clients")
    return {**found, "": _gathered(gather, _safe(shared, *of_all), [first], *of_all)[first]}


def look_at(
    looks: Looks, cluster: Cluster, names: Iterable[str], clock: Clock, gather: Gather, *, through: str
) -> dict[str, Seen]:
    """Return how these nodes are.

    :param through: the node that is also asked for what all members share.
    """

    def of(name: str) -> Seen:
        control = _patient(looks, cluster, name, clock)
        found = answers(Asked(looks.shell(name), control, cluster, clock), _ROWS)
        facts = NodeFacts(name, **found)  # type: ignore[arg-type]  # each row names a field and asks for it
        more: dict[str, Maybe[Mapping[str, str]]] = {"products": ask(control, seen_probes.PRODUCTS)}
        if name == through:
            errors = topics.of_errors(ask(control, state_probes.CLUSTER_ERRORS))
            more |= {"cluster_errors": errors, **_shared(control)}
        return topics.node_seen(facts, more)

    return _gathered(gather, _safe(of, *topics.NODE_TOPICS), list(names), *topics.NODE_TOPICS)


def _shared(control: Reader) -> dict[str, Maybe[Mapping[str, str]]]:
    counts = {what: ask(control, probe) for what, probe in seen_probes.HOW_MANY.items()}
    known = {what: str(count) for what, count in counts.items() if not isinstance(count, Unknown)}
    first = next((count for count in counts.values() if isinstance(count, Unknown)), None)
    clients = every_page(control, seen_probes.cte_page, seen_probes.PAGE)
    return {
        "counts": known if known or first is None else first,
        "cte_clients": clients if isinstance(clients, Unknown) else seen_probes.by_state(clients),
    }


def _patient(looks: Looks, cluster: Cluster, name: str, clock: Clock) -> PatientReader:
    return PatientReader.of_control(looks, cluster.node(name), clock)


def _nothing(error: Exception, of: Iterable[str]) -> Seen:
    why = error.brief if isinstance(error, CtmUpgradeError) else not_foreseen(error)
    return topics.seen_of(dict.fromkeys(of, Unknown(why)))


def _gathered(gather: Gather, look: Callable[[str], Seen], names: list[str], *of: str) -> dict[str, Seen]:
    """What all tell. Where nobody can be asked, nothing is known of anybody, and that is kept: silence would read as "the same"."""
    try:
        return dict(gather(look, names))
    except Exception as error:
        return {name: _nothing(error, of) for name in names}


def _safe(look: Callable[[str], Seen], *of: str) -> Callable[[str], Seen]:
    """A look that fails is "not known": it never ends a run."""

    def safe(name: str) -> Seen:
        try:
            return look(name)
        except Exception as error:
            return _nothing(error, of)

    return safe
