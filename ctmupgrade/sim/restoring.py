"""How a restore ends on a simulated node, and whether it has."""

from __future__ import annotations

from ctmupgrade.sim.state import NEVER, SimNode
from ctmupgrade.sim.world import World


def end_restore(world: World, node: SimNode, detail: str, at: float) -> None:
    """End a restore: the node has the backup's data, and its services start again with it."""
    identity, _, state = detail.partition(" ")
    node.restore = state
    backup = next((b for b in node.backups if b.id == identity), None)
    if state != "completed" or backup is None:
        world.record(node.name, "restore_failed", identity, at)
        return
    node.data, node.users = backup.content, list(backup.users or node.users)
    world.record(node.name, "restored", f"{identity}: {backup.content}", at)
    node.drop_due("ready")
    node.silent_from, node.ready_at = at, at + node.times.start_s
    node.plan_due(node.ready_at, "ready")
    world.record(node.name, "services_restarted", "backup restore", at)


def restoring(world: World, node: SimNode) -> bool:
    """Return whether a restore on the node has not ended, or its services have not come up since (vendor page "Clusters
    and Nodes": joined then, other nodes may not boot again)."""
    coming_up = node.silent_from <= world.now < node.ready_at
    return node.restore == "running" or (node.restore == "completed" and coming_up and node.ready_at < NEVER)
