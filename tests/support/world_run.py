"""Runs of the real loop over a simulated world, with the journal in memory: fast, and breakable anywhere.

Nothing of ctmupgrade is replaced: the plan, the loop, the actions and the codec are its own. What is ours is
only the place where the journal's lines are kept, and the hooks that break things at an exact moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ctmupgrade.actions.base import Ctx
from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.codec import event_from_json, event_to_json
from ctmupgrade.commands import check
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core import model
from ctmupgrade.core.model import Cluster, Options, Target
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.data_guard import guard_for
from ctmupgrade.core.run.journal import Event, RunState, StepState, replay
from ctmupgrade.core.ticks import Tick
from ctmupgrade.core.version import Version
from ctmupgrade.errors import CtmUpgradeError, JournalError
from ctmupgrade.execute import Controls, Executor
from ctmupgrade.ports import Programs, Tools
from ctmupgrade.sim import Fault, SimFleet, SimVerifier, World, timeline
from ctmupgrade.sim.files import source_hash
from ctmupgrade.sim.rehearsal import Rehearsal
from ctmupgrade.sim.repair import repair
from ctmupgrade.sim.tasks import VirtualTasks

PASSWORD = "CTM_BACKUP_KEY_PASSWORD"
RUN = "20260110T210000-test"


class Killed(BaseException):
    """``kill -9``, as far as one process can do it to itself."""


def make_world(count: int = 3, **more: Any) -> World:
    """A healthy cluster of ``count`` nodes; ``more`` goes into the world's dict."""
    nodes = more.pop("nodes", [{"name": f"ctm-{i + 1}"} for i in range(count)])
    return World.from_dict({"nodes": nodes, **more})


def world_of(made: Setup) -> World:
    """The world behind a simulation."""
    assert isinstance(made.world, Rehearsal)
    return made.world.world


def make_cluster(world: World, strategy: StrategyName = StrategyName.IN_PLACE, **more: Any) -> Cluster:
    """The cluster.yaml that fits a world, as a value."""
    archive = world.archive
    nodes = tuple(
        model.Node(
            n.name, n.host, f"https://{n.host}", n.cluster_host, model.SshSettings(), model.KsctlSettings()
        )
        for n in world.nodes.values()
    )
    target = Target(Path(archive.name), Version.parse(archive.version.partition("+")[0]), archive.signer)
    backup = model.BackupSettings(Path("backups"), PASSWORD)
    return Cluster("test", strategy, target, nodes, backup, **more)


@dataclass
class Lines:
    """A journal in memory. It may run out of disk, or the process may die around a write."""

    lines: list[tuple[str, datetime]] = field(default_factory=list)
    room: int = -1  # so many more events fit; -1: any number
    before_write: Callable[[int], None] = lambda _n: None
    after_write: Callable[[int], None] = lambda _n: None

    def append(self, event: Event, at: datetime) -> None:
        """As :class:`ctmupgrade.execute.Record`."""
        self.before_write(len(self.lines))
        if self.room == 0:
            raise JournalError(
                "the journal cannot be written: No space left on device",
                remedy="make room, then: ctmupgrade resume",
            )
        self.room -= 1 if self.room > 0 else 0
        self.lines.append((json.dumps(event_to_json(event)), at))
        self.after_write(len(self.lines) - 1)

    def state(self) -> RunState:
        """The run as a new process reads it."""
        return replay((event_from_json(json.loads(text)), at) for text, at in self.lines)


Hook = Callable[[str, Event | None, Tick | None], None]


@dataclass
class Drive:
    """One run, through as many processes as it takes."""

    world: World
    folder: Path
    strategy: StrategyName = StrategyName.IN_PLACE
    options: Options = field(default_factory=Options)
    settings: Mapping[str, Any] = field(default_factory=dict)
    hook: Hook = lambda _step, _event, _tick: None
    requests: Callable[[], list[Event]] = list
    fleet_of: Callable[[World], Any] = SimFleet
    journal: Lines = field(default_factory=Lines)
    programs: Programs | None = None  # the operator's
    wait_for_window: bool = False
    error: CtmUpgradeError | None = None  # what the last process ended with, where it did not end by itself
    processes: int = 0
    executor: Executor | None = None  # of the last process

    def __post_init__(self) -> None:
        os.environ[PASSWORD] = "simulated-key-password"
        self.cluster = make_cluster(self.world, self.strategy, **self.settings)

    def setup(self) -> Setup:
        """Fresh adapters, as in a new process."""
        world, store = self.world, BackupStore(self.folder / "backups", self.cluster.name)
        return Setup(
            CommandRequest(state_dir=self.folder, simulate=self.folder, options=self.options),
            self.cluster,
            Tools(
                self.fleet_of(world), SimVerifier(world), world.clock, one_by_one,
                lambda: VirtualTasks(world.clock), store,
                prefix_hash=lambda length: source_hash(world, "archive", length),
                rest_hash=lambda _offset: ("", ""), unusable_store=store.unusable,
            ),
        )  # fmt: skip

    def plan(self) -> Plan:
        """:raises AssertionError: the checks do not let it pass."""
        result, plan = check.plan(self.setup())
        stops = [str(f) for f in result.findings if f.stops]
        assert not stops, stops
        return plan

    def start(self, plan: Plan | None = None) -> int:
        """Plans and runs until it ends or pauses. The exit code."""
        event = journal.RunStarted(
            RUN, self.cluster.name, Mode.SIMULATED, plan or self.plan(), "me@here", 1, "test"
        )
        self.journal.append(event, self.world.clock.now())
        return self._go()

    def resume(self) -> int:
        """A new process takes it up."""
        timeline.hang_up(self.world)
        self.journal.append(journal.RunResumed("me@here", 2, "test"), self.world.clock.now())
        return self._go()

    def decide(self, node: str, decision: Any, reason: str = "looked at it") -> None:
        """``ctmupgrade node DECISION``."""
        self.journal.append(journal.NodeDecided(node, decision, reason, "me@here"), self.world.clock.now())

    @property
    def state(self) -> RunState:
        return self.journal.state()

    @property
    def stuck(self) -> list[tuple[str, StepState]]:
        """Steps that failed or need an operator, with what is said of them."""
        bad = (journal.Status.FAILED, journal.Status.INCONCLUSIVE)
        return [(step, held) for step, held in self.state.steps.items() if held.status in bad]

    def _go(self) -> int:
        self.processes += 1
        self.error = None
        made, state = self.setup(), self.state
        ctx = Ctx(self.cluster, state.plan, state.run, made.tools)
        controls = Controls(
            requests=self.requests,
            watch=self._watch,
            guard=guard_for(self.cluster, state.plan),
            programs=self.programs,
            wait_for_window=self.wait_for_window,
        )
        try:
            self.executor = Executor(ctx, state, self.journal, made.tools.tasks(), controls)
            return int(self.executor.run())
        except CtmUpgradeError as error:
            self.error = error
            return int(error.exit_code)

    def _watch(self, _state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        of_a_step = not isinstance(event, journal.RunPaused)  # which names the step that it stopped for
        self.hook(getattr(event, "step", key) if of_a_step else key, event, tick)


def mend(world: World) -> None:
    """What people do between two processes: faults end, cables are plugged, support has been there."""
    world.faults.clear()
    repair(world, world.nodes)


def dies_at(step: str, kind: type[journal.StepStarted | journal.StepDone] = journal.StepStarted) -> Hook:
    """A hook with which the process dies right after this event of a step was journaled."""

    def hook(key: str, event: Event | None, _tick: Tick | None) -> None:
        if key == step and isinstance(event, kind):
            raise Killed

    return hook


def at_step(world: World, kind_or_id: str, *faults: Fault, moment: str = "start", tick: int = 3) -> Hook:
    """A hook that lets faults begin right after a step's start was journaled, or (``middle``) at its n-th tick."""
    state = {"ticks": 0, "done": False}

    def hook(step: str, event: Event | None, seen: Tick | None) -> None:
        if state["done"] or not (step == kind_or_id or step.startswith(f"{kind_or_id}:")):
            return
        if moment == "start" and isinstance(event, journal.StepStarted):
            state["done"] = True
        elif moment == "middle" and event is None and seen is not None:
            state["ticks"] += 1
            state["done"] = state["ticks"] == tick
        if state["done"]:
            world.inject(*(replace(f, params=dict(f.params)) for f in faults))

    return hook


def versions(world: World) -> Sequence[str]:
    """X.Y.Z of every node, as it really is."""
    return [node.version.partition("+")[0] for node in world.nodes.values()]


ARCHIVE = "610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v2.21.0_RevA.tar.gz.gpg"


def write_fixture(
    folder: Path, strategy: str, nodes: list[dict[str, Any]], count: int = 3, **world: Any
) -> Path:
    """A fixture below ``folder``: a world, and a cluster.yaml that names its first ``count`` nodes. JSON is YAML."""
    place = folder / "fixture"
    place.mkdir()
    config = {
        "cluster": "rebuilt", "strategy": strategy,
        "target": {"archive": f"./{ARCHIVE}", "signer": "0123456789ABCDEF0123456789ABCDEF01234567"},
        "backup": {"key_password_env": "CTM_BACKUP_KEY_PASSWORD"},
        "nodes": [{"name": f"ctm-{i + 1}", "host": f"10.0.0.{11 + i}"} for i in range(count)],
    }  # fmt: skip
    (place / "cluster.yaml").write_text(json.dumps(config), encoding="utf-8")
    (place / "world.yaml").write_text(json.dumps({"nodes": nodes, **world}), encoding="utf-8")
    return place
