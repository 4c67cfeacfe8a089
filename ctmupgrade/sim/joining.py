"""Into a cluster and out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ctmupgrade.sim import active_faults, status
from ctmupgrade.sim.active_faults import take_next
from ctmupgrade.sim.effects import TIMED_OUT
from ctmupgrade.sim.restoring import restoring
from ctmupgrade.sim.setup import MAX_NODES, node_id_of
from ctmupgrade.sim.state import NEVER, JoinRun, SimNode
from ctmupgrade.sim.world import World


def _bad(text: str, code: int = 15) -> str:
    kind = "NCERRBadRequest" if code == 15 else "NCERRInternalServerError"
    return json.dumps({"code": code, "codeDesc": f"{kind}: {text}"})


def _member_answer(node: SimNode, code: str, count: int) -> str:
    body = {"nodeID": node.node_id, "status": {"code": code, "description": status.DESCRIPTIONS[code]}}
    return json.dumps({**body, "nodeCount": count})


def _no_consensus(world: World, node: SimNode) -> str:
    if world.consensus_broken or active_faults.lasting(world, "consensus_down", node.name):
        return _bad("consensus is down", 14)
    return ""


def _become_member(world: World, node: SimNode, cluster: str) -> None:
    count = sum(1 for event in world.events if event.kind == "member" and event.node == node.name) + 2
    node.cluster, node.node_id = cluster, node_id_of(node.name, count)
    node.removed_at, node.removed_id = NEVER, ""
    world.record(node.name, "member", cluster)


def new_cluster(world: World, node: SimNode, flags: Mapping[str, str]) -> str:
    """Return a cluster of one, with this node's data."""
    if node.cluster:
        return _bad("already clustered")
    node.cluster_host = flags.get("host", node.cluster_host)
    node.public_address = flags.get("public-address", node.public_address)
    if restoring(world, node):
        world.record(node.name, "restore_disturbed", "a new cluster before the restore ended")
    _become_member(world, node, world.fresh_id("cluster"))
    world.record(node.name, "cluster_new", node.cluster)
    return _member_answer(node, "r", 1)


def delete_cluster(world: World, node: SimNode, timeout: float = 300.0) -> str:
    """Let the node forget its cluster and keep its data. Only the last node of a cluster does; another one answers
    the same and does nothing."""
    if not node.cluster and node.removed_at >= NEVER and not node.config_left:
        return _bad("not clustered")
    if node.cluster and len(status.members_of(world, node.cluster)) > 1:
        world.record(node.name, "cluster_delete_in_vain", "others remain")
        return "{}"
    if node.membership.vain_deletes > 0:
        node.membership.vain_deletes -= 1
        world.record(node.name, "cluster_delete_in_vain", "for no reason that it tells")
        return "{}"
    world.record(node.name, "cluster_deleted", "the last member" if node.cluster else "removed before")
    node.cluster, node.node_id, node.removed_at, node.removed_id = "", "", NEVER, ""
    node.config_left, node.changed_at = False, world.now
    if node.membership.delete == "silent":
        world.clock.advance(timeout)
        return json.dumps(TIMED_OUT)
    return "{}"


def remove(world: World, via: SimNode, flags: Mapping[str, str]) -> str:
    """Take a member out, through another; it keeps its data and calls itself down for a while."""
    identity = flags.get("id", "")
    gone = next((n for n in status.members_of(world, via.cluster) if n.node_id == identity), None)
    refusal = _no_consensus(world, via)
    if refusal:
        return refusal
    if gone is None:
        return _bad("unexpected error", 14)
    if gone is via:
        return _bad("a node cannot remove itself")
    if not status.serving(world, gone) and "force" not in flags:
        return _bad("node is down; use --force")
    if gone.join is not None or any(n.join for n in status.members_of(world, via.cluster)):
        return _break_consensus(world, gone, "removed while a join runs")
    if active_faults.lasting(world, "replication_behind", via.name) and "force" not in flags:
        world.record(gone.name, "newest_data_removed", f"{via.name} had not caught up with it")
    gone.removed_at, gone.removed_id = world.now, gone.node_id
    gone.cluster, gone.node_id = "", ""
    gone.config_left, gone.changed_at = gone.membership.keeps_configuration, world.now
    world.record(gone.name, "node_removed", f"{identity} via {via.name}")
    return "{}"


def fulljoin(world: World, via: SimNode, flags: Mapping[str, str]) -> str:
    """Start a join: the joiner's data is erased, and the cluster's comes in the course of it."""
    host = flags.get("newnodehost", "")
    joiner = next((n for n in world.nodes.values() if host in (n.cluster_host, n.host, n.name)), None)
    if joiner is None or status.booting(joiner, world.now):
        return _bad(f"cannot reach the joining node {host}: connection refused", 14)
    refusal = _refusal(world, via, joiner)
    if refusal:
        return refusal
    busy = [n for n in status.members_of(world, via.cluster) if n.join is not None]
    if busy:
        return _break_consensus(world, joiner, f"{busy[0].name} is joining at the same time")
    _begin(world, via, joiner, flags)
    return json.dumps(
        {"nodeID": "", "status": {"code": "creating", "description": "joining: creating (1/5)"}}
    )


def _refusal(world: World, via: SimNode, joiner: SimNode) -> str:
    if not via.cluster:
        return _bad("the member is not clustered")
    if joiner.cluster:
        return _bad("the joining node is clustered already")
    if joiner.config_left:
        return _bad("node is already part of a cluster")
    if len(status.members_of(world, via.cluster)) >= MAX_NODES:
        return _bad("a cluster has at most 20 nodes")
    if via.version.partition("+")[0] != joiner.version.partition("+")[0]:
        return _bad(f"versions differ: {via.version} and {joiner.version}")
    # A service that is in error for good, as the secrets manager without internet, keeps no node from joining.
    states = status.services_of(world, joiner)[1]
    coming_up = [n for n, s in states.items() if s not in ("started", "disabled", joiner.services.get(n))]
    if not status.serving(world, joiner) or coming_up:
        world.record(joiner.name, "join_not_ready")
        return _bad("joining node is not ready, status: error", 14)
    return _no_consensus(world, via)


def _begin(world: World, via: SimNode, joiner: SimNode, flags: Mapping[str, str]) -> None:
    now, span = world.now, joiner.times.join_s
    if joiner.data:
        world.record(joiner.name, "data_erased", f"{joiner.data}: join")
    if restoring(world, via) or restoring(world, joiner):
        world.record(joiner.name, "restore_disturbed", "a join before the restore ended")
    joiner.data = ""
    joiner.public_address = flags.get("newnodepublic", joiner.public_address)
    _become_member(world, joiner, via.cluster)
    ends = now + span
    fails = take_next(world, joiner, "join_fails")
    hangs = take_next(world, joiner, "join_hangs")
    if hangs:
        ends = NEVER
    elif fails:
        ends = NEVER
        joiner.plan_due(now + fails.number("at", 0.5) * span, "join_break", fails.text("code", "vanish"))
    else:
        joiner.plan_due(ends, "join_end")
    joiner.join = JoinRun(now, ends, via.cluster, via.name)
    world.record(joiner.name, "join_started", f"via {via.name}")


def _break_consensus(world: World, joiner: SimNode, why: str) -> str:
    world.consensus_broken = True
    world.record(joiner.name, "consensus_broken", why)
    return _bad("consensus is down", 14)
