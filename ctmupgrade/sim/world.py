"""The world: nodes, their archive, the clock, the faults, and the list of everything that happened.

Nothing happens by itself. Whoever looks or acts calls :meth:`World.catch_up` first, which carries out,
in the order of their times, all transitions that were due by now.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Self

from ctmupgrade.sim import dicts
from ctmupgrade.sim.clock import START, SimClock
from ctmupgrade.sim.faults import Fault, fault_from
from ctmupgrade.sim.setup import finish_node, refuse_impossible
from ctmupgrade.sim.state import SimArchive, SimEvent, SimNode

KEYS = (
    "start", "elapsed", "archive", "clustered", "defaults", "nodes", "faults", "events", "counter",
    "locks", "consensus_broken", "strict", "latency", "keys",
)  # fmt: skip


class World:
    """A cluster in memory.

    :ivar nodes: by name, in order.
    :ivar events: everything that happened.
    :ivar strict: a command that the simulator does not know is an AssertionError (for tests).
    :ivar latency: virtual seconds that every command takes.
    """

    def __init__(
        self, nodes: list[SimNode], archive: SimArchive | None = None, clock: SimClock | None = None
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.archive = archive or SimArchive()
        self.clock = clock or SimClock()
        self.faults: list[Fault] = []
        self.events: list[SimEvent] = []
        self.counter = 0  # for ids
        self.locks: dict[str, list[float]] = {}  # cluster id -> [from, until] of its database lock
        self.consensus_broken = False
        self.strict = False
        self.latency = 0.0
        self.keys: dict[str, int] = {}  # how many keys are in a data set; none where it is not named
        self.memo: dict[object, Any] = {}  # what was worked out for this very moment
        self.texts: dict[object, str] = {}  # rendered answers by what is in them
        self.told_well: dict[str, float] = {}  # node -> when it last said that its services are started
        self.ticks = [0]  # counts assignments to nodes
        for node in nodes:
            node.count_in(self.ticks)
        self._moment: tuple[float, int, int] = (-1.0, 0, 0)
        self.due = 0.0

    # -- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Return virtual seconds since the start."""
        return self.clock.elapsed

    def touch(self) -> None:
        """Look at due times again; to be called after the world was changed by hand."""
        self.due = 0.0
        self.memo.clear()

    def moment(self) -> dict[object, Any]:
        """Return a memo that is empty again once time has passed or anything has changed."""
        mark = (self.now, len(self.events), self.ticks[0])
        if mark != self._moment:
            self._moment = mark
            self.memo.clear()
        return self.memo

    # -- what happens ----------------------------------------------------------------------------

    def record(self, node: str, kind: str, detail: str = "", at: float | None = None) -> None:
        """Write an event down; faults that wait for it get their time."""
        when = self.now if at is None else at
        self.events.append(SimEvent(when, node, kind, detail))
        self.due = 0.0
        for fault in self.faults:
            trigger = fault.trigger
            if trigger.kind != "event" or trigger.pattern != kind or trigger.node not in ("", node):
                continue
            fault.seen += 1
            if fault.seen == trigger.nth:
                fault.due = when + trigger.delay

    def inject(self, *faults: Fault) -> None:
        """Add faults. One without a ``when`` is there at once."""
        for fault in faults:
            if fault.trigger.kind == "start":
                fault.due = self.now
            self.faults.append(fault)
        self.touch()

    def complain(self, text: str) -> None:
        """Complain. :raises AssertionError: in strict mode."""
        if self.strict:
            raise AssertionError(text)

    def fresh_id(self, what: str) -> str:
        """Return an id that the next call does not give again."""
        self.counter += 1
        return f"{what}-{self.counter:04d}"

    def of_kind(self, kind: str, node: str = "") -> list[SimEvent]:
        """Return the events of a kind, of one node or of all."""
        return [e for e in self.events if e.kind == kind and node in ("", e.node)]

    def changes(self) -> list[SimEvent]:
        """Return every changing command that reached a node or its control plane."""
        return self.of_kind("change")

    # -- in and out ------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read a world. :raises ValueError: an impossible world or an unknown key; the place is named."""
        for key in value:
            if key not in KEYS:
                raise ValueError(f"world: unknown key {key!r}; known: {', '.join(KEYS)}")
        refuse_impossible(value)
        archive = dicts.decode(SimArchive, value.get("archive", {}), "archive")
        if archive.generated:
            archive.sha256 = hashlib.sha256(archive.content()).hexdigest()
        nodes = _nodes(value, archive)
        clock = SimClock(_start(value.get("start", START)), float(value.get("elapsed", 0.0)))
        world = cls(nodes, archive, clock)
        faults = value.get("faults", [])
        world.faults = [fault_from(f, f"faults[{i}]") for i, f in enumerate(faults)]
        world.events = [
            dicts.decode(SimEvent, e, f"events[{i}]") for i, e in enumerate(value.get("events", []))
        ]
        world.counter = int(value.get("counter", 0))
        world.locks = {k: [float(t) for t in v] for k, v in value.get("locks", {}).items()}
        world.consensus_broken = bool(value.get("consensus_broken", False))
        world.strict = bool(value.get("strict", False))
        world.latency = float(value.get("latency", 0.0))
        world.keys = {str(name): int(count) for name, count in value.get("keys", {}).items()}
        return world

    def to_dict(self, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the whole state, clock included: :meth:`from_dict` goes on from there in another process.

        :param without: fields of the nodes that are left out.
        """
        return {
            "start": self.clock.start.isoformat(),
            "elapsed": self.clock.elapsed,
            "archive": dicts.encode(self.archive),
            "nodes": [dicts.encode(node, without) for node in self.nodes.values()],
            "faults": [dicts.encode(fault) for fault in self.faults],
            "events": [dicts.encode(event) for event in self.events],
            "counter": self.counter,
            "locks": copy.deepcopy(self.locks),
            "consensus_broken": self.consensus_broken,
            "strict": self.strict,
            "latency": self.latency,
            "keys": dict(self.keys),
        }

    def become(self, other: World) -> None:
        """Take over another world's whole state; whoever holds this one, or its clock, sees it from here on."""
        self.clock.become(other.clock)
        self.__dict__.update(other.__dict__ | {"clock": self.clock})

    def copy(self) -> World:
        """Return a world of its own in the same state."""
        return copy.deepcopy(self)


def _start(value: object) -> datetime:
    match value:
        case datetime():
            found = value
        case str():
            found = datetime.fromisoformat(value)
        case _:
            raise ValueError(f"start: a time is expected, not {value!r}")
    if found.tzinfo is None:
        raise ValueError(f"start: {value} has no time zone")
    return found


def _nodes(value: Mapping[str, Any], archive: SimArchive) -> list[SimNode]:
    defaults, given = value.get("defaults", {}), value.get("nodes", [])
    clustered = bool(value.get("clustered", len(given) > 1))
    nodes = []
    for index, one in enumerate(given):
        place = f"nodes[{index}] ({one.get('name', '?')})"
        node: SimNode = dicts.decode(SimNode, _merged(defaults, one), place)
        joined = clustered and "cluster" not in one
        finish_node(node, index, clustered=joined, archive=archive, has_data="data" in one)
        nodes.append(node)
    return nodes


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, own in over.items():
        both = isinstance(own, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], own) if both and key != "services" else own
    return merged
