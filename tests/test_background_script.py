"""A script that returns at once and works on under another name, or succeeds after it was given up (FACTS 8.1, 8.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.script_log import longest_silence
from ctmupgrade.core.model import Timeouts
from ctmupgrade.core.run.journal import Event, StepStarted
from ctmupgrade.core.ticks import Tick
from ctmupgrade.sim import Fault, World, timeline
from ctmupgrade.sim.state import HOME, NEVER, File, SimNode
from tests.support.fault_cases import NODE, SETTINGS, TIMES
from tests.support.fault_run import broken_promises
from tests.support.world_run import Drive, make_cluster, make_world, versions

WORKER = "/usr/bin/kylo-worker --serve"
HIDDEN = {"tty_mode": "background", "works_as": WORKER, "line_every_s": 1.0}
STEP = f"upgrade:{NODE}"


def drive_of(folder: Path, *faults: Fault, poll: float = 5.0, **defaults: Any) -> Drive:
    traits = {"upgrade": HIDDEN, "times": {**TIMES, "upgrade_s": 400.0}, **defaults}
    world = make_world(2, defaults=traits, archive={"size": 200_000, "generated": True})
    settings = {**SETTINGS, "poll": timedelta(seconds=poll)}
    drive = Drive(world, folder, settings=settings)
    plan = drive.plan()
    drive.plan = lambda: plan  # type: ignore[method-assign]
    world.inject(*faults)
    return drive


def starts(drive: Drive, node: str = NODE) -> int:
    return len(drive.world.of_kind("upgrade_started", node))


def ended_well(drive: Drive) -> bool:
    assert broken_promises(drive) == []
    return set(versions(drive.world)) == {"2.21.0"} and all(starts(drive, f"ctm-{i}") == 1 for i in (1, 2))


@pytest.mark.parametrize("poll", [2.0, 60.0])
def test_a_log_that_grows_is_waited_for(poll: float, tmp_path: Path) -> None:
    """Its last lines look the same: only its size tells. More polls than any number of looks, and no new one starts."""
    drive = drive_of(tmp_path, poll=poll)
    assert drive.start() == 0, drive.stuck
    assert ended_well(drive)


@pytest.mark.parametrize("missing", [["stat"], ["ps", "pgrep", "sh"], ["stat", "ps", "pgrep", "sh", "find"]])
def test_a_log_that_grows_is_waited_for_whatever_tells(missing: list[str], tmp_path: Path) -> None:
    drive = drive_of(tmp_path, shell={"missing": missing})
    assert drive.start() == 0, drive.stuck
    assert ended_well(drive)


@pytest.mark.parametrize("pause", [200.0])
def test_a_log_that_is_silent_for_a_while_is_waited_for(pause: float, tmp_path: Path) -> None:
    """Short polls do not shorten it: a hidden worker is silent for less than ``stuck``."""
    drive = drive_of(tmp_path, poll=2.0, upgrade={**HIDDEN, "line_every_s": pause})
    assert drive.start() == 0, drive.stuck
    assert ended_well(drive)


def test_a_log_that_grows_for_longer_than_the_whole_patience_is_left_alone(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, poll=30.0, times={**TIMES, "upgrade_s": 4000.0})
    assert drive.start() == 5
    [(_, held)] = drive.stuck
    assert "gave up after 40" in held.error and starts(drive, "ctm-1") == 1
    drive.decide("ctm-1", "retry")
    assert drive.resume() in (0, 5)
    assert starts(drive, "ctm-1") == 1, "retry follows what works"


def stop_worker(world: World, node: SimNode) -> None:
    run = node.running
    assert run is not None
    run.ended, run.outcome = world.now, "killed"
    node.drop_due("upgrade_end", "services_down")
    world.record(node.name, "upgrade_killed", "died", world.now)
    world.touch()


class At:
    """Does something once, so many seconds after the node's upgrade step began."""

    def __init__(self, drive: Drive, after: float, act: Any) -> None:
        self.drive, self.after, self.act, self.began = drive, after, act, NEVER
        drive.hook = self

    def __call__(self, step: str, event: Event | None, tick: Tick | None) -> None:
        if step == STEP and isinstance(event, StepStarted):
            self.began = min(self.began, self.drive.world.now)
        if step == STEP and self.drive.world.now >= self.began + self.after:
            self.after = NEVER
            self.act(self.drive.world, self.drive.world.nodes[NODE])


@pytest.mark.parametrize("poll", [2.0, 20.0])
def test_a_log_that_stopped_for_good_is_for_a_person_after_the_grace(poll: float, tmp_path: Path) -> None:
    drive = drive_of(tmp_path, poll=poll)
    at = At(drive, 100.0, stop_worker)
    assert drive.start() == 6
    [(step, held)] = drive.stuck
    assert step == STEP and "is not known" in held.error
    died = drive.world.of_kind("upgrade_killed", NODE)[0].at
    assert drive.world.now - died >= 290.0
    drive.decide(NODE, "retry")
    drive.world.clock.advance(3600.0)
    assert drive.resume() == 0, drive.stuck
    assert at.after == NEVER and starts(drive) == 2 and set(versions(drive.world)) == {"2.21.0"}


class GoneError(Exception):
    pass


def given_up(drive: Drive, after: float = 300.0) -> None:
    """A person takes it for dead while it works: as if the tool had said so."""

    def stop(_world: World, _node: SimNode) -> None:
        raise GoneError

    At(drive, after, stop)
    with pytest.raises(GoneError):
        drive.start()
    drive.hook = lambda *_a: None


@pytest.mark.parametrize("works_as", [WORKER, ""])
@pytest.mark.parametrize("missing", [[], ["stat"]])
def test_a_retry_follows_what_still_works(works_as: str, missing: list[str], tmp_path: Path) -> None:
    drive = drive_of(tmp_path, upgrade={**HIDDEN, "works_as": works_as}, shell={"missing": missing})
    given_up(drive)
    drive.decide(NODE, "retry")
    drive.decide(NODE, "retry")
    assert drive.resume() == 0, drive.stuck
    assert ended_well(drive)
    assert any("not started again" in note for note in drive.state.steps[STEP].notes)


@pytest.mark.parametrize("folder", [HOME, "/var/log", "/var/spool/keysecure/jobs"])
def test_a_retry_sees_that_it_has_succeeded_meanwhile(folder: str, tmp_path: Path) -> None:
    drive = drive_of(tmp_path, upgrade={**HIDDEN, "log_folder": folder})
    given_up(drive)
    drive.decide(NODE, "retry")
    drive.world.clock.advance(7200.0)
    assert drive.resume() == 0, drive.stuck
    assert ended_well(drive)


def test_a_retry_of_a_retry_follows_it_too(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    given_up(drive, 60.0)
    drive.decide(NODE, "retry")
    given_up_again(drive)
    drive.decide(NODE, "retry")
    assert drive.resume() == 0, drive.stuck
    assert ended_well(drive)


def given_up_again(drive: Drive) -> None:
    def stop(_world: World, _node: SimNode) -> None:
        raise GoneError

    At(drive, 30.0, stop)
    with pytest.raises(GoneError):
        drive.resume()
    drive.hook = lambda *_a: None


def test_a_success_that_a_reboot_did_not_bring_up_is_for_a_person(tmp_path: Path) -> None:
    """It is neither counted as done nor done again."""
    drive = drive_of(tmp_path)
    given_up(drive)
    drive.world.clock.advance(7200.0)
    timeline.catch_up(drive.world)
    node = drive.world.nodes[NODE]
    assert node.pending
    node.pending, node.boot, node.up_at = "", node.boot + 1, drive.world.now - 600
    drive.world.touch()
    drive.decide(NODE, "retry")
    assert drive.resume() == 6
    [(step, held)] = drive.stuck
    assert step == STEP and "retry" in held.remedy and starts(drive) == 1


@pytest.mark.parametrize("missing", [[], ["stat"]])
def test_somebody_elses_hidden_upgrade_is_not_joined(missing: list[str], tmp_path: Path) -> None:
    """Its log grows, and no process says whose it is: nothing is started beside it."""
    other = Fault("second_upgrade", NODE, "upgrade_started:ctm-1 + 300s")
    drive = drive_of(tmp_path, other, shell={"missing": missing})
    node = drive.world.nodes[NODE]
    node.times = replace(node.times, upgrade_s=3000.0)
    code = drive.start()
    assert starts(drive) == 1
    assert code == 5
    [(step, held)] = drive.stuck
    assert step == STEP and "did not start" in held.error and held.remedy


def test_an_old_log_without_a_verdict_holds_nothing_up(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, upgrade={})
    for node in drive.world.nodes.values():
        log = File(0, data=b"in the middle\n", mtime=-7200.0)
        node.files = {**node.files, f"{HOME}/ks_upgrade_2026-01-10-120000.log": log}
    usual = drive_of(tmp_path / "usual", upgrade={})
    assert usual.start() == drive.start() == 0
    assert drive.world.now - usual.world.now < 10.0


def test_the_grace_is_a_part_of_a_short_patience() -> None:
    class Has:
        cluster = replace(make_cluster(make_world(1)), timeouts=Timeouts(upgrade=timedelta(minutes=1)))

    assert longest_silence(Has()) == 7.5  # type: ignore[arg-type]
