"""What people do between two processes of a run: cables are plugged in, nodes are repaired, support has been there."""

from __future__ import annotations

from collections.abc import Iterable

from ctmupgrade.sim import timeline
from ctmupgrade.sim.state import HOME, NEVER, File, SimNode
from ctmupgrade.sim.world import World


def repair(world: World, names: Iterable[str]) -> None:
    """Undo what faults have left behind on these nodes. The faults themselves must be gone already."""
    timeline.catch_up(world)
    now = world.now
    for node in (world.nodes[name] for name in names):
        _membership(world, node)
        _version(world, node)
        _restore(node)
        node.unit, node.host_key, node.clock_offset = "active", 1, 0.0
        node.services = {n: s if s == "disabled" else "started" for n, s in node.services.items()}
        node.broken_at = NEVER
        if node.up_at > now + 86400:
            node.up_at, node.ready_at = now + 60, now + 180
            node.plan_due(node.up_at, "booted")
            node.plan_due(node.ready_at, "ready")
        _script(world, node, now)
        _files(world, node)
    world.touch()


def _script(world: World, node: SimNode, now: float) -> None:
    run = node.running
    if run is not None and (run.outcome == "hang" or "another operator" in run.by):
        run.ended, run.outcome, run.text = now, "fail", "stopped by vendor support"
        world.record(node.name, "upgrade_killed", run.text, now)
        node.drop_due("upgrade_end", "services_down")
        node.link += 0


def _membership(world: World, node: SimNode) -> None:
    """A member that another operator removed is joined again; a join that hangs is given up."""
    mine = [e for e in world.events if e.node == node.name]
    if any(e.kind == "node_removed" and "another operator" in e.detail for e in mine) and not node.cluster:
        other = next((n for n in world.nodes.values() if n.cluster), None)
        cluster, data = (other.cluster, other.data) if other else (world.fresh_id("cluster"), node.data)
        node.cluster, node.node_id, node.data = cluster, f"rejoined-{node.name}", data
    if node.join is not None and node.join.ends >= NEVER:
        timeline.leave(world, node, world.now, "join_failed", "given up by vendor support")


def _restore(node: SimNode) -> None:
    """Vendor support ends a restore that hangs."""
    if node.restore == "running" and not any(due.what == "restore_end" for due in node.schedule):
        node.restore = "failed"


def _version(world: World, node: SimNode) -> None:
    """Vendor support brings the new version to a node where it did not take."""
    done = [e for e in world.events if e.node == node.name and e.kind == "upgrade_succeeded"]
    rebooted = [e for e in world.events if e.node == node.name and e.kind == "reboot"]
    if done and "will not take" in done[-1].detail and rebooted and rebooted[-1].at >= done[-1].at:
        node.version = world.archive.version


def _files(world: World, node: SimNode) -> None:
    """The archive, where it was put in place and somebody spoiled it."""
    path = f"{HOME}/{world.archive.name}"
    staged = any(e.node == node.name and e.kind == "upload" for e in world.events)
    held = node.files.get(path)
    if staged and (held is None or held.source != "archive"):
        node.files = {**node.files, path: File(world.archive.size, "archive")}
