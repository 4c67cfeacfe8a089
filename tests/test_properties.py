"""Random worlds, faults, kills, operators and resumes; the eight promises after each of them.

``CTMUPGRADE_HYPOTHESIS=slow`` runs 2,000 examples instead of 200; ``CTMUPGRADE_SEED`` picks another seed. The
seed is printed, and the same seed gives the same examples.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from ctmupgrade.commands import check as looking
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.version import reached
from ctmupgrade.sim import Fault, World
from tests.support.fault_cases import EVERYWHERE, SETTINGS, TIMES
from tests.support.fault_run import broken_promises, decide
from tests.support.killing import Fuse, KillingFleet
from tests.support.promises import check_promises
from tests.support.world_run import PASSWORD, Drive, Killed, make_world, mend

SLOW = os.environ.get("CTMUPGRADE_HYPOTHESIS") == "slow"
SEED = int(os.environ.get("CTMUPGRADE_SEED", "20260110"))
EXAMPLES = 2000 if SLOW else 120
PROCESSES = 12  # at most so many, then it counts as lost


def shares(part: float) -> settings:
    """Settings for a test that has this part of all examples."""
    return settings(
        max_examples=max(1, int(EXAMPLES * part)), deadline=None, database=None, print_blob=True,
        phases=[Phase.generate, Phase.shrink] if os.environ.get("CTMUPGRADE_SHRINK") else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _say_seed() -> None:
    print(
        f"hypothesis: seed {SEED}, {EXAMPLES} examples in all (CTMUPGRADE_SEED, CTMUPGRADE_HYPOTHESIS=slow)"
    )


# -- what may happen -------------------------------------------------------------------------------------

ONE_OFF: tuple[tuple[str, dict[str, Any]], ...] = (
    ("upgrade_fails", {"at": "once"}), ("upgrade_fails", {"at": "middle"}), ("upgrade_hangs", {}),
    ("upgrade_no_verdict", {}), ("upgrade_slow", {"seconds": 1500}), ("log_missing", {}),
    ("log_truncated", {"lines": 2}), ("log_folder", {"folder": "/var/log"}), ("exit_code", {"code": 3}),
    ("tty_mode", {"mode": "foreground"}), ("tty_mode", {"mode": "background"}), ("reboot_never_ends", {}),
    ("reboot_ignored", {}), ("reboot_slow", {"seconds": 700}), ("services_after_reboot", {"state": "error"}),
    ("unit_after_reboot", {"state": "failed"}), ("upload_full", {"at_byte": 10**9}), ("upload_drop", {"at_byte": 10**9}),
    ("upload_hole", {"at_byte": 10**9}), ("backup_fails", {}), ("upgrade_old_version", {}),
)  # fmt: skip
EVENTS = (
    "upgrade_started",
    "upgrade_succeeded",
    "reboot",
    "booted",
    "ready",
    "backup_created",
    "upload",
    "verified",
)
COMMANDS = (
    "ks_upgrade.sh -f", "sudo -n reboot", "mv -f", "sftp put", "ksctl backup create", "ksctl backup download", "ksctl",
    "boot_id", "ps -eo", "ksctl cluster summary", "ksctl services status", "tail", "ls",
)  # fmt: skip


def triggers() -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("at {}s".format, st.integers(0, 2500)),
        st.builds("command {} #{}".format, st.sampled_from(COMMANDS), st.integers(1, 12)),
        st.builds("{} + {}s #{}".format, st.sampled_from(EVENTS), st.integers(0, 320), st.integers(1, 3)),
    )


@st.composite
def fault_of(draw: st.DrawFn, names: list[str]) -> Fault:
    node = draw(st.sampled_from(names))
    if draw(st.integers(0, 2)) == 0:
        kind, params = draw(st.sampled_from(ONE_OFF))
        return Fault(kind, node, times=1, params=dict(params))
    what = draw(st.sampled_from(EVERYWHERE))
    return what.fault(node, draw(triggers()))


@dataclass
class Life:
    """What one process is to go through."""

    kill_at_call: int = -1
    after: bool = False
    kill_at_write: int = -1
    pause_at_write: int = -1
    mended: bool = False
    decision: str = "as told"


def lives() -> st.SearchStrategy[Life]:
    seldom = st.one_of(st.just(-1), st.integers(1, 600))
    write = st.one_of(st.just(-1), st.just(-1), st.integers(1, 60))
    told = st.sampled_from(["as told", "as told", "as told", "none", "skip"])
    return st.builds(Life, seldom, st.booleans(), write, write, st.booleans(), told)


@dataclass
class Tale:
    """A drawn example."""

    world: World
    strategy: StrategyName
    faults: list[Fault]
    lives: list[Life]
    done_before: set[str] = field(default_factory=set)


@st.composite
def tales(draw: st.DrawFn, strategy: StrategyName, most: int) -> Tale:
    count = draw(st.integers(2, most))
    names = [f"ctm-{i + 1}" for i in range(count)]
    ahead = (
        draw(st.integers(0, count - 1)) if strategy is StrategyName.IN_PLACE and draw(st.booleans()) else 0
    )
    nodes = [
        {
            "name": name,
            "version": "2.21.0+15451" if i < ahead else "2.20.0+15016",
            "times": {
                **TIMES,
                "upgrade_s": draw(st.sampled_from([60.0, 300.0, 900.0])),
                "reboot_s": draw(st.sampled_from([30.0, 100.0, 400.0])),
                "start_s": draw(st.sampled_from([10.0, 60.0, 200.0])),
                "linger_s": draw(st.sampled_from([0.0, 1.0, 25.0])),
            },
            "upgrade": {"tty_mode": draw(st.sampled_from(["screen", "screen", "foreground", "background"]))},
            "shell": {"reboot_reply": draw(st.sampled_from(["ok", "lost"]))},
        }
        for i, name in enumerate(names)
    ]
    world = make_world(nodes=nodes)
    faults = draw(st.lists(fault_of(names), max_size=3))
    return Tale(world, strategy, faults, draw(st.lists(lives(), min_size=1, max_size=4)), set(names[:ahead]))


# -- living it -------------------------------------------------------------------------------------------


@dataclass
class Living:
    """A tale under way."""

    tale: Tale
    drive: Drive
    life: Life = field(default_factory=Life)
    skipped: set[str] = field(default_factory=set)

    def process(self, life: Life) -> int | None:
        """One process's life; None where it was killed."""
        self.life = life
        fuse = Fuse(life.kill_at_call, life.after)
        drive, start = self.drive, len(self.drive.journal.lines)
        drive.fleet_of = lambda world: KillingFleet(world, fuse)
        drive.journal.before_write = lambda n: self._write(n - start, after=False)
        drive.journal.after_write = lambda n: self._write(n - start, after=True)
        asked: list[bool] = []

        def requests() -> list[journal.Event]:
            if len(drive.journal.lines) - start >= life.pause_at_write > 0 and not asked:
                asked.append(True)
                return [journal.StopAsked("pause", "me@elsewhere")]
            return []

        drive.requests = requests
        try:
            return drive.resume() if drive.journal.lines else drive.start()
        except Killed:
            return None

    def _write(self, number: int, *, after: bool) -> None:
        if number == self.life.kill_at_write and after == self.life.after:
            raise Killed

    def between(self, life: Life) -> None:
        """People: mend the world or do not, and decide on what is stuck."""
        self.life = Life()  # the process is gone: what was to kill it does not kill a person's command
        if life.mended:
            mend(self.drive.world)
        if not self.drive.journal.lines or life.decision == "none":
            return
        if life.decision == "skip" and self.drive.stuck:
            node = self.drive.state.plan.step(self.drive.stuck[0][0]).node
            if node and self.tale.strategy is StrategyName.IN_PLACE and _quiet(self.drive.world, node):
                self.drive.decide(node, "skip")
                self.skipped.add(node)
                return
        note(f"decided: {decide(self.drive)}")

    def check(self) -> None:
        """The promises, now."""
        broken = broken_promises(self.drive)
        assert broken == [], broken
        written = "\n".join(text for text, _ in self.drive.journal.lines)
        assert os.environ[PASSWORD] not in written


def _quiet(world: World, node: str) -> bool:
    """A person skips a node only when nothing is half done on it."""
    real = world.nodes[node]
    return real.running is None and not real.pending and real.ready_at <= world.now


ENDED = (0, 9)  # all is done; or all that was not skipped


def live(tale: Tale, folder: Path) -> None:
    """Lives of processes, with people between; then everything is mended, and it must end well."""
    living = Living(tale, Drive(tale.world, folder, tale.strategy, settings=SETTINGS))
    plan = living.drive.plan()
    living.drive.plan = lambda: plan  # type: ignore[method-assign] # made before anything goes wrong
    tale.world.inject(*tale.faults)
    code: int | None = None
    for life in tale.lives:
        code = living.process(life)
        note(f"{life} -> {code} at {tale.world.now:.0f} s: {living.drive.stuck}")
        living.check()
        if code in ENDED:
            break
        living.between(life)
    count = 0
    while code not in ENDED:
        count += 1
        assert count <= PROCESSES, (code, living.drive.stuck, living.drive.state.paused)
        living.between(Life(mended=True))
        code = living.process(Life())
        note(f"mended -> {code} at {tale.world.now:.0f} s: {living.drive.stuck}")
        living.check()
    _ended_well(living)


def _ended_well(living: Living) -> None:
    target = living.drive.cluster.target.version
    from ctmupgrade.core.version import Version

    for name, node in living.drive.world.nodes.items():
        if name not in living.skipped:
            assert reached(Version.parse(node.version), target), (name, node.version)
    for name in living.tale.done_before:
        assert not living.drive.world.of_kind("upgrade_started", name), f"{name} was at the target already"


@seed(SEED)
@shares(0.7)
@given(tales(StrategyName.IN_PLACE, 5))
def test_in_place(tale: Tale) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live(tale, Path(folder))


@seed(SEED)
@shares(0.2)
@given(tales(StrategyName.REBUILD, 4))
def test_rebuild(tale: Tale) -> None:
    tale.faults = [f for f in tale.faults if f.kind not in ("remove_member",)]
    with tempfile.TemporaryDirectory() as folder:
        live(tale, Path(folder))


@seed(SEED)
@shares(0.1)
@given(tales(StrategyName.IN_PLACE, 5))
def test_looks_change_nothing(tale: Tale) -> None:
    """Promise 1, in worlds where anything may be wrong from the start."""
    tale.world.inject(*tale.faults)
    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(tale.world, Path(folder), tale.strategy, settings=SETTINGS)
        setup = drive.setup()
        result, plan = looking.plan(setup)
        assert result.code in (0, 3, 4)
        assert all(f.summary for f in result.findings)
        assert all(f.remedy for f in result.findings if f.stops and f.node), result.findings
        assert all(set(s.after) <= {t.id for t in plan.steps} for s in plan.steps)
        assert check_promises(tale.world, changes_expected=False) == []
