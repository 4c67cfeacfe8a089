"""What a run saw of the cluster and of its clients' ports, as one part of its state."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime

from ctmupgrade.core.run.before_after import (
    NOTHING_SEEN,
    BeforeAfter,
    looks_after,
    unknown_now,
    worse_findings,
)
from ctmupgrade.core.run.client_ports import Clients, clients_after
from ctmupgrade.core.run.events import Event
from ctmupgrade.core.run.seen_events import NodesSeen, PortsSeen, PortsWatched


@dataclass(frozen=True, slots=True)
class Observed:
    """:ivar clients: None: nobody asked the ports, as in journals of earlier versions."""

    looks: BeforeAfter = NOTHING_SEEN
    clients: Clients | None = None


UNOBSERVED = Observed()
_MOST_NAMES = 4  # that a line lists; of more it says how many


def observed_after(held: Observed, event: Event, at: datetime, last: datetime) -> Observed:
    """Return what was seen after one more event. :param last: when the event before it was written."""
    if isinstance(event, NodesSeen):
        return replace(held, looks=looks_after(held.looks, event, at))
    clients = clients_after(held.clients, event, at, last)
    return held if clients is held.clients else replace(held, clients=clients)


def observed_words(event: NodesSeen | PortsWatched | PortsSeen, held: Observed) -> str:
    """Return what a look shows, as a run tells it while it goes on. :param held: with this look in it."""
    match event:
        case NodesSeen(when="before"):
            return "recorded how the nodes are before, to compare them afterwards"
        case NodesSeen(nodes=nodes):
            worse = worse_findings(held.looks, nodes)
            told = "; ".join(f"{one.node}: {one.summary}" for one in worse)
            names = [name for name in nodes if name]
            who = ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} nodes"
            return told or f"{who}: {_no_worse(held.looks, nodes)}"
        case PortsWatched(ports=ports):
            return f"watching {len(ports)} ports of clients from here"
        case PortsSeen(answers=answers):
            return _ports_words(event, held.clients) if answers else "no port of a client has changed"


def _no_worse(looks: BeforeAfter, nodes: Container[str]) -> str:
    """Say that nothing is worse; of what could not be looked at, that it is not known."""
    topics: dict[str, list[str]] = {}
    for node, topic in unknown_now(looks, nodes):
        topics.setdefault(node, []).append(topic)
    if not topics:
        return "nothing is worse than before the run"
    named = [": ".join(filter(None, (node, ", ".join(found)))) for node, found in topics.items()]
    more = len(named) - _MOST_NAMES
    told = "; ".join(named[:_MOST_NAMES] + [f"and {more} more nodes"] * (more > 0))
    return f"nothing that could be compared is worse than before the run; not known now: {told}"


def _ports_words(event: PortsSeen, clients: Clients | None) -> str:
    ports = clients.ports if clients else {}
    measured = set(clients.here) if clients else set()
    told = [(ports[key], up) for key, up in event.answers.items() if key in ports and key in measured]
    lost, back = [port for port, up in told if not up], [port for port, up in told if up]
    parts = []
    for word, some in (("no answer from", lost), ("answers:", back)):
        by_node: dict[str, list[str]] = {}
        for port in some:
            by_node.setdefault(port.node, []).append(f"{port.port} ({port.service})")
        named = "; ".join(f"{node} {' and '.join(each)}" for node, each in by_node.items())
        parts += [f"{word} {named}"] if named else []
    return f"clients' ports: {'; '.join(parts) or 'none answers from here, so none is measured'}"
