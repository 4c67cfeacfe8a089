"""Every fault at every step: what the run does, that it breaks no promise, and that it ends well once mended."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.commands.runs import hold
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.version import Version
from ctmupgrade.errors import ExitCode, LockedError
from ctmupgrade.sim import timeline
from tests.support import fault_expected, fault_table
from tests.support.fault_cases import (
    EVERYWHERE,
    IN_PLACE_STEPS,
    NODE,
    POINTED,
    REBUILD_STEPS,
    SETTINGS,
    Pointed,
    What,
)
from tests.support.fault_run import Story, decide, run_everywhere, run_pointed, story_of, usual, world_for
from tests.support.world_run import Drive, Killed, at_step

UNTRIED = {
    "reply",  # any text: the parsers' own tests
    "unreachable",
    "replication_behind",  # at each removal and gate: tests/test_appliance.py
}
SHOWN = ("drop", "silence", "half", "garbage", "error", "timeout_but_done", "unauthorized", "password_prompt")


def check_story(story: Story) -> None:
    """What must be true whatever the fault."""
    assert story.broken == [], story
    assert story.well, story
    assert set(story.codes) <= {0, 4, 5, 6}, story.codes
    for step, error, remedy in story.said:
        assert error, step
        assert "ctm-" in error or "ctm-" in step or not step.count(":"), (step, error)
        assert remedy, (step, error)
        assert "ctmupgrade" in remedy, (step, remedy)


def outcome_of(story: Story, strategy: StrategyName = StrategyName.IN_PLACE) -> str:
    """In the words of fault_expected."""
    if story.codes == [0]:
        return "0w" if story.late > usual(strategy) + 1 else "0"
    return " ".join([*(str(c) for c in story.codes[:-1]), *(d.split()[0] for d in story.decided)])


@pytest.mark.parametrize("step", IN_PLACE_STEPS)
@pytest.mark.parametrize("what", EVERYWHERE, ids=lambda w: w.name)
def test_everywhere(what: What, step: str, tmp_path: Path) -> None:
    story = run_everywhere(what, step, tmp_path)
    assert story.struck
    check_story(story)
    expected = fault_expected.EVERYWHERE[what.name].split()[IN_PLACE_STEPS.index(step)]
    assert outcome_of(story).split()[0] == expected, story


@pytest.mark.parametrize("case", POINTED, ids=lambda c: f"{c.strategy.value}-{c.step}-{c.what.name}")
def test_pointed(case: Pointed, tmp_path: Path) -> None:
    story = run_pointed(case, tmp_path)
    assert story.struck
    check_story(story)
    key = (case.strategy.value, case.step, case.what.name)
    assert outcome_of(story, case.strategy) == fault_expected.POINTED[key], story


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["start", "middle"])
@pytest.mark.parametrize("node", ["ctm-1", "ctm-2", "ctm-3"])
@pytest.mark.parametrize("step", IN_PLACE_STEPS)
@pytest.mark.parametrize("what", EVERYWHERE, ids=lambda w: w.name)
def test_everywhere_on_every_node(what: What, step: str, node: str, moment: str, tmp_path: Path) -> None:
    check_story(run_everywhere(what, step, tmp_path, node=node, moment=moment))


@pytest.mark.parametrize("step", REBUILD_STEPS)
@pytest.mark.parametrize("what", [w for w in EVERYWHERE if w.kind in SHOWN or w.for_s], ids=lambda w: w.name)
def test_everywhere_in_a_rebuild(what: What, step: str, tmp_path: Path) -> None:
    check_story(run_everywhere(what, step, tmp_path, strategy=StrategyName.REBUILD))


def test_every_kind_of_fault_is_tried() -> None:
    assert fault_table.untried() <= UNTRIED


def test_the_table_in_the_docs_is_this_one() -> None:
    assert fault_table.main(["--check"]) == 0


# -- faults outside the nodes ------------------------------------------------------------------------


def plain_run(folder: Path) -> tuple[int, list[str]]:
    """Number of journal lines of a run without faults, and its steps."""
    drive = Drive(world_for(), folder, settings=SETTINGS)
    assert drive.start() == 0
    return len(drive.journal.lines), [s.id for s in drive.state.plan.steps]


def test_full_journal(tmp_path: Path) -> None:
    """At any write: it pauses before the next change with exit 5, and resumes after space is made."""
    writes, _ = plain_run(tmp_path / "plain")
    for room in range(2, writes):
        drive = Drive(world_for(), tmp_path / str(room), settings=SETTINGS)
        drive.journal.room = room
        assert drive.start() == ExitCode.FAILED, room
        assert drive.error is not None
        assert "No space left" in drive.error.brief
        assert "resume" in drive.error.remedy
        sent = len(drive.world.changes())
        noted = len(drive.journal.lines)
        drive.world.clock.advance(600)
        timeline.catch_up(drive.world)
        assert (len(drive.world.changes()), len(drive.journal.lines)) == (sent, noted)
        drive.journal.room = -1
        story = Story([drive.resume()])
        assert story.codes == [0], (room, drive.stuck)
        assert fault_broken(drive) == []


def fault_broken(drive: Drive) -> list[str]:
    from tests.support.fault_run import broken_promises

    return broken_promises(drive)


def test_a_script_that_was_seen_and_left_no_log_is_never_started_again(tmp_path: Path) -> None:
    """The process that saw it running dies, and it ends meanwhile: whether it succeeded only a person can find out."""
    drive = Drive(world_for(), tmp_path, settings=SETTINGS)
    drive.world.inject(What("writes no log", "log_missing").fault("ctm-2"))

    def die(step: str, event: object, _tick: object) -> None:
        if (
            step == "upgrade:ctm-2"
            and isinstance(event, journal.StepNoted)
            and event.code is NoteCode.SCRIPT_RUNS
        ):
            raise Killed

    drive.hook = die
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None
    drive.world.clock.advance(3600)
    assert drive.resume() == 6, drive.stuck
    assert decide(drive) == ["done upgrade:ctm-2"]
    assert drive.resume() == 0, drive.stuck
    assert fault_broken(drive) == []


@pytest.mark.parametrize("skipped", ["ctm-1", "ctm-2", "ctm-3"])
def test_a_node_that_is_skipped_before_its_turn_breaks_no_chain(skipped: str, tmp_path: Path) -> None:
    """Its backup fails, it is skipped, and the nodes behind it still wait for those before it."""
    drive = Drive(world_for(), tmp_path, settings=SETTINGS)
    drive.world.inject(What("the backup fails", "backup_fails").fault(skipped))
    assert drive.start() == 5
    drive.decide(skipped, "skip")
    assert drive.resume() == 9, "one node is left behind"
    assert fault_broken(drive) == []
    others = [name for name in ("ctm-1", "ctm-2", "ctm-3") if name != skipped]
    spans = [
        (drive.state.steps[f"gate:{n}"].started, drive.state.steps[f"settle:{n}"].finished) for n in others
    ]
    assert spans[0][1] and spans[1][0] and spans[0][1] <= spans[1][0], spans


@pytest.mark.parametrize("step", IN_PLACE_STEPS[3:])
def test_two_members_away(step: str, tmp_path: Path) -> None:
    """A member goes down while another is away: nobody else is touched."""
    world = world_for()
    away = What("unreachable", "unreachable")
    moment = (
        "middle" if step == "upgrade" else "start"
    )  # at its very start the last gate has just been passed
    hook = at_step(world, f"{step}:{NODE}", away.fault("ctm-1"), away.fault("ctm-3"), moment=moment)
    story = story_of(Drive(world, tmp_path, settings=SETTINGS, hook=hook))
    check_story(story)
    assert story.codes == [4, 0], story
    started = [e.node for e in world.of_kind("upgrade_started")]
    assert started == ["ctm-1", "ctm-2", "ctm-3"]


@pytest.mark.parametrize("step", IN_PLACE_STEPS)
def test_suspended(step: str, tmp_path: Path) -> None:
    """The tool's host sleeps for ten minutes: its connections are gone, its clock has jumped."""
    world = world_for()
    slept: list[str] = []

    def hook(at: str, event: journal.Event | None, _tick: object) -> None:
        if not slept and at.startswith(step) and isinstance(event, journal.StepStarted):
            slept.append(at)
            world.clock.advance(600)
            timeline.hang_up(world)

    story = story_of(Drive(world, tmp_path, settings=SETTINGS, hook=hook))
    check_story(story)
    assert slept
    assert story.codes == [0], story


def test_the_guard_keeps_copies(tmp_path: Path) -> None:
    """Whatever the plan says: no join that would leave fewer holders of the data than were asked for."""
    options = Options(keep_copies=3)
    drive = Drive(world_for(), tmp_path, StrategyName.REBUILD, options, SETTINGS)
    assert drive.start() == ExitCode.BLOCKED
    assert drive.world.of_kind("data_erased") == []
    assert "at least 3 copies" in drive.state.paused


def test_a_success_line_of_another_version(tmp_path: Path) -> None:
    """The archive is not what cluster.yaml says: failed, and never rebooted."""
    world = world_for({"archive": {"version": "2.22.0+1"}})
    drive = Drive(world, tmp_path, settings=SETTINGS)
    target = Version.parse("2.21.0")
    drive.cluster = replace(drive.cluster, target=replace(drive.cluster.target, version=target))
    assert drive.start() == ExitCode.FAILED
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1"
    assert "2.22.0" in held.error
    assert "do not reboot" in held.remedy
    assert world.of_kind("reboot") == []


def test_second_run(tmp_path: Path) -> None:
    """Two operators on this machine: the second is told who is first."""
    with hold(tmp_path, "run-1"):
        began = time.monotonic()
        with pytest.raises(LockedError) as caught, hold(tmp_path, "run-2"):
            pass
        assert time.monotonic() - began < 30
    assert caught.value.exit_code == ExitCode.LOCKED
    assert "run-1" in f"{caught.value.brief} {caught.value.details}"


def test_the_archive_is_spoiled_after_the_plan(tmp_path: Path) -> None:
    """The plan's own verification has aged: it is made again, and nothing is sent where it fails."""
    world = world_for()
    drive = Drive(world, tmp_path, settings=SETTINGS)
    plan = drive.plan()
    world.archive.problem = "tampered"
    assert drive.start(plan) == ExitCode.BLOCKED
    assert world.changes() == []


def test_an_archive_that_was_spoiled_on_the_node_is_not_given_to_the_script(tmp_path: Path) -> None:
    """Its size is as before: its times are not, so that it is hashed again. Staged again, the run goes on."""
    world, spoiled = world_for(), What("spoiled", "corrupt_file")
    hook = at_step(world, f"gate:{NODE}", spoiled.fault(NODE))
    drive = Drive(world, tmp_path, settings=SETTINGS, hook=hook)
    assert drive.start() == ExitCode.FAILED
    [(step, held)] = drive.stuck
    assert step == f"upgrade:{NODE}"
    assert "not the one that was verified" in held.error
    assert "ctmupgrade stage" in held.remedy
    assert drive.resume() == ExitCode.FAILED  # a look that is not believed twice either
    assert world.of_kind("upgrade_started", NODE) == []
    [path] = [path for path in world.nodes[NODE].files if path.endswith(world.archive.name)]
    world.nodes[NODE].files[path] = world.nodes["ctm-3"].files[path]
    assert drive.resume() == 0


def test_a_member_falls_ill_right_after_the_gate(tmp_path: Path) -> None:
    """What the gate saw ages within a moment: it is looked at once more, right before the script."""
    world, ill = world_for(), What("ill", "services", {"state": "error"}, for_s=300)

    def hook(step: str, event: journal.Event | None, _tick: object) -> None:
        if step == f"gate:{NODE}" and isinstance(event, journal.StepDone):
            world.inject(ill.fault("ctm-3"))

    story = story_of(Drive(world, tmp_path, settings=SETTINGS, hook=hook))
    check_story(story)
    assert story.codes == [0]
    [healed] = [e.at for e in world.events if e.kind == "fault" and e.node == "ctm-3"]
    assert next(e.at for e in world.of_kind("upgrade_started", NODE)) >= healed + 300


def test_a_stale_report_is_no_report(tmp_path: Path) -> None:
    """A summary that says GOOD but is old proves nothing: the checks do not let it pass."""
    world = world_for()
    world.clock.advance(3600)
    setup = Drive(world, tmp_path, settings=SETTINGS).setup()
    text = setup.fleet.control("ctm-1").read("cluster", "summary").out
    old = text.replace("2026-01-10T22:00:00", "2026-01-10T21:20:00")
    assert old != text
    world.inject(What("old", "reply", {"command": "ksctl cluster summary", "out": old}, times=0).fault("*"))
    stops = [f for f in check.check(setup).findings if f.stops]
    assert {f.check for f in stops} >= {"replication_connected"}
    assert any("40 minutes old" in f.summary for f in stops)


def test_the_last_node_comes_back_old(tmp_path: Path) -> None:
    """No later gate would notice it: the node's own proof must."""
    world = world_for()
    world.inject(What("old", "upgrade_old_version").fault("ctm-3"))
    drive = Drive(world, tmp_path, settings=SETTINGS)
    assert drive.start() == ExitCode.FAILED
    assert [step for step, _ in drive.stuck] == ["await:ctm-3"]
