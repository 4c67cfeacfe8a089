"""ks_upgrade.sh: its start, its refusals, and what it has written by a given time.

The captured lines are those of a real run (2.20 to 2.21); every word of a failure is made up, because
none is known. The stamps inside the log carry the month where the minute should be, as the real ones do.
"""

from __future__ import annotations

from datetime import timedelta

from ctmupgrade.core.version import Version
from ctmupgrade.sim import files
from ctmupgrade.sim.active_faults import UPGRADE_KINDS, take_next
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.state import GIB, SCRIPT, File, SimNode, UpgradeRun
from ctmupgrade.sim.status import members_of, serving
from ctmupgrade.sim.upgrade_words import HUNG, phase_start
from ctmupgrade.sim.world import World

LOCK_AT = 0.4  # of its time: the first node migrates the shared database


def start(world: World, node: SimNode, archive: str, at: float, *, by: str = "ctmupgrade") -> UpgradeRun:
    """Start the script; one that refuses ends at once."""
    running, again = node.running, _again(node, world)
    run = _run(world, node, at, by)
    run.command = f"{SCRIPT} -f {archive}"
    refusal = "another upgrade is running" if running else _refusal(world, node, archive)
    if again and by == "ctmupgrade":
        world.record(node.name, "repeated_upgrade", again, at)
    if running:
        run.outcome, run.text, run.ended = "fail", refusal, at
        run.log = ""
        node.upgrades = [*node.upgrades, run]
        return run
    if refusal:
        run.outcome, run.text, run.duration = "fail", refusal, min(5.0, run.duration)
    node.upgrades = [*node.upgrades, run]
    if run.log:
        log = File(0, f"upgrade:{len(node.upgrades) - 1}", mtime=at)
        if node.upgrade.log_of_root:
            log.mode, log.owner = "600", "root"
        node.files = {**node.files, run.log: log}
    away = [m.name for m in members_of(world, node.cluster) if m is not node and _known_away(world, m)]
    world.record(node.name, "upgrade_started", f"{run.version} by {by}", at)
    if away and by == "ctmupgrade":
        world.record(node.name, "started_while_away", ", ".join(away), at)
    _schedule(world, node, run)
    return run


def _known_away(world: World, node: SimNode) -> bool:
    """Whether it does not serve, and a caller could know: it did not say "started" at this very instant."""
    return not serving(world, node) and world.told_well.get(node.name) != world.now


def _again(node: SimNode, world: World) -> str:
    if node.running:
        return "it runs already"
    if node.pending:
        return f"{node.pending} waits for its reboot"
    if Version.parse(node.version).same_release(Version.parse(world.archive.version)):
        return f"it has {node.version} already"
    return ""


def _refusal(world: World, node: SimNode, archive: str) -> str:
    file = node.files.get(files.absolute(archive))
    if file is None:
        return f"upgrade package {archive} not found, upgrade aborted"
    if world.archive.problem != "none" or files.sha256(world, node, file) != world.archive.sha256:
        return "bad signature of the upgrade package, upgrade aborted"
    if node.free < 12 * GIB:
        return "no space left on device, upgrade failed"
    return ""


def _run(world: World, node: SimNode, at: float, by: str) -> UpgradeRun:
    """The run as the node's traits and the faults make it."""
    run = UpgradeRun(
        at, node.times.upgrade_s, world.archive.version, tty_mode=node.upgrade.tty_mode,
        exit_code=node.upgrade.exit_code, by=by, waits=node.upgrade.stops_services,
    )  # fmt: skip
    folder = node.upgrade.log_folder
    for kind in UPGRADE_KINDS:
        fault = take_next(world, node, kind)
        if fault:
            folder = fault.text("folder", folder) if kind == "log_folder" else folder
            _bend(run, fault)
    stamp = world.clock.wall(at) + timedelta(seconds=node.clock_offset)
    if run.log != "none":
        run.log = f"{folder}/ks_upgrade_{stamp:%Y-%m-%d-%H%M%S}.log"
    else:
        run.log = ""
    return run


def _bend(run: UpgradeRun, fault: Fault) -> None:
    match fault.kind:
        case "upgrade_fails":
            early = fault.text("at", "middle") == "once"
            run.outcome, run.duration = "fail", 3.0 if early else run.duration * 0.5
            run.text = fault.text("text", "Upgrade failed: cannot migrate the database")
            run.waits = False
        case "upgrade_hangs":
            run.outcome, run.text, run.asks = "hang", HUNG, fault.text("asks", "")
        case "upgrade_no_verdict":
            run.outcome = "no_verdict"
        case "upgrade_old_version":
            run.outcome = "old_version"
        case "upgrade_slow":
            run.duration = fault.number("seconds", 3600.0)
        case "log_missing":
            run.log = "none"
        case "log_truncated":
            run.truncated = int(fault.number("lines", 3))
        case "exit_code":
            run.exit_code = int(fault.number("code", 1))
        case "tty_mode":
            run.tty_mode = fault.text("mode", "foreground")
        case _:
            pass  # log_folder: the caller's


def _schedule(world: World, node: SimNode, run: UpgradeRun) -> None:
    if run.outcome == "hang":
        return
    node.plan_due(run.started + run.duration, "upgrade_end")
    if run.waits and run.outcome != "fail":
        node.plan_due(phase_start(run), "services_down", "the script waits for the new services")
    members = members_of(world, node.cluster) or [node]
    target = Version.parse(run.version)
    first = not any(Version.parse(m.pending or m.version).same_release(target) for m in members)
    if first and run.outcome in ("success", "no_verdict", "old_version"):
        lock = run.started + LOCK_AT * run.duration
        world.locks[node.cluster or node.name] = [lock, lock + node.times.db_lock_s]
    world.touch()


def exit_code(run: UpgradeRun) -> int:
    """Return what it exits with; nothing says that the real one is honest."""
    if run.exit_code >= 0:
        return run.exit_code
    return 0 if run.outcome in ("success", "old_version", "no_verdict") else 1


# -- its words -------------------------------------------------------------------------------------
