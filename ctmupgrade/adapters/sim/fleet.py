"""The simulated fleet."""

from __future__ import annotations

from ctmupgrade.adapters.sim.control import SimControl
from ctmupgrade.adapters.sim.shell import SimShell
from ctmupgrade.adapters.sim.world import World
from ctmupgrade.errors import UsageError


class SimFleet:
    """A :class:`~ctmupgrade.ports.Fleet` over a world; shells are kept, as connections are."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._shells: dict[str, SimShell] = {}

    def shell(self, node: str) -> SimShell:
        """:raises UsageError: no node of that name."""
        self._known(node)
        return self._shells.setdefault(node, SimShell(self.world, node))

    def control(self, node: str) -> SimControl:
        """:raises UsageError: no node of that name."""
        self._known(node)
        return SimControl(self.world, node)

    def close(self) -> None:
        """Drops all connections."""
        for shell in self._shells.values():
            shell.hang_up()

    def _known(self, node: str) -> None:
        if node not in self.world.nodes:
            raise UsageError(
                f"the simulated world has no node {node}", remedy=f"it has: {', '.join(self.world.nodes)}"
            )
