"""Scenarios driven in this process, killed at any moment and resumed on the same world.

Every moment at which a kill makes a difference is counted: before and after each write of the journal,
before and after each changing call has reached its node, each tick of an action and each piece of an upload.
The same world gives the same moments, so a moment's number is enough to come back to it.
"""

from __future__ import annotations

import copy
import json
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from ctmupgrade.codec import event_from_json
from ctmupgrade.commands import check
from ctmupgrade.commands import restore as restoring
from ctmupgrade.commands.restore import RestoreRequest
from ctmupgrade.config.load import load_cluster, load_world
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.ports import Control, Shell, Terminal
from ctmupgrade.sim import SimFleet, World, timeline
from ctmupgrade.sim.state import HOME
from tests.support.world_run import Drive, Killed, Lines

SCENARIOS = Path(__file__).parents[2] / "fixtures" / "scenarios"
RESTORES = SCENARIOS.parent / "restores"  # lost clusters, for `restore` alone
ONCE = (
    "upgrade_started", "reboot", "node_removed", "cluster_deleted", "join_started", "cluster_new", "restore_started",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """A place where a process may die. ``kind``: journal, call, tick; ``when``: before, after, at."""

    number: int
    kind: str
    when: str
    what: str

    def __str__(self) -> str:
        return f"#{self.number} {self.when} {self.kind} {self.what}"


@dataclass
class Counting:
    """Counts the moments, and kills at one of them (0: at none)."""

    kill_at: int = 0
    moments: list[Moment] = field(default_factory=list)

    def __call__(self, kind: str, when: str, what: str) -> None:
        """:raises Killed: the time has come."""
        self.moments.append(Moment(len(self.moments) + 1, kind, when, what))
        if len(self.moments) == self.kill_at:
            raise Killed(str(self.moments[-1]))


class BreakableShell:
    """A shell whose changing calls can be cut on their way to the node or on their way back."""

    def __init__(self, inner: Shell, name: str, at: Counting) -> None:
        self._inner, self._name, self._at = inner, name, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _around(self, argv: tuple[str, ...], call: Callable[[], Any]) -> Any:
        what = f"{self._name}: {shlex.join(argv)[:60]}"
        self._at("call", "before", what)
        try:
            return call()
        finally:  # an answer that is an error came back all the same
            self._at("call", "after", what)

    def change(self, *argv: str, **more: Any) -> Any:
        return self._around(argv, lambda: self._inner.change(*argv, **more))

    def terminal(self, *argv: str) -> Terminal:
        terminal: Terminal = self._around(argv, lambda: self._inner.terminal(*argv))
        return terminal

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Any]:
        pieces = self._inner.upload(source, target, offset=offset)
        for sent in pieces:
            self._at("call", "after", f"{self._name}: upload, a piece")
            yield sent


class BreakableControl:
    """The same for ksctl."""

    def __init__(self, inner: Control, name: str, at: Counting) -> None:
        self._inner, self._name, self._at = inner, name, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def change(self, *argv: str, **more: Any) -> Any:
        what = f"{self._name}: ksctl {' '.join(argv[:3])}"
        self._at("call", "before", what)
        reply = self._inner.change(*argv, **more)
        self._at("call", "after", what)
        return reply


class BreakableFleet:
    """The simulated fleet behind a :class:`Counting`.

    :param own: the node that the process runs on, which dies with its reboot; "" where it is none of them.
    """

    def __init__(self, world: World, at: Counting, own: str = "") -> None:
        self._fleet, self._at = SimFleet(world), at
        self._own = world.nodes.get(own)
        self._boot = self._own.boot if self._own else 0

    def shell(self, node: str) -> Any:
        self._die_with_own_node()
        return BreakableShell(self._fleet.shell(node), node, self._at)

    def control(self, node: str) -> Any:
        self._die_with_own_node()
        return BreakableControl(self._fleet.control(node), node, self._at)

    def _die_with_own_node(self) -> None:
        own = self._own
        if own is not None and own.boot != self._boot and self._fleet.world.now >= own.down_from:
            raise Killed(f"the reboot of {own.name}, which it runs on")

    def close(self) -> None:
        """As the process ends."""
        self._fleet.close()


def options_of(scenario: str) -> Options:
    """What the scenario's ``options`` file adds to the command line."""
    file = folder_of(scenario) / "options"
    words = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return Options(
        allow_downgrade="--allow-downgrade" in words, reset_before_join="--reset-before-join" in words
    )


def folder_of(scenario: str) -> Path:
    """Where a scenario is."""
    return next(
        (f / scenario for f in (RESTORES, SCENARIOS) if (f / scenario).is_dir()), SCENARIOS / scenario
    )


@cache
def restores() -> list[str]:
    """All lost clusters."""
    found = {path.parent.name: path.read_text(encoding="utf-8") for path in RESTORES.glob("*/world.yaml")}
    return sorted(name for name, world in found.items() if "cluster: main" not in world)


def asked_of(scenario: str) -> RestoreRequest:
    """What is asked of ``restore`` for a lost cluster."""
    file = RESTORES / scenario / "options"
    words = file.read_text(encoding="utf-8").split() if file.is_file() else []
    given = dict(zip(words[::2], words[1::2], strict=True))
    gone = tuple(name for name in given.get("--gone", "").split(",") if name)
    return RestoreRequest(given.get("--on", ""), None, gone)


def names() -> list[str]:
    """All scenarios, found by their folders."""
    return sorted(p.parent.name for p in SCENARIOS.glob("*/world.yaml"))


@cache
def _world(scenario: str) -> dict[str, object]:
    return load_world(folder_of(scenario) / "world.yaml")


@cache
def _cluster(scenario: str) -> Cluster:
    return load_cluster(folder_of(scenario) / "cluster.yaml", simulated=True)


class ScenarioDrive(Drive):
    """A scenario through as many processes as it takes."""

    def __init__(self, scenario: str, folder: Path, *, poll: float = 0.0, kill_at: int = 0) -> None:
        self.scenario, self.at, self._waits = scenario, Counting(kill_at), Counter[str]()
        self.killed: list[str] = []  # by what, each time
        self._poll = poll
        world = World.from_dict(copy.deepcopy(_world(scenario)))
        super().__init__(world, folder, options=options_of(scenario), hook=self._tick)
        if (folder_of(scenario) / "backups").is_dir():
            shutil.copytree(folder_of(scenario) / "backups", folder / "backups")
        self.fleet_of = lambda w: BreakableFleet(w, self.at, self.cluster.own_node)
        self.journal = Lines(
            before_write=lambda n: self.at("journal", "before", f"write {n}"),
            after_write=lambda n: self.at("journal", "after", f"write {n}"),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cluster = self._scenario_cluster()

    def _scenario_cluster(self) -> Cluster:
        cluster = _cluster(self.scenario)
        backup = replace(cluster.backup, directory=self.folder / "backups")
        poll = timedelta(seconds=self._poll) if self._poll else cluster.poll
        return replace(cluster, backup=backup, poll=poll)

    def plan(self) -> Plan:
        """As ``run`` makes it, or for a lost cluster ``restore``."""
        if self.scenario in restores():
            return restoring.planned(self.setup(), asked_of(self.scenario))[0]
        return super().plan()

    def blocked(self) -> bool:
        """Whether the checks let nothing begin."""
        if self.scenario in restores():
            return False
        result, _ = check.plan(self.setup())
        return any(finding.stops for finding in result.findings)

    def _tick(self, step: str, event: Event | None, tick: Tick | None) -> None:
        """The first looks of a wait differ from each other; of the later ones every tenth is enough."""
        if event is not None or not isinstance(tick, Waiting):
            return
        self._waits[step] += 1
        if self._waits[step] <= 2 or self._waits[step] % 10 == 0:
            self.at("tick", "at", f"{step}, look {self._waits[step]}")

    def written(self) -> list[Event]:
        """The journal's events, read back."""
        return [event_from_json(json.loads(text)) for text, _at in self.journal.lines]

    def through(self) -> int:
        """Starts, and resumes as often as it is killed. The last exit code."""
        while True:
            try:
                # Where nothing was written the operator types it again.
                return self.resume() if self.journal.lines else self.start()
            except Killed as killed:
                self.killed.append(str(killed))
                self.at.kill_at = 0
                self._wait_for_own_node()

    def _wait_for_own_node(self) -> None:
        """Nobody types anything on a node that is down."""
        own = self.world.nodes.get(self.cluster.own_node)
        if own is not None and own.down_from <= self.world.now < own.up_at:
            self.world.clock.advance(own.up_at - self.world.now)
            timeline.catch_up(self.world)


def end_state(drive: ScenarioDrive) -> dict[str, object]:
    """What must be equal however the run was interrupted. The world is let go on until it is at rest."""
    world = drive.world
    world.clock.advance(7200)
    timeline.catch_up(world)
    groups: dict[str, str] = {}
    return {
        name: {
            "version": node.version,
            "pending": node.pending,
            "cluster": groups.setdefault(node.cluster, f"cluster {len(groups)}") if node.cluster else "",
            "data": node.data,
            "archive": world.archive.name in {p.rsplit("/", 1)[-1] for p in node.files},
            "leftovers": sorted(p for p in node.files if p.startswith(f"{HOME}/.") or p.endswith(".part")),
            "backed up": any(b.state == "completed" for b in node.backups),
            "settings": (
                node.ntp.servers,
                node.system_name,
                node.products,
                node.licences,
                node.public_address,
            ),
            "well": node.broken_at > world.now and node.unit == "active",
            "step": [
                held.status.value for step, held in drive.state.steps.items() if step.endswith(f":{name}")
            ],
        }
        for name, node in world.nodes.items()
    }


def counts(world: World) -> dict[tuple[str, str], int]:
    """How often each thing that must happen once at most happened, per node and kind."""
    return dict(Counter((e.node, e.kind) for e in world.events if e.kind in ONCE))
