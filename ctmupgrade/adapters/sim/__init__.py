"""A cluster of appliances in memory: virtual time, virtual gigabytes, faults as data.

``World.from_dict`` makes one, :class:`SimFleet` and :class:`SimVerifier` are its ports, ``World.inject``
adds a :class:`Fault`, ``World.events`` tells what happened, ``World.to_dict`` keeps all of it.
"""

from __future__ import annotations

from ctmupgrade.adapters.sim.clock import SimClock
from ctmupgrade.adapters.sim.faults import KINDS, Fault
from ctmupgrade.adapters.sim.fleet import SimFleet
from ctmupgrade.adapters.sim.state import Archive, Event, Node
from ctmupgrade.adapters.sim.verifier import SimVerifier
from ctmupgrade.adapters.sim.world import World

__all__ = ["KINDS", "Archive", "Event", "Fault", "Node", "SimClock", "SimFleet", "SimVerifier", "World"]
