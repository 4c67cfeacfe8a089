"""The simulated fleet."""

from __future__ import annotations

from ctmupgrade.core.model import Cluster
from ctmupgrade.errors import UsageError
from ctmupgrade.sim.control import SimControl
from ctmupgrade.sim.shell import SimShell
from ctmupgrade.sim.world import World


class SimFleet:
    """A :class:`~ctmupgrade.ports.Fleet` over a world; shells are kept, as connections are."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._shells: dict[str, SimShell] = {}

    def shell(self, node: str) -> SimShell:
        """Return it for a node. :raises UsageError: no node of that name."""
        self._known(node)
        return self._shells.setdefault(node, SimShell(self.world, node))

    def control(self, node: str) -> SimControl:
        """Return it for a node. :raises UsageError: no node of that name."""
        self._known(node)
        return SimControl(self.world, node)

    def learn(self, cluster: Cluster) -> None:
        """Do nothing: the world knows its nodes."""

    def close(self) -> None:
        """Drop all connections."""
        for shell in self._shells.values():
            shell.hang_up()

    def _known(self, node: str) -> None:
        if node not in self.world.nodes:
            raise UsageError(
                f"the simulated world has no node {node}", remedy=f"it has: {', '.join(self.world.nodes)}"
            )
