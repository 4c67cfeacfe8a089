"""The tools of ``--simulate``: a fixture's world, or one that is made of a recorded cluster."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.config.load import load_world
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.timing import clock_time
from ctmupgrade.errors import UNFORESEEN, UsageError
from ctmupgrade.ports import Fleet, Gather, Tools, Verifier
from ctmupgrade.sim import SimFleet, SimVerifier, World
from ctmupgrade.sim.files import source_hash
from ctmupgrade.sim.port_watch import SimPortWatch
from ctmupgrade.sim.rehearsal import Rehearsal, RehearsedFleet, VirtuallySideBySide
from ctmupgrade.sim.state import Times
from ctmupgrade.sim.tasks import VirtualTasks

if TYPE_CHECKING:
    from ctmupgrade.adapters.transcripts import ReplayFleet


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation works with. :ivar keeps: its world is written down at every step, for a process that is killed."""

    cluster: Cluster
    tools: Tools
    rehearsal: Rehearsal
    keeps: bool
    warnings: tuple[str, ...] = ()


def simulated(request: CommandRequest, cluster: Cluster, folder: Path, scratch: Path) -> Simulated:
    """Return the simulation of a fixture's folder.

    :param scratch: a folder that is gone with the command.
    :raises UsageError: what is in the folder is no fixture.
    """
    _stand_in_password(cluster)
    if not (folder / "world.yaml").is_file() and (folder / "transcript.jsonl").is_file():
        return _recorded(request, cluster, folder, scratch)
    world = _world(folder, load_world(folder / "world.yaml"))
    if (folder / "backups").is_dir():  # what was downloaded before the run
        shutil.copytree(folder / "backups", scratch / "backups")
    tools = _tools(request, cluster, world, scratch, SimFleet(world), SimVerifier(world))
    return Simulated(_with_backups(cluster, scratch), tools, Rehearsal(world), keeps=request.pace > 0)


def _with_backups(cluster: Cluster, scratch: Path) -> Cluster:
    return replace(cluster, backup=replace(cluster.backup, directory=scratch / "backups"))


def _tools(
    request: CommandRequest,
    cluster: Cluster,
    world: World,
    scratch: Path,
    fleet: Fleet,
    verifier: Verifier,
    gather: Gather = one_by_one,
) -> Tools:
    clock = world.clock
    return Tools(
        fleet=fleet,
        verifier=verifier,
        clock=clock,
        gather=gather,
        tasks=lambda: VirtualTasks(clock, request.pace, apart=gather is not one_by_one),
        store=BackupStore(scratch / "backups", cluster.name),
        prefix_hash=lambda length: source_hash(world, "archive", length),
        rest_hash=lambda _offset: ("", ""),  # a simulated node's shell has no pipes
        unusable_store=lambda: "",
        port_watch=lambda: SimPortWatch(world),
    )


def _stand_in_password(cluster: Cluster) -> None:
    """A simulated key needs no real password; where cluster.yaml names a variable, it shall hold one."""
    if cluster.backup.key_password_env:
        os.environ.setdefault(cluster.backup.key_password_env, "stand-in-of-a-simulated-key")


def _world(folder: Path, value: dict[str, object]) -> World:
    try:
        return World.from_dict(value)
    except UNFORESEEN as error:
        raise UsageError(f"{folder / 'world.yaml'}: {error}") from None


# -- a recorded cluster ----------------------------------------------------------------------------


def _recorded(request: CommandRequest, cluster: Cluster, folder: Path, scratch: Path) -> Simulated:
    """A cluster that answers as it was recorded, until a run of it begins."""
    from ctmupgrade.adapters.transcripts import ReplayFleet, ReplayVerifier

    replay = ReplayFleet(folder)
    world, problem = _of_recording(cluster, replay)
    clock = world.clock
    clock.stopped = True
    replay.passed = clock.rewind
    rehearsal = Rehearsal(world, problem, begun=False)
    fleet = RehearsedFleet(replay, rehearsal, frozenset(node.name for node in cluster.fresh))
    tools = _tools(
        request, cluster, world, scratch, fleet, ReplayVerifier(replay.header), VirtuallySideBySide(clock)
    )
    patient, warnings = _patient(cluster, world)
    return Simulated(_with_backups(patient, scratch), tools, rehearsal, keeps=True, warnings=warnings)


def _patient(cluster: Cluster, world: World) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster with the patience that what is simulated needs, and where its own is not enough."""
    times = next((node.times for node in world.nodes.values()), Times())
    usual = {"upgrade": times.upgrade_s, "reboot": times.reboot_s, "service": times.start_s, "join": times.join_s,
             "backup": times.backup_s, "upload": world.archive.size / (times.upload_mb_s * 1e6)}  # fmt: skip
    short = {
        name: s for name, s in usual.items() if getattr(cluster.timeouts, name).total_seconds() < s * 1.1
    }
    longer = {name: timedelta(seconds=2 * seconds) for name, seconds in short.items()}
    said = tuple(
        f"timeouts.{name} is {clock_time(int(getattr(cluster.timeouts, name).total_seconds()))}, and it usually takes "
        f"{clock_time(int(seconds))}: it is rehearsed with {clock_time(int(2 * seconds))}"
        for name, seconds in short.items()
    )
    return replace(cluster, timeouts=replace(cluster.timeouts, **longer)), said


def _of_recording(cluster: Cluster, replay: ReplayFleet) -> tuple[World, str]:
    """The world, and why it is none of this cluster: a recording can be looked at whatever is in it."""
    from ctmupgrade.collect.collect import collect_nodes
    from ctmupgrade.sim.clock import SimClock
    from ctmupgrade.sim.recorded import Recording, recorded_world

    clock = SimClock(replay.header.at)
    clock.stopped = True
    replay.passed = clock.rewind
    recording = Recording(replay.header.at, replay.header.archive, replay.looks)
    try:
        nodes = collect_nodes(replay, cluster, clock, VirtuallySideBySide(clock))
        return recorded_world(cluster, nodes, recording), ""
    except UNFORESEEN as error:
        return World([], None, SimClock(replay.header.at)), f"this recording cannot be rehearsed: {error}"
