"""A cluster of appliances in memory: virtual time, virtual gigabytes, faults as data.

``World.from_dict`` makes one, :class:`SimFleet` and :class:`SimVerifier` are its ports, ``World.inject``
adds a :class:`Fault`, ``World.events`` tells what happened, ``World.to_dict`` keeps all of it.
"""

from __future__ import annotations

from ctmupgrade.sim.clock import SimClock
from ctmupgrade.sim.faults import KINDS, Fault
from ctmupgrade.sim.fleet import SimFleet
from ctmupgrade.sim.state import SimArchive, SimEvent, SimNode
from ctmupgrade.sim.verifier import SimVerifier
from ctmupgrade.sim.world import World

__all__ = [
    "KINDS",
    "Fault",
    "SimArchive",
    "SimClock",
    "SimEvent",
    "SimFleet",
    "SimNode",
    "SimVerifier",
    "World",
]
