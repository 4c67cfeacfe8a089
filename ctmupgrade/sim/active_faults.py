"""Which fault strikes now."""

from __future__ import annotations

from ctmupgrade.sim.faults import LASTING, UPGRADE, Fault
from ctmupgrade.sim.state import SimNode
from ctmupgrade.sim.world import World

UPGRADE_KINDS = tuple(UPGRADE)


def take_next(world: World, node: SimNode, kind: str) -> Fault | None:
    """Return the fault of this kind that concerns what begins on the node now; it counts as struck."""
    for fault in world.faults:
        if fault.kind == kind and fault.concerns(node.name) and not fault.spent and fault.lasts(world.now):
            fault.struck += 1
            return fault
    return None


def lasting(world: World, kind: str, node: str) -> Fault | None:
    """Return the condition of this kind that is on the node now."""
    if not world.faults:
        return None
    memo = world.moment()
    now = world.now
    active = memo.get("lasting")
    if active is None:
        active = memo["lasting"] = [f for f in world.faults if f.kind in LASTING and f.lasts(now)]
    if not active:
        return None
    return next((f for f in active if f.kind == kind and f.concerns(node)), None)
