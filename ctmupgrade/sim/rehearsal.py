"""A simulated cluster as a run sees it: kept for the next process, struck by faults, recorded before it lives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.model import Cluster
from ctmupgrade.errors import UsageError
from ctmupgrade.ports import Control, Fleet, Shell
from ctmupgrade.sim import timeline
from ctmupgrade.sim.clock import SimClock
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.fleet import SimFleet
from ctmupgrade.sim.repair import repair
from ctmupgrade.sim.state import NEVER
from ctmupgrade.sim.world import World

R = TypeVar("R")
_STATIC = ("heard",)  # of a node; the same in every process
_TAKES = {
    "upgrade": "upgrade_s", "reboot": "reboot_s", "await": "start_s", "backup": "backup_s", "join": "join_s",
}  # fmt: skip


@dataclass(slots=True)
class Rehearsal:
    """A :class:`~ctmupgrade.ports.SimulatedWorld`.

    :ivar problem: why a recorded cluster cannot be rehearsed; "" where it can.
    :ivar begun: it lives; before, a recorded cluster only answers as it did, and time stands still.
    """

    world: World
    problem: str = ""
    begun: bool = True

    def begin(self, usual: Mapping[tuple[str, str], float] = MappingProxyType({})) -> None:
        """Let time pass from here on. :raises UsageError: the recording does not tell enough."""
        if self.problem:
            raise UsageError(self.problem, remedy="record the cluster again: ctmupgrade record DIR")
        for node in () if self.begun else self.world.nodes.values():
            took = {
                kind: seconds for (name, kind), seconds in usual.items() if name == node.name and seconds > 0
            }
            known = {_TAKES[kind]: seconds for kind, seconds in took.items() if kind in _TAKES}
            if "stage" in took:
                known["upload_mb_s"] = self.world.archive.size / took["stage"] / 1e6
            node.times = replace(node.times, **known)
        self.begun, self.world.clock.stopped = True, False

    def strike(self, kind: str, node: str, lasts: float = 0.0, after: float = 0.0) -> None:
        """Let a fault begin. :param node: "": every node. :param lasts: seconds; 0: until it is fixed."""
        when = f"at {self.world.now + after:.3f}s" if after else ""
        params = dict(DEFAULTS.get(kind, {}))
        self.world.inject(Fault(kind, node or "*", when, lasts, params=params, rehearsed=True))

    def saved(self) -> str:
        """Return the whole state as a text."""
        return json.dumps(self.world.to_dict(_STATIC))

    def take_over(self, saved: str) -> None:
        """Become the world that was saved, in which the connections of the process that saved it have ended, and what
        was broken for a rehearsal is fixed.

        :raises ValueError: the text is not a world's. So may be whatever reading it raises.
        """
        other = World.from_dict(read_json(saved))
        for name, node in other.nodes.items():
            if name in self.world.nodes:
                node.heard = self.world.nodes[name].heard
        self.world.become(other)
        self.problem = ""
        self.begin()
        timeline.hang_up(self.world)
        self._fix()

    def _fix(self) -> None:
        done = [fault for fault in self.world.faults if fault.rehearsed]
        self.world.faults = [fault for fault in self.world.faults if not fault.rehearsed]
        hurt = [fault for fault in done if fault.started < NEVER or fault.struck]
        repair(self.world, [n for n in self.world.nodes if any(fault.concerns(n) for fault in hurt)])


DEFAULTS: dict[str, dict[str, object]] = {
    "replication_behind": {"fields": {"replayLag": "00:10:00"}},
    "log_truncated": {"lines": 3},
    "log_folder": {"folder": "/var/spool/keysecure"},
    "exit_code": {"code": 1},
    "tty_mode": {"mode": "foreground"},
    "clock_jump": {"seconds": 3600},
    "reboot_slow": {"seconds": 1200},
    "join_fails": {"at": 0.5, "code": "k"},
    "join_hangs": {"at": 0.5},
}  # what is not the kind's own default


@dataclass(slots=True)
class RehearsedFleet:
    """Answers as it was recorded until the rehearsal begins, and as a living cluster from then on.

    :ivar silent: nodes that were not there when it was recorded: new instances.
    """

    recorded: Fleet
    rehearsal: Rehearsal
    silent: frozenset[str] = frozenset()
    living: SimFleet = field(init=False)

    def __post_init__(self) -> None:
        self.living = SimFleet(self.rehearsal.world)

    def shell(self, node: str) -> Shell:
        """Return the node's shell."""
        return self._now(node).shell(node)

    def control(self, node: str) -> Control:
        """Return the node's control plane."""
        return self._now(node).control(node)

    def learn(self, cluster: Cluster) -> None:
        """Do nothing: both know their nodes."""

    def close(self) -> None:
        """Drop all connections."""
        self.living.close()

    def _now(self, node: str) -> Fleet:
        return self.living if self.rehearsal.begun or node in self.silent else self.recorded


@dataclass(frozen=True, slots=True)
class VirtuallySideBySide:
    """A :class:`~ctmupgrade.ports.Gather`: asks several nodes at the same virtual time, so that it takes as long as the
    slowest of them."""

    clock: SimClock

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        """Return the answer of each."""
        began = last = self.clock.elapsed
        found = {}
        for name in names:
            self.clock.rewind(began)
            found[name] = ask(name)
            last = max(last, self.clock.elapsed)
        self.clock.rewind(last)
        return found
