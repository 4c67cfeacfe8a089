"""What a run writes down of how the cluster and its clients' ports were, before it and while it went on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Seen:
    """How a node, or the cluster, was at one look.

    :ivar rows: each topic with a value for each of its items. Pairs, not names with values: an item may be called like what
        holds a secret ("authorization" is a service), and its value must stay readable in a journal that is shared.
    :ivar not_known: why a topic could not be seen. A topic in neither was not asked for.
    """

    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    not_known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, topics: Mapping[str, Mapping[str, str]], not_known: Mapping[str, str] | None = None) -> Seen:
        """Return a look. :param topics: by topic, a value for each of its items: ``{"services": {"web": "started"}}``."""
        return cls(tuple((topic, tuple(items.items())) for topic, items in topics.items()), not_known or {})

    @property
    def topics(self) -> dict[str, dict[str, str]]:
        """Return by topic, a value for each of its items."""
        return {topic: dict(items) for topic, items in self.rows}


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """A look at nodes, by name. What all members share is under "" before, and afterwards as each node tells it. :ivar when: before the run changed anything, after a node, or at the end."""

    when: Literal["before", "after_node", "end"]
    nodes: Mapping[str, Seen]
    kind: Literal["nodes-seen"] = "nodes-seen"


@dataclass(frozen=True, slots=True)
class ClientPort:
    """A port that clients use. :ivar service: web, kmip or nae. :ivar host: as this machine reaches it."""

    node: str
    service: str
    host: str
    port: int

    @property
    def key(self) -> str:
        """Return what tells it from all others: a node may serve KMIP on two ports."""
        return f"{self.node} {self.service} {self.port}"


@dataclass(frozen=True, slots=True)
class PortsWatched:
    """Which ports are asked from now on, in this run and in every process that goes on with it.

    :ivar every_s: seconds between two looks. :ivar left_out: why a node's ports are not among them.
    """

    ports: tuple[ClientPort, ...]
    every_s: float
    left_out: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["ports-watched"] = "ports-watched"


@dataclass(frozen=True, slots=True)
class PortsSeen:
    """What has changed since the look before; the first of each process has all ports.

    :ivar answers: by the port's key. :ivar seen: when it was looked. :ivar why: of what does not answer.
    :ivar blind_from: nobody looked between then and now, for this machine was asleep; None: somebody did.
    """

    seen: datetime
    answers: Mapping[str, bool]
    why: Mapping[str, str] = field(default_factory=dict)
    blind_from: datetime | None = None
    kind: Literal["ports-seen"] = "ports-seen"
