"""``escape.md``: the tool is killed anywhere, and somebody goes on with the commands in that file alone."""

from __future__ import annotations

import os
import random
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.commands.escape_file import ESCAPE, EscapeFile
from ctmupgrade.core.run.journal import Event, RunState, Status
from ctmupgrade.core.ticks import Tick
from ctmupgrade.render.by_hand import BACK_OUT, FINISH, by_hand_markdown
from ctmupgrade.render.runbook import runbook_markdown
from ctmupgrade.sim import timeline
from tests.hostile import corpus
from tests.support.driver import Moment, ScenarioDrive
from tests.support.golden import SCENARIOS, call
from tests.support.promises import check_promises
from tests.support.typing_person import Person, units
from tests.support.world_run import Killed

POLL = 30.0
CASES = {"healthy-three": 3, "rebuild-three": 4, "standalone": 2}  # so many moments each, in the fast form
OLD = "2.20.0"


class EscapingDrive(ScenarioDrive):
    """A scenario whose run keeps its escape.md, as the installed program does."""

    @property
    def file(self) -> Path:
        return self.folder / ESCAPE

    def _go(self) -> int:
        self.escape = EscapeFile(self.folder, lambda: self.cluster, "", durable=False)
        self.escape.write(self.state)
        return super()._go()

    def _watch(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        self.escape.after(state, event)
        super()._watch(state, event, key, tick)


@contextmanager
def driven(scenario: str, kill_at: int = 0) -> Iterator[EscapingDrive]:
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="escape-", dir=shm if shm.is_dir() else None))
    try:
        yield EscapingDrive(scenario, folder, poll=POLL, kill_at=kill_at)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def moments(scenario: str) -> list[Moment]:
    with driven(scenario) as calm:
        assert calm.start() == 0
        return list(calm.at.moments)


def killed(drive: EscapingDrive) -> str:
    """Run it into its death; what the file then says. "" where nothing was begun."""
    with pytest.raises(Killed):
        drive.start()
    timeline.hang_up(drive.world)
    return drive.file.read_text(encoding="utf-8") if drive.file.exists() else ""


def healthy(drive: EscapingDrive, version: str, names: set[str] | None = None) -> None:
    """All nodes, or those, are ready members of one cluster, on a version, with the data of before."""
    drive.world.clock.advance(900)
    timeline.catch_up(drive.world)
    nodes = [n for n in drive.world.nodes.values() if names is None or n.name in names]
    assert {n.version.partition("+")[0] for n in nodes} == {version}
    assert len({n.cluster for n in nodes}) == 1
    assert len({n.data for n in nodes}) == 1
    fleet = Person(drive.world, drive.cluster, drive.folder).fleet
    for node in nodes:
        assert '"status": "started"' in fleet.control(node.name).read("services", "status").out
        if len(nodes) > 1:
            listed = fleet.control(node.name).read("cluster", "nodes", "list").out
            assert listed.count('"code": "r"') == len(nodes), listed


def finish_by_hand(scenario: str, moment: Moment) -> None:
    with driven(scenario, moment.number) as drive:
        before = {node.data for node in drive.world.nodes.values()}
        page = killed(drive)
        if not page:
            return
        person = Person(drive.world, drive.cluster, drive.folder)
        person.follow(page, FINISH)
        healthy(drive, "2.21.0")
        assert {node.data for node in drive.world.nodes.values()} <= before
        wrong = check_promises(drive.world, changes_expected=True, in_place=scenario == "healthy-three")
        assert wrong == [], wrong


def chosen(scenario: str, count: int) -> list[Moment]:
    found = moments(scenario)
    return sorted(
        random.Random(f"escape {scenario}").sample(found, min(count, len(found))), key=lambda m: m.number
    )


@pytest.mark.parametrize("scenario", CASES)
def test_whoever_types_the_commands_ends_with_a_healthy_cluster(scenario: str) -> None:
    for moment in chosen(scenario, CASES[scenario]):
        finish_by_hand(scenario, moment)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [*CASES, "rebuild-two", "services-slow"])
def test_whoever_types_them_after_any_death_does(scenario: str) -> None:
    for moment in chosen(scenario, 150):
        finish_by_hand(scenario, moment)


@pytest.mark.parametrize("call", ["ctm-1: ksctl cluster fulljoin", "ctm-1: sudo -n /opt/keysecure"])
def test_what_happened_already_is_not_typed_again(call: str) -> None:
    """Right after the call had reached its node."""
    finish_by_hand("rebuild-three", of_step(call)[1])


@pytest.mark.parametrize("scenario", CASES)
def test_the_runbook_is_followed_to_the_end(scenario: str) -> None:
    """By somebody who has nothing but it."""
    with driven(scenario) as drive:
        result, plan = check.plan(drive.setup())
        data = {node.data for node in drive.world.nodes.values()}
        page = runbook_markdown(plan, drive.cluster, result.facts, result.findings)
        Person(drive.world, drive.cluster, drive.folder).follow(page, "Steps")
        healthy(drive, "2.21.0")
        assert {node.data for node in drive.world.nodes.values()} <= data
        assert check_promises(drive.world, changes_expected=True, in_place=scenario == "healthy-three") == []


# -- the way back ------------------------------------------------------------------------------------------------


def back_by_hand(moment: Moment, untouched: set[str] | None) -> None:
    """A rebuild is backed out of: all nodes that still hold the old version are one healthy cluster of it again.

    :param untouched: those; None: all three."""
    with driven("rebuild-three", moment.number) as drive:
        page = killed(drive)
        data = dict.fromkeys(node.data for node in drive.world.nodes.values())
        Person(drive.world, drive.cluster, drive.folder).follow(page, BACK_OUT)
        healthy(drive, OLD, untouched)
        names = untouched or set(drive.world.nodes)
        assert {drive.world.nodes[name].data for name in names} <= set(data)


def of_step(word: str) -> list[Moment]:
    return [moment for moment in moments("rebuild-three") if word in moment.what]


@pytest.mark.parametrize(
    ("call", "when", "untouched"),
    [
        ("ctm-1: ksctl cluster nodes delete", 0, None),
        ("ctm-1: ksctl cluster nodes delete", -1, None),
        ("ctm-3: ksctl cluster delete", -1, None),
        ("ctm-1: sudo -n /opt/keysecure/ks_upgrade.sh", -1, {"ctm-2", "ctm-3"}),
        ("await:ctm-1", 0, {"ctm-2", "ctm-3"}),
    ],
)
def test_a_rebuild_is_backed_out_of(call: str, when: int, untouched: set[str] | None) -> None:
    back_by_hand(of_step(call)[when], untouched)


# -- the file ----------------------------------------------------------------------------------------------------


def test_the_program_keeps_it_private_and_up_to_date(tmp_path: Path) -> None:
    place = ["--simulate", str(SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path / "s")]
    assert call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    (file,) = (tmp_path / "s").glob("*/*/escape.md")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    headings = [heading.split()[1] for heading, _ in units(text, FINISH) if heading]
    assert headings[:3] == ["verify-archive", "gate:ctm-2", "upgrade:ctm-2"], (
        "what was seen of the others ages"
    )
    assert "ctm-1 is on 2.21.0" in text and "It cannot be undone" in text
    assert (
        f"ctmupgrade resume {file.parent.name} --simulate {SCENARIOS / 'healthy-three'} --state-dir {tmp_path / 's'}"
        in text
    )
    assert call("resume", *place)[0] == 0
    assert "Nothing is left to do" in file.read_text(encoding="utf-8")
    assert call("run", "--dry-run", *place)[0] == 0
    assert len(list((tmp_path / "s").glob("*/*/escape.md"))) == 1, "a dry run leaves nothing to escape from"


def test_one_that_cannot_be_written_does_not_stay_and_stops_nothing(tmp_path: Path) -> None:
    drive = EscapingDrive("healthy-three", tmp_path, poll=POLL)
    (tmp_path / ESCAPE).symlink_to(tmp_path / "of somebody else")
    assert drive.start() == 0
    assert not (tmp_path / "of somebody else").exists() and not drive.file.is_symlink()
    assert "Nothing is left to do" in drive.file.read_text(encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # bytes: as a full disk
    try:
        drive.escape.write(drive.state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not drive.file.exists() and not list(tmp_path.glob(f".{ESCAPE}.*"))


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    drive = EscapingDrive("healthy-three", tmp_path, poll=POLL)
    os.mkfifo(drive.file)
    assert drive.start() == 0
    assert drive.file.is_file() and "Nothing is left to do" in drive.file.read_text(encoding="utf-8")


def test_what_a_node_said_of_a_failure_is_shown_as_data(tmp_path: Path) -> None:
    drive = EscapingDrive("standalone", tmp_path, poll=POLL)
    drive.start()
    state, step = drive.state, "upgrade:ctm-1"
    for name in ("fence", "new lines", "many backticks", "escape: erases a line"):
        held = replace(state.steps[step], status=Status.FAILED, error=corpus.TEXTS[name])
        page = by_hand_markdown(replace(state, steps={**state.steps, step: held}), drive.cluster)
        assert corpus.forged_lines(page) == [] and corpus.harmful(page) == []
        assert corpus.shape(page)
        assert "curl" not in "".join("".join(b.lines) for _, found in units(page, FINISH) for b in found)
