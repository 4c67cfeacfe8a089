"""``kill -9`` between a run's first line and its marks on the nodes: ``resume`` goes on, and believes no forged journal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.journal_file import verify_chain
from ctmupgrade.adapters.disk.run_store import FileRuns, RunFolder
from ctmupgrade.commands import recover
from ctmupgrade.commands import restore as restoring
from ctmupgrade.commands import run as running
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.journal import StepDone, StepStarted
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.operator_input import OperatorInput
from ctmupgrade.errors import BlockedError, LockedError
from ctmupgrade.sim import Fault, World, timeline
from tests.support.forging import forge_first
from tests.support.killing import Fuse, ShellOrderFleet
from tests.support.live import Live
from tests.support.lost_cluster import living, lose
from tests.support.world_run import Killed, make_world
from tests.test_handover import Machine

EACH_MARK = "mkdir .ctmupgrade-run"  # the mark, its name and the journal's head: three a node
UPGRADED = {"version": "2.21.0+15451", "data": "data-main"}
NODES: list[dict[str, Any]] = [{"name": f"ctm-{n}", "cluster": "A", **UPGRADED} for n in (1, 2, 3)]
REJOIN = OperatorInput(rejoin=("ctm-2", "ctm-3"), survivor="ctm-1")


@dataclass
class Here(Machine):
    """A machine whose process dies at one of its orders to mark a node."""

    fuse: Fuse = field(default_factory=Fuse)
    strategy: StrategyName = StrategyName.IN_PLACE

    def setup(self, **more: Any) -> Setup:
        made = super().setup(**more)
        made.cluster = replace(made.cluster, strategy=self.strategy)
        tools = replace(made.tools, fleet=ShellOrderFleet(self.world, EACH_MARK, self.fuse))
        return Setup(made.request, made.cluster, tools)

    def recover(self, known: OperatorInput, options: Options | None = None) -> running.Outcome:
        """``recover --yes``."""
        made = self.setup(options=replace(options or Options(), survivor=known.survivor))
        return recover.perform(made, RunOptions(), recover.look(made, known))[0]

    def dies(self, at: int, begin: Callable[[], object]) -> None:
        """Begin, and be killed at an order to mark a node; the next process is whole."""
        self.fuse = Fuse(at)
        with pytest.raises(Killed):
            begin()
        self.fuse = Fuse()

    @property
    def changes(self) -> list[str]:
        """What was changed on nodes but for the marks."""
        return [e.detail for e in self.world.of_kind("change") if ".ctmupgrade-run" not in e.detail]

    @property
    def newest(self) -> Path:
        """The newest journal."""
        return sorted(self.folder.glob("state/*/*/journal.jsonl"))[-1]


def _world(nodes: list[dict[str, Any]] | None = None, **keys: int) -> World:
    return make_world(nodes=nodes or NODES, keys={"data-main": 100, **keys})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    return Here(_world(), tmp_path / "here")


def _one_is_lost(world: World) -> None:
    world.inject(Fault("reboot_never_ends", "ctm-3"), Fault("power_loss", "ctm-3"))


# Three orders a node: its mark, its name, the head. Behind the last mark, before the first head; and between the heads.
@pytest.mark.parametrize("at", range(1, 9))
def test_a_recovery_goes_on_wherever_its_marks_were_cut_off(at: int, here: Here) -> None:
    here.dies(at, lambda: here.recover(REJOIN))
    assert not here.changes
    ended = here.resume()
    assert ended.code == 0 and ended.state is not None and ended.state.outcome == "done"
    assert verify_chain(here.newest) == []
    assert {n.cluster for n in here.world.nodes.values()} == {"A"}
    assert [len(here.world.of_kind("join_started", name)) for name in here.world.nodes] == [0, 1, 1]
    assert not [f for n in here.world.nodes.values() for f in n.folders if ".ctmupgrade-run" in f]


@pytest.mark.parametrize("at", [1, 3, 5])
def test_the_removal_of_a_lost_node_goes_on(at: int, here: Here) -> None:
    _one_is_lost(here.world)
    lost = OperatorInput(gone=("ctm-3",))
    here.dies(at, lambda: here.recover(lost))
    ended = here.resume()
    assert ended.code == 0 and ended.state is not None and ended.state.outcome == "done"
    assert here.world.of_kind("node_removed", "ctm-3")
    assert not here.world.of_kind("node_removed", "ctm-2")


def test_it_may_be_killed_before_its_marks_again_and_again(here: Here) -> None:
    here.dies(1, lambda: here.recover(REJOIN))
    for at in (1, 2, 4, 6, 7):
        here.dies(at, here.resume)
    assert here.resume().code == 0
    assert [len(here.world.of_kind("join_started", name)) for name in here.world.nodes] == [0, 1, 1]


def test_the_heads_are_kept_before_a_step_begins(here: Here) -> None:
    """From then on a node vouches: what was begun cannot be planned again."""

    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted):
            raise Killed

    here.dies(1, lambda: here.recover(REJOIN))
    here.dies(-1, lambda: resume(here.setup(), RunOptions(watch=watch), None))
    assert not here.changes
    assert here.resume().code == 0


@pytest.mark.parametrize("at", [1, 3, 7, 8])
def test_the_run_that_it_replaces_is_ended_by_its_resume(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its marks are on the nodes, and are in nobody's way."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    here = Here(make_world(3), tmp_path / "here")
    here.run_until("upgrade:ctm-2")
    stopped = here.newest.parent.name
    here.world.clock.advance(3000.0)
    here.world.nodes["ctm-3"].cluster = ""
    here.dies(at, lambda: here.recover(OperatorInput()))
    assert here.newest.parent.name != stopped
    ended = here.resume()
    assert ended.state is not None and ended.code in (0, 9), ended
    outcomes = {
        file.parent.name: RunFolder(file.parent).state().outcome
        for file in here.folder.glob("state/*/*/journal.jsonl")
    }
    assert outcomes == {stopped: "taken-over", here.newest.parent.name: ended.state.outcome}


def test_a_resume_ends_no_other_run_than_the_one_that_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rehearsals several may wait."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    here = Here(make_world(3), tmp_path / "here")
    here.run_until("upgrade:ctm-2")
    other = here.newest.parent.with_name("20200101T000000-0000000")
    shutil.copytree(here.newest.parent, other)
    here.world.clock.advance(3000.0)
    here.world.nodes["ctm-3"].cluster = ""

    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted):
            raise Killed

    made = here.setup()
    here.dies(-1, lambda: recover.perform(made, RunOptions(watch=watch), recover.look(made, OperatorInput())))
    assert here.resume().state is not None
    assert not RunFolder(other).state().outcome


# -- what no node vouches for ---------------------------------------------------------------------------------------


def _rejoins_another(event: dict[str, Any]) -> None:
    """The plan is that of --rejoin ctm-2 alone, as another operator's may be."""
    event["plan"]["steps"] = [s for s in event["plan"]["steps"] if s["node"] != "ctm-3"]


def _gives_up(event: dict[str, Any]) -> None:
    event["plan"]["given_up"] = ["ctm-2"]


def _has_no_backup(event: dict[str, Any]) -> None:
    event["plan"]["without_data"] = ["ctm-1", "ctm-2", "ctm-3"]


@pytest.mark.parametrize("forge", [_rejoins_another, _gives_up, _has_no_backup])
def test_a_forged_recovery_that_never_began_does_nothing(
    forge: Callable[[dict[str, Any]], None], here: Here
) -> None:
    here.dies(1, lambda: here.recover(REJOIN))
    forge_first(here.newest, forge)
    assert verify_chain(here.newest) == []
    with pytest.raises(BlockedError) as refused:
        here.resume()
    assert "ctmupgrade recover --rejoin ctm-2,ctm-3 --survivor ctm-1 " in refused.value.remedy
    assert not here.world.of_kind("change")


def test_a_forged_recovery_that_says_a_step_was_done_does_nothing(here: Here) -> None:
    here.dies(1, lambda: here.recover(REJOIN))
    made, folder = here.setup(), here.newest.parent
    first = json.loads(here.newest.read_text().splitlines()[0])["event"]["plan"]["steps"][0]["id"]
    with FileRuns(folder.parent).opened(folder.name) as record:
        record.append(StepDone(first, {}), made.clock.now())
    with pytest.raises(BlockedError, match="nothing vouches"):
        here.resume()
    assert not here.world.of_kind("change")


def test_words_in_a_forged_journal_are_no_command_of_its_own(here: Here) -> None:
    here.dies(1, lambda: here.recover(REJOIN))

    def forge(event: dict[str, Any]) -> None:
        event["surroundings"]["known"]["gone"] = ["x;reboot"]

    forge_first(here.newest, forge)
    with pytest.raises(BlockedError, match="x;reboot") as refused:
        here.resume()
    assert "--gone 'x;reboot'" in refused.value.remedy


def test_a_way_back_that_changed_is_refused_with_a_command_that_takes_it(here: Here) -> None:
    here.dies(1, lambda: here.recover(REJOIN))
    stopped = here.newest.parent.name
    here.world.nodes["ctm-3"].cluster = ""
    with pytest.raises(BlockedError, match=r"is another one: .*ctm-3: cluster id") as refused:
        here.resume()
    assert refused.value.remedy.startswith("ctmupgrade recover --rejoin ctm-2,ctm-3 --survivor ctm-1   #")
    assert here.recover(REJOIN).code == 0
    assert RunFolder(here.newest.parent.with_name(stopped)).state().outcome == "taken-over"


def test_what_only_a_person_gives_up_is_given_up_by_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ctm-2 has keys that no other node has: the operator named both nodes, and must do so again."""
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    nodes = [NODES[0], {**NODES[1], "cluster": "", "data": "data-old"}, {**NODES[2]}]
    here = Here(_world(nodes, **{"data-main": 10, "data-old": 100}), tmp_path / "here")
    known = OperatorInput(rejoin=("ctm-2",), survivor="ctm-1")
    here.dies(1, lambda: here.recover(known))
    with pytest.raises(BlockedError, match="it erases ctm-2"):
        here.resume()
    assert not here.changes
    assert here.recover(known).code == 0


def test_another_operators_mark_is_left_where_it_is(here: Here) -> None:
    here.dies(1, lambda: here.recover(REJOIN))
    other = Here(here.world, here.folder.with_name("other"))
    other.dies(3, lambda: other.recover(REJOIN))
    theirs = other.newest.parent.name
    with pytest.raises(LockedError) as held:
        here.resume()
    assert f"--survivor ctm-1 --yes --take-over {theirs}" in held.value.remedy


# -- other kinds of runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 3, 5, 7, 8])
@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.REBUILD])
def test_an_upgrade_goes_on_wherever_its_marks_were_cut_off(
    at: int, strategy: StrategyName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    here = Here(make_world(3), tmp_path / "here", strategy=strategy)
    here.dies(at, lambda: running.run(here.setup(), RunOptions()))
    assert not here.changes
    assert here.resume().code == 0
    assert [len(here.world.of_kind("upgrade_started", name)) for name in here.world.nodes] == [1, 1, 1]


@pytest.mark.parametrize("at", [1, 3, 7, 8])
def test_a_restore_goes_on_and_ends_the_run_that_it_replaces(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")
    here = Here(living(3, sealed=False), tmp_path / "here")
    here.run_until("upgrade:ctm-1")
    stopped = here.newest.parent
    here.world.clock.advance(36_000.0)
    timeline.catch_up(here.world)
    lose(here.world)
    for node in here.world.nodes.values():
        node.version = "2.20.0+10000"
    here.dies(at, lambda: restoring.restore(here.setup(), RunOptions(), restoring.RestoreRequest()))
    ended = here.resume()
    assert ended.code == 0 and ended.state is not None and kind_of(ended.state) is RunKind.RESTORE
    assert RunFolder(stopped).state().outcome == "taken-over"


# -- the installed program, over SSH ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_program_goes_on_after_a_kill_at_its_first_line(go_live: Callable[..., Live]) -> None:
    live = go_live(more={"nodes": NODES}, times={"join_s": 10.0, "removed_s": 1.0})
    words = ("recover", "--rejoin", "ctm-2,ctm-3", "--survivor", "ctm-1", "--yes")
    killed = live.start(*words)
    live.until(killed, lambda _world: live.events(), "the first line of its journal")
    live.kill(killed)
    assert [event["kind"] for event in live.events()] == ["run-started"]
    resumed = live.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert [len(live.kinds("join_started", name)) for name in ("ctm-1", "ctm-2", "ctm-3")] == [0, 1, 1]
