"""Transitions that come due: upgrades and boots that end, backups, joins, faults that begin."""

from __future__ import annotations

from ctmupgrade.sim import upgrade
from ctmupgrade.sim.active_faults import take_next
from ctmupgrade.sim.faults import ACTIONS, STRIKING, Fault, matches
from ctmupgrade.sim.restoring import end_restore
from ctmupgrade.sim.state import HOME, NEVER, File, SimNode
from ctmupgrade.sim.world import World


def next_due(world: World) -> float:
    """Return when the next transition comes."""
    dues = [due.at for node in world.nodes.values() for due in node.schedule]
    dues += [fault.due for fault in world.faults if fault.started >= NEVER]
    return min(dues, default=NEVER)


def carry_out_next(world: World, now: float) -> bool:
    """Carry out the earliest transition that was due by ``now``; False where there is none."""
    fault = min(
        (f for f in world.faults if f.started >= NEVER and f.due <= now), key=lambda f: f.due, default=None
    )
    owned = [(due, node) for node in world.nodes.values() for due in node.schedule if due.at <= now]
    due, node = min(owned, key=lambda pair: pair[0].at, default=(None, None))
    if fault is not None and (due is None or fault.due <= due.at):
        begin(world, fault, fault.due)
        return True
    if due is None or node is None:
        return False
    node.schedule = [other for other in node.schedule if other is not due]
    _transition(world, node, due.what, due.detail, due.at)
    return True


def _transition(world: World, node: SimNode, what: str, detail: str, at: float) -> None:
    match what:
        case "upgrade_end":
            _end_upgrade(world, node, at)
        case "services_down":
            world.record(node.name, "services_down", detail, at)
        case "booted":
            world.record(node.name, "booted", node.boot_id, at)
        case "ready":
            world.record(node.name, "ready", node.version, at)
        case "backup_end":
            _end_backup(world, node, detail, at)
        case "restore_end":
            end_restore(world, node, detail, at)
        case "join_end":
            _end_join(world, node, at)
        case "join_break":
            leave(world, node, at, "join_failed", detail)
        case _:
            raise AssertionError(f"no transition {what!r}")


def _end_upgrade(world: World, node: SimNode, at: float) -> None:
    run = node.running
    if run is None:
        return
    run.ended = at
    node.link += 0  # an assignment: what was worked out from the run is stale
    if run.outcome == "success":
        node.pending = run.version
        world.record(node.name, "upgrade_succeeded", run.version, at)
    elif run.outcome == "old_version":
        node.pending = node.version
        world.record(node.name, "upgrade_succeeded", f"{run.version}, but it will not take", at)
    else:
        world.record(node.name, f"upgrade_{run.outcome}", run.text, at)


def _end_backup(world: World, node: SimNode, detail: str, at: float) -> None:
    identity, _, state = detail.partition(" ")
    for backup in node.backups:
        if backup.id == identity:
            backup.state = state
    node.link += 0
    world.record(node.name, "backup_done" if state == "completed" else "backup_failed", identity, at)


def _end_join(world: World, node: SimNode, at: float) -> None:
    join = node.join
    if join is None:
        return
    node.join = None
    via = world.nodes.get(join.via, node)
    node.data, node.users = via.data, list(via.users)
    node.ready_at = node.joined_at = node.changed_at = at
    world.record(node.name, "join_done", join.cluster, at)


def leave(world: World, node: SimNode, at: float, kind: str, detail: str) -> None:
    """Let the node disappear from its cluster."""
    node.drop_due("join_end", "join_break")
    node.join = None
    node.cluster, node.node_id = "", ""
    node.config_left = kind == "node_removed" and node.membership.keeps_configuration
    world.record(node.name, kind, detail, at)


# -- faults ----------------------------------------------------------------------------------------

CUTTING = ("refused", "unreachable", "cut")


def begin(world: World, fault: Fault, at: float) -> None:
    """Begin a fault: its time has come."""
    fault.started = at
    targets = [node for node in world.nodes.values() if fault.concerns(node.name)]
    for node in targets:
        world.record(node.name, "fault", f"{fault.kind} {fault.params or ''}".strip(), at)
        if fault.kind in CUTTING:
            cut(world, node, at)
        if fault.kind in ACTIONS:
            fault.struck += 1
            _act(world, fault, node, at)


def faults_of_command(world: World, node: str, command: str) -> None:
    """Begin the faults (other than those that strike commands) which wait for this one."""
    now = world.now
    for fault in world.faults:
        trigger = fault.trigger
        if trigger.kind != "command" or fault.kind in STRIKING or fault.started < NEVER:
            continue
        if fault.concerns(node) and matches(trigger.pattern, command):
            fault.seen += 1
            if fault.seen == trigger.nth:
                begin(world, fault, now)


def cut(world: World, node: SimNode, at: float) -> None:
    """End all connections to the node; an upgrade in the foreground dies with its own."""
    node.link += 1
    run = node.running
    if run is not None and run.tty_mode == "foreground" and run.by == "ctmupgrade":
        kill_upgrade(world, node, at)


def kill_upgrade(world: World, node: SimNode, at: float) -> None:
    """Let the script die with its channel, without a word."""
    run = node.running
    if run is None:
        return
    run.ended, run.outcome = at, "killed"
    node.drop_due("upgrade_end", "services_down")
    world.record(node.name, "upgrade_killed", "its terminal was lost", at)


def reboot(world: World, node: SimNode, at: float, why: str, *, linger: float) -> None:
    """Let the node go down and come back; whatever ran on it is gone."""
    cut(world, node, at)
    run = node.running
    if run is not None:
        run.ended, run.outcome = at, "killed"
        node.drop_due("upgrade_end", "services_down")
        node.broken_at = at
        world.record(node.name, "premature_reboot" if why == "sudo reboot" else "broken_by", why, at)
    if node.join is not None:
        leave(world, node, at, "join_failed", f"restarted during the join: {why}")
    detail = f"{why}; brings {node.pending}" if node.pending else f"{why}; nothing to finish"
    node.drop_due("booted", "ready", "backup_end", "restore_end")
    if node.restore == "running":
        node.restore = "failed"
        world.record(node.name, "restore_failed", why, at)
    node.down_from = node.silent_from = at + linger
    node.up_at = node.down_from + _boot_seconds(world, node)
    node.ready_at = node.up_at + node.times.start_s
    node.boot += 1
    node.version, node.pending = node.pending or node.version, ""
    _faults_after_reboot(world, node)
    world.record(node.name, "reboot", detail, at)
    node.plan_due(node.up_at, "booted")
    node.plan_due(node.ready_at, "ready")


def _boot_seconds(world: World, node: SimNode) -> float:
    if take_next(world, node, "reboot_never_ends") or node.attended_boot:
        return NEVER
    slow = take_next(world, node, "reboot_slow")
    return slow.number("seconds", node.times.reboot_s) if slow else node.times.reboot_s


def _faults_after_reboot(world: World, node: SimNode) -> None:
    if take_next(world, node, "new_host_key"):
        node.host_key += 1
    services = take_next(world, node, "services_after_reboot")
    if services:
        names = services.names("names") or [n for n, s in node.services.items() if s != "disabled"]
        node.services = {**node.services, **dict.fromkeys(names, services.text("state", "error"))}
    unit = take_next(world, node, "unit_after_reboot")
    if unit:
        node.unit = unit.text("state", "failed")


def _act(world: World, fault: Fault, node: SimNode, at: float) -> None:
    match fault.kind:
        case "power_loss":
            reboot(world, node, at, "power loss", linger=0.0)
        case "second_reboot":
            reboot(world, node, at, "another operator", linger=0.0)
        case "second_upgrade":
            upgrade.start(world, node, world.archive.name, at, by="another operator")
        case "clock_jump":
            node.clock_offset += fault.number("seconds", 60.0)
        case "delete_file":
            node.files.pop(f"{HOME}/{fault.text('path', world.archive.name)}", None)
        case "corrupt_file":
            path = f"{HOME}/{fault.text('path', world.archive.name)}"
            size = node.files.get(path, File()).size
            node.files[path] = File(size, "garbage")
        case "remove_member":
            leave(world, node, at, "node_removed", "by another operator")
        case "broken":
            node.broken_at = at
        case _:
            pass  # cut: done by its kind


def catch_up(world: World) -> float:
    """Carry out what was due by now, and return now."""
    now = world.now
    while now >= world.due:
        more = carry_out_next(world, now)
        world.due = 0.0 if more else next_due(world)
    return now


def command_started(world: World, node: str, command: str) -> None:
    """Let faults begin that wait for a command."""
    faults_of_command(world, node, command)


def hang_up(world: World) -> None:
    """End every connection, as when the process that held them is killed."""
    now = catch_up(world)
    for node in world.nodes.values():
        cut(world, node, now)
    world.touch()
