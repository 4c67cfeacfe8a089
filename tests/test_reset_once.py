"""A node is reset once: each reset may bring back a first password that a person has to change before anybody goes on.
In the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.events import StepNoted
from ctmupgrade.core.run.journal import Event, StepStarted
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.errors import ExitCode
from ctmupgrade.sim import Fault, World
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.lost_cluster import RestoreDrive, lost, whole
from tests.support.world_run import Drive, Killed, dies_at, make_world

UNTOLD = '{"skip": 0, "limit": 1, "resources": []}'
STEP, NODE = "reset:ctm-2", "ctm-2"


@dataclass
class FirstPassword:
    """Every reset of the node brings back admin/admin: its logins are refused until a person changes that.

    :ivar keys: the answer to ``keys list`` from now on; "": the true one. :ivar said: what waits and notes of the step say."""

    drive: RestoreDrive
    keys: str = ""
    users: str = ""
    resets: int = 0
    said: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, step: str, event: Event | None, tick: Tick | None) -> None:
        world = self.drive.world
        if step == STEP and isinstance(event, StepStarted):
            told = {"ksctl keys list": self.keys, "ksctl users list": self.users}
            world.nodes[NODE].says = {what: answer for what, answer in told.items() if answer}
        if len(world.of_kind("reset", NODE)) > self.resets:
            self.resets += 1
            world.inject(Fault("unauthorized", NODE, times=0, params={"command": "ksctl"}))
        if step == STEP and isinstance(tick, Waiting):
            self.said.append(("wait", tick.what))
        if step == STEP and isinstance(event, StepNoted):
            self.said.append(("note", event.text))

    def changed(self) -> None:
        """A person gives admin the password that cluster.yaml names."""
        self.drive.world.faults.clear()


def first_password(folder: Path, keys: str = "", users: str = "") -> tuple[RestoreDrive, FirstPassword]:
    """A restore in which the reset of ctm-2 brings back its first password."""
    drive = lost(folder)
    person = drive.hook = FirstPassword(drive, keys, users)
    return drive, person


@pytest.mark.parametrize(
    "told",
    [
        {"keys": UNTOLD, "users": UNTOLD},
        {"keys": '{"skip": 0, "limit": 1, "total": 2, "resources": []}'},
        {"users": '{"skip": 0, "limit": 1, "total": 4, "resources": []}'},
    ],
    ids=["tells no number", "has keys of its own", "has users of its own"],
)
def test_a_node_whose_reset_was_answered_is_not_reset_again(told: dict[str, str], tmp_path: Path) -> None:
    """Whatever it tells of itself afterwards."""
    drive, person = first_password(tmp_path, **told)
    assert drive.start() == ExitCode.FAILED
    assert drive.stuck[0][0] == STEP and "give admin the password" in drive.stuck[0][1].remedy
    assert drive.resume() == ExitCode.FAILED, "nobody has changed the password yet"
    person.changed()
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", NODE)) == 1


def _dies_unanswered(drive: RestoreDrive) -> None:
    """The process dies when the node was reset, and the answer is not in the journal yet."""

    def write(_line: int) -> None:
        if drive.world.of_kind("reset", NODE):
            raise Killed

    drive.journal.before_write = write
    with pytest.raises(Killed):
        drive.start()
    drive.journal.before_write = lambda _line: None
    drive.hook = lambda *_seen: None


def test_a_person_decides_where_nothing_tells_whether_it_was_reset(tmp_path: Path) -> None:
    drive = first_password(tmp_path, keys=UNTOLD, users=UNTOLD)[0]
    _dies_unanswered(drive)
    assert drive.resume() == ExitCode.NEEDS_OPERATOR
    ((step, held),) = drive.stuck
    assert step == STEP and "whether it was reset is not known" in held.error, held
    assert "node done" in held.remedy and "node retry" in held.remedy
    assert len(drive.world.of_kind("reset", NODE)) == 1
    drive.decide(NODE, "done")
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", NODE)) == 1


def test_a_node_that_has_nothing_was_reset_though_no_answer_was_noted(tmp_path: Path) -> None:
    drive = lost(tmp_path)
    _dies_unanswered(drive)
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", NODE)) == 1


def test_a_node_whose_services_still_start_is_not_reset_again(tmp_path: Path) -> None:
    """Whoever takes the run up waits until they are started."""
    drive = lost(tmp_path)
    drive.world.nodes[NODE].times.start_s = 400.0
    _dies_unanswered(drive)
    assert drive.resume() == 0 and whole(drive.world) == []
    assert len(drive.world.of_kind("reset", NODE)) == 1


def _erased(folder: Path, keys: int) -> tuple[RestoreDrive, World]:
    """A restore that erases ctm-2, which has so many keys and is given up."""
    drive = lost(folder)
    drive.asked = replace(drive.asked, gone=(NODE,))
    drive.world.nodes[NODE].data, drive.world.keys["data-old"] = "data-old", keys
    return drive, drive.world


@pytest.mark.parametrize("own", [2, 0])
def test_a_node_that_has_less_than_before_was_reset(own: int, tmp_path: Path) -> None:
    """Some releases may have keys of their own after a reset."""
    drive, world = _erased(tmp_path, 5)

    def write(_line: int) -> None:
        if world.of_kind("reset", NODE):
            world.keys[world.nodes[NODE].data] = own
            raise Killed

    drive.journal.before_write = write
    with pytest.raises(Killed):
        drive.start()
    drive.journal.before_write = lambda _line: None
    assert drive.resume() == 0 and whole(world) == []
    assert len(world.of_kind("reset", NODE)) == 1


def test_a_reset_that_a_person_wants_again_is_sent_again(tmp_path: Path) -> None:
    """What was answered to the first order is no answer to the second, before which the process died."""
    drive, world = _erased(tmp_path, 5)
    world.inject(Fault("unauthorized", NODE, f"reset:{NODE}", times=0, params={"command": "ksctl"}))
    assert drive.start() == ExitCode.FAILED and drive.stuck[0][0] == f"erase:{NODE}"
    world.faults.clear()
    world.nodes[NODE].data = "data-old"
    drive.decide(NODE, "retry")
    drive.hook = dies_at(f"erase:{NODE}")
    with pytest.raises(Killed):
        drive.resume()
    assert len(world.of_kind("reset", NODE)) == 1
    drive.hook = lambda *_seen: None
    assert drive.resume() == 0 and whole(world) == []
    assert len(world.of_kind("reset", NODE)) == 2


@pytest.mark.parametrize("kind", ["unauthorized", "drop"])
def test_an_order_that_did_not_arrive_is_sent_again(kind: str, tmp_path: Path) -> None:
    drive, world = _erased(tmp_path, 5)
    world.inject(Fault(kind, NODE, times=1, params={"command": "services reset"}))
    assert drive.start() == 0, drive.stuck
    assert whole(world) == [] and len(world.of_kind("reset", NODE)) == 1


@pytest.mark.parametrize("dies", [False, True], ids=["waits", "is killed"])
def test_an_order_that_was_answered_and_came_to_nothing_is_no_reset(dies: bool, tmp_path: Path) -> None:
    """An answer without an error proves nothing: the node may have lost its power before the delay was over."""
    drive, world = _erased(tmp_path, 5)
    params: dict[str, object] = {"command": "services reset", "out": '{"delay": 5}'}
    world.inject(Fault("reply", NODE, times=1, params=params))

    def hook(key: str, event: Event | None, _tick: Tick | None) -> None:
        if dies and key == f"erase:{NODE}" and isinstance(event, StepNoted):
            raise Killed

    drive.hook = hook
    if dies:
        with pytest.raises(Killed):
            drive.start()
    else:
        assert drive.start() == ExitCode.FAILED
    drive.hook = lambda *_seen: None
    assert drive.resume() == ExitCode.FAILED and "it was not reset" in drive.stuck[0][1].error
    assert not world.of_kind("reset", NODE) and "node retry" in drive.stuck[0][1].remedy
    drive.decide(NODE, "retry")
    assert drive.resume() == 0 and whole(world) == []
    assert len(world.of_kind("reset", NODE)) == 1


def test_a_reset_whose_answer_is_lost_again_and_again_is_for_a_person(tmp_path: Path) -> None:
    """A node with as many keys after it as before: it was new already, and has keys of its own."""
    drive, world = _erased(tmp_path, 5)
    world.nodes[NODE].says = {"ksctl keys list": '{"skip": 0, "limit": 1, "total": 2, "resources": []}'}
    world.inject(Fault("drop", NODE, times=0, params={"command": "services reset", "ran": True}))
    assert drive.start() == ExitCode.NEEDS_OPERATOR and "node done" in drive.stuck[0][1].remedy
    assert len(world.of_kind("reset", NODE)) == 2
    drive.decide(NODE, "done")
    assert drive.resume() == 0 and whole(world) == []
    assert len(world.of_kind("reset", NODE)) == 2


def test_a_wait_for_the_first_password_is_told_when_it_begins(tmp_path: Path) -> None:
    """With a short time-out nothing else would be told before it has failed."""
    drive, person = first_password(tmp_path)
    service = timedelta(seconds=60)
    drive.cluster = replace(drive.cluster, timeouts=replace(drive.cluster.timeouts, service=service))
    assert drive.start() == ExitCode.FAILED
    told = [
        number for number, (kind, text) in enumerate(person.said) if kind == "note" and "admin, admin" in text
    ]
    assert len(told) == 1, person.said
    refused = next(number for number, (_, text) in enumerate(person.said) if "login" in text)
    assert told[0] == refused and any(kind == "wait" for kind, _ in person.said[refused:])


def test_a_deletion_that_was_answered_is_not_sent_again(tmp_path: Path) -> None:
    """Each one brings back the minutes in which the node refuses logins."""
    options = Options(survivor="ctm-1")
    drive = Drive(make_world(2, defaults={"times": TIMES}), tmp_path, StrategyName.REBUILD, options, SETTINGS)
    step = "delete-cluster:ctm-2"

    def hook(key: str, event: Event | None, _tick: Tick | None) -> None:
        if key == step and isinstance(event, StepNoted):
            raise Killed

    drive.hook = hook
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda *_seen: None
    assert drive.resume() == 0, drive.stuck
    assert len([e for e in drive.world.changes() if e.node == NODE and "cluster delete" in e.detail]) == 1
