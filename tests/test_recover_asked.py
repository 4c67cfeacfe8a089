"""The question of ``recover`` before it erases, and that what is done is what was read."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmupgrade.commands import recover
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.runs import hold, place_of
from ctmupgrade.errors import ExitCode
from ctmupgrade.sim import Fault
from tests.support import broken, golden
from tests.support.live import PROGRAM, Live, clean_environ
from tests.support.terminal import Terminal, on_terminal

GoLive = Callable[..., Live]
QUESTION = "Take this way back now?"


def _argv(name: str, state: Path, *more: str) -> list[str]:
    return [
        str(PROGRAM),
        "recover",
        "--state-dir",
        str(state),
        "--simulate",
        str(broken.BROKEN / name),
        *more,
    ]


def test_the_question_is_seen_and_no_changes_nothing(tmp_path: Path) -> None:
    with on_terminal(_argv("unclustered-node", tmp_path / "s"), tmp_path, clean_environ(tmp_path)) as seen:
        asked = seen.until("[y/N]")
        assert QUESTION in asked
        assert "This ERASES ctm-3. It cannot be undone." in asked and "what is lost for good:" in asked
        seen.type("n\n")
        assert seen.ended() == 3
    assert not list(tmp_path.glob("s/*/*/journal.jsonl"))


def test_yes_at_the_terminal_takes_the_way_back(tmp_path: Path) -> None:
    with on_terminal(_argv("unclustered-node", tmp_path / "s"), tmp_path, clean_environ(tmp_path)) as seen:
        seen.until("[y/N]")
        seen.type("y\n")
        assert seen.ended() == 0, seen.shown
        assert "nothing is wrong" in seen.shown
    assert list(tmp_path.glob("s/*/*/journal.jsonl"))


@pytest.mark.parametrize("more", [["--dry-run"], ["--format", "json"]])
def test_who_only_looks_is_not_asked(more: list[str], tmp_path: Path) -> None:
    argv = _argv("unclustered-node", tmp_path / "s", *more)
    with on_terminal(argv, tmp_path, clean_environ(tmp_path)) as seen:
        assert seen.ended() == 3
        assert QUESTION not in seen.shown


def test_a_harmless_way_back_is_asked_for_too(tmp_path: Path) -> None:
    with on_terminal(_argv("keysecure-failed", tmp_path / "s"), tmp_path, clean_environ(tmp_path)) as seen:
        assert "ERASES" not in seen.until("[y/N]")
        seen.type("\n")
        assert seen.ended() == 3


def test_what_changed_between_the_question_and_the_act_is_not_done(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, read):
        world.inject(Fault("member_code", "ctm-2", params={"code": "d"}))
        with pytest.raises(recover.WayChangedError) as refused:
            recover.perform(made, RunOptions(), read, confirmed=True)
        assert refused.value.exit_code is ExitCode.BLOCKED and "ctm-2" in refused.value.details
        assert refused.value.now.plan.steps == ()
        assert not world.changes() and not list(tmp_path.glob("*/*/journal.jsonl"))


def test_what_is_still_the_same_is_done(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, read):
        world.clock.advance(600)
        outcome, after = recover.perform(made, RunOptions(), read, confirmed=True)
        assert outcome.code is ExitCode.DONE and after is not None and not after.diagnosis.wrong


def test_a_pin_of_another_reading_is_refused(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    code, _ = broken.ask(found, tmp_path, "--pin", "0123456789ab", "--yes")
    assert code == 3 and not list(tmp_path.glob("*/*/journal.jsonl"))
    pin = json.loads(broken.ask(found, tmp_path, "--format", "json")[1])["pin"]
    other = json.loads(broken.ask(found, tmp_path, "--survivor", "ctm-1", "--format", "json")[1])["pin"]
    assert len(pin) == len(other) == 12
    assert broken.ask(found, tmp_path, "--pin", pin, "--yes")[0] == 0


def test_what_a_refused_pin_means_is_told_in_whole_sentences(tmp_path: Path) -> None:
    """Behind ``--pin`` and a blank a word is taken for the PIN of an HSM, and hidden: also a word of ours."""
    argv = [*_argv("unclustered-node", tmp_path / "s"), "--pin", "hunter2hunter", "--yes"]
    environ = clean_environ(tmp_path)
    plain = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "no longer as it was when that ID was printed; nothing was changed" in plain.stderr
    assert "take that: each reading has an ID of its own (--pin)" in plain.stderr
    argv += ["--format", "json"]
    lines = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    refused = lines.stdout.partition("\n")[2]  # behind what is proposed now
    error = json.loads(refused)["error"]
    assert error["brief"] in plain.stderr and error["remedy"] in plain.stderr
    said = plain.stderr + refused
    assert "***" not in said and "hunter" not in said, "who mistakes it may have typed the PIN of an HSM"


def test_a_pin_matters_no_more_where_nothing_is_wrong(tmp_path: Path) -> None:
    common = ("--state-dir", str(tmp_path), "--simulate", str(golden.SCENARIOS / "healthy-three"))
    assert golden.call("recover", "--pin", "0123456789ab", "--yes", *common)[0] == 0


@pytest.mark.parametrize(
    "name", [n for n in broken.cases() if not broken.case(n).none and not broken.case(n).run]
)
def test_the_printed_command_works_as_printed(name: str, tmp_path: Path) -> None:
    """TRIAL A7b: it lacked --gone, --survivor and --rejoin, and where the cluster is."""
    found = broken.case(name)
    _, said = broken.ask(found, tmp_path, *found.way)
    (line,) = [text.strip() for text in said.splitlines() if " --pin " in text]
    program, *words = shlex.split(line)
    code, after = golden.call(*words)
    assert program == "ctmupgrade" and code in (0, 6), after
    assert "afterwards:" in after


def test_nothing_is_done_beside_a_run_that_works_now(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, _, read):
        assert read.plan.steps
        with hold(place_of(made), "20260110T210000-0000000"):
            assert broken.ask(found, tmp_path, "--yes")[0] == 8
            code, said = broken.ask(found, tmp_path)
            assert code == 6 and "a run works on this cluster now" in said
    assert not list(tmp_path.glob("*/*/journal.jsonl"))


def _answered(live: Live, seen: Terminal) -> int:
    seen.until("[y/N]")
    with live.fleet.lock:
        live.world.inject(Fault("member_code", "ctm-2", params={"code": "d"}))
    seen.type("y\n")
    return seen.ended()


def test_a_cluster_that_changed_while_a_person_read_is_told_again(go_live: GoLive) -> None:
    apart = [{"name": "ctm-1"}, {"name": "ctm-2"}, {"name": "ctm-3", "cluster": "", "data": "data-main"}]
    live = go_live(more={"nodes": apart})
    with on_terminal(live.argv("recover"), live.folder, live.environ) as seen:
        assert _answered(live, seen) == 6, seen.shown
        assert "has changed since" in seen.shown and "nothing was changed" in seen.shown
        assert seen.shown.count("what is wrong:") == 2
    assert not live.changes() and not live.journals()
