"""``resume`` and ``handover`` where cluster.yaml is not: the journal knows the run, and where its file is."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.desk import SCENARIOS, Desk

DEAD = "node-never-comes-back"
COMMANDS = {"resume": ("resume",), "handover": ("handover", "packed.ctm")}


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk without cluster.yaml, with a run that is not over."""
    desk = Desk(tmp_path_factory.mktemp("elsewhere"))
    assert desk.type("run", "--yes", scenario=DEAD).returncode == 4
    return desk


def live_journal(desk: Desk, file: Path, to: Path) -> Path:
    """The same run as a live one, whose cluster.yaml was at that place."""
    made = to / "state"
    shutil.copytree(desk.state, made)
    journal = next(made.glob("*/*/journal.jsonl"))
    lines = journal.read_text().splitlines(keepends=True)
    place = f'"simulate":"{SCENARIOS / DEAD}"'
    assert place in lines[0], lines[0][-600:]
    lines[0] = lines[0].replace(place, f'"cluster":"{file}"').replace('"SIMULATED"', '"LIVE"')
    journal.write_text(lines[0])  # the rest would not fit the changed line
    return made


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_remedy_names_the_file_that_the_journal_knows(
    stuck: Desk, words: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "site a" / "prod.yaml"
    file.parent.mkdir()
    file.write_text("")
    state = live_journal(stuck, file, tmp_path)
    run = stuck.journal.parent.name
    for named in ((run,), (run[:-2],), ("latest",), ()):
        said = stuck.type(*words, *named, "--state-dir", str(state))
        assert said.returncode == 2, said.stdout + said.stderr
        assert "cluster.yaml: there is no such file" in said.stderr
        (remedy,) = (line for line in said.stderr.splitlines() if "->" in line)
        assert remedy.startswith(f"  -> ctmupgrade {words[0]} ") and run in remedy
        assert f"-c {shlex.quote(str(file))} --state-dir {state}" in remedy
        assert "init" not in said.stderr


def test_a_file_that_the_journal_names_and_that_is_gone_is_not_named_as_the_remedy(
    stuck: Desk, tmp_path: Path
) -> None:
    gone = tmp_path / "prod.yaml"
    state = live_journal(stuck, gone, tmp_path)
    run = stuck.journal.parent.name
    for place in ((), ("-c", str(gone))):
        said = stuck.type("resume", run, "--state-dir", str(state), *place)
        assert said.returncode == 2
        assert f"-> put {gone} back, or name the file with -c FILE" in said.stderr, said.stderr


def test_a_simulated_run_is_resumed_with_its_fixture(stuck: Desk) -> None:
    said = stuck.type("resume", "latest")
    assert said.returncode == 2
    assert f"--simulate {SCENARIOS / DEAD}" in said.stderr, said.stderr


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_an_unknown_run_is_told_with_the_known_ones(stuck: Desk, words: tuple[str, ...]) -> None:
    said = stuck.type(*words, "xx")
    assert said.returncode == 2
    assert 'no run "xx"' in said.stderr and stuck.journal.parent.name in said.stderr, said.stderr


def test_where_nothing_is_known_the_file_is_what_lacks(tmp_path: Path) -> None:
    said = Desk(tmp_path).type("resume")
    assert said.returncode == 2
    assert "cluster.yaml: there is no such file" in said.stderr and "ctmupgrade init" in said.stderr


def test_a_run_that_has_ended_is_not_to_be_resumed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.type("run", "--yes", scenario="healthy-three").returncode == 0
    said = desk.type("resume", desk.journal.parent.name)
    assert said.returncode == 2
    assert "has ended (done); there is nothing to resume" in said.stderr, said.stderr


def test_the_journal_of_an_earlier_version_does_not_tell_where_its_file_is(
    stuck: Desk, tmp_path: Path
) -> None:
    state = live_journal(stuck, tmp_path / "prod.yaml", tmp_path)
    journal = next(state.glob("*/*/journal.jsonl"))
    journal.write_text(journal.read_text().replace(f'"cluster":"{tmp_path / "prod.yaml"}"', ""))
    said = stuck.type("resume", "--state-dir", str(state))
    assert said.returncode == 2 and "-> name the run's file with -c FILE" in said.stderr, said.stderr
    for words in (("status",), ("pause",), ("report",)):
        told = stuck.type(*words, "--state-dir", str(state))
        assert told.returncode == 0, told.stdout + told.stderr
        assert "ctmupgrade" in told.stdout and " -c " not in told.stdout
