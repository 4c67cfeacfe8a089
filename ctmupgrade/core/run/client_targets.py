"""Which ports clients use, by a node's own list of interfaces, and where this machine reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ctmupgrade.core.looks.facts import Facts, NodeFacts, Unknown
from ctmupgrade.core.looks.node_state import Interface
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.core.run.seen_events import ClientPort, PortsWatched

USUAL = {"web": 443, "kmip": 5696, "nae": 9000}  # where a list tells no port (docs/appliance.md 8)
MOST_PORTS = 16  # of one node
LEAST_S = 0.5  # between two looks


def watched_ports(cluster: Cluster, facts: Facts) -> PortsWatched:
    """Return the ports to ask: of each node its web interface, and KMIP and NAE where it has them enabled."""
    ports: list[ClientPort] = []
    left_out: dict[str, str] = {}
    for node in cluster.nodes:
        try:
            found = tuple(_of_node(node, facts.nodes[node.name]))
        except ValueError as error:  # no port that there is
            left_out[node.name] = f"{node.url}: {error}"
            continue
        ports += found[:MOST_PORTS]
        if isinstance(facts.nodes[node.name].interfaces, Unknown):
            left_out[node.name] = "KMIP and NAE: its list of interfaces is not known"
    return PortsWatched(tuple(ports), max(LEAST_S, cluster.poll.total_seconds()), left_out)


def _of_node(node: Node, facts: NodeFacts) -> Iterator[ClientPort]:
    host, port = _web(node)
    yield ClientPort(node.name, "web", host, port)
    seen = set()
    for one in () if isinstance(facts.interfaces, Unknown) else facts.interfaces.rows:
        service = _service(one)
        port = one.port or USUAL.get(service, 0)
        if one.enabled and service in ("kmip", "nae") and 0 < port < 65536 and (service, port) not in seen:
            seen.add((service, port))
            yield ClientPort(node.name, service, host, port)


def _web(node: Node) -> tuple[str, int]:
    """Where clients on this machine's side find the web interface. A url that is reached through SSH is one that the node
    itself understands: from here the node is where SSH finds it.

    :raises ValueError: the url has no port that there is."""
    url = urlsplit(node.url)
    if not node.ksctl.through_ssh or node.is_own:
        return url.hostname or node.host, url.port or USUAL["web"]
    return node.host, USUAL["web"] if url.hostname in _ITSELF else url.port or USUAL["web"]


_ITSELF = ("127.0.0.1", "::1", "localhost")


def _service(one: Interface) -> str:
    """What an interface serves: by its type, or, where that is not told, by its name ("nae_all_9000")."""
    if one.kind:
        return one.kind
    return next((service for service in USUAL if one.name.lower().startswith(service)), "")
