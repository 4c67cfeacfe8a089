"""The ports that clients use, of a simulated cluster: a node's ports answer where it serves."""

from __future__ import annotations

from collections.abc import Sequence

from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen
from ctmupgrade.sim import status, timeline
from ctmupgrade.sim.world import World


class SimPortWatch:
    """Implements :class:`ctmupgrade.ports.PortWatch` in virtual time: it looks when it is asked for news, and only where
    something may have changed since."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ports: tuple[ClientPort, ...] = ()
        self._last: dict[str, bool] = {}
        self._mark: tuple[int, int] = (-1, -1)
        self._until = self._next = self._every_s = 0.0

    def begin(self, ports: Sequence[ClientPort], every_s: float) -> None:
        """See :meth:`ctmupgrade.ports.PortWatch.begin`."""
        self._every_s = every_s
        self._ports = tuple(port for port in ports if port.node in self._world.nodes)

    def news(self) -> Sequence[PortsSeen]:
        """See :meth:`ctmupgrade.ports.PortWatch.news`."""
        world = self._world
        now, mark = world.now, (len(world.events), world.ticks[0])
        if not self._ports or now < self._next or (mark == self._mark and now < self._until):
            return ()
        self._next = now + self._every_s
        timeline.catch_up(world)
        up = {name: status.serving(world, world.nodes[name]) for name in {port.node for port in self._ports}}
        # Until the next transition nothing changes by itself; but faults begin and end at times of their own.
        self._until = now if world.faults else world.due
        self._mark = len(world.events), world.ticks[0]
        changed = {p.key: up[p.node] for p in self._ports if self._last.get(p.key) is not up[p.node]}
        self._last |= changed
        why = {key: "the node does not serve" for key, answers in changed.items() if not answers}
        return (PortsSeen(world.clock.now(), changed, why),) if changed else ()

    def end(self) -> None:
        """See :meth:`ctmupgrade.ports.PortWatch.end`."""
        self._ports = ()
