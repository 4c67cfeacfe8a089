"""What ``recover`` prints: marks, commands on lines of their own, and lines that fit the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctmupgrade.cli.given import Common
from ctmupgrade.cli.place import place_words
from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.option_words import given_words
from ctmupgrade.render.folding import folded
from tests.support import broken


@pytest.mark.parametrize("name", broken.cases())
def test_every_case_is_understood_at_once(name: str) -> None:
    """TRIAL section 5: one headline, minutes, losses, marks, commands on their own lines, what happens if left."""
    kept = (broken.BROKEN / name / "expected.txt").read_text(encoding="utf-8")
    for said in kept.split("$ ctmupgrade recover")[1:]:
        first, _, headline, *lines = said.splitlines()
        assert headline.count("; ") >= 2
        assert "served by" in headline or "no node is known to serve" in headline
        assert "if nothing is done until morning:" in lines
        has_way = any(line.startswith("the way back, ") and ", about " in line for line in lines)
        assert has_way == first.endswith("exit 3")
        assert has_way == ("to take it:" in lines) == ("what is lost for good:" in lines)
        for line in lines:
            if "ctmupgrade " in line:
                assert line.startswith("      ctmupgrade "), "a command has a line of its own"
            assert ("ERASES" in line) == (". reset:" in line), line


@pytest.mark.parametrize("name", broken.cases())
def test_what_a_person_must_decide_names_no_run_that_does_not_exist(name: str, tmp_path: Path) -> None:
    found = broken.case(name)
    broken.prepare(found, tmp_path)
    runs = {path.parent.name for path in tmp_path.glob("*/*/journal.jsonl")}
    _, said = broken.ask(found, tmp_path, "--format", "json")
    for action in json.loads(said)["actions"]:
        for command in action["commands"]:
            words = command.split()
            if words[:2] == ["ctmupgrade", "resume"] or words[:3] == ["ctmupgrade", "node", "retry"]:
                assert words[3 if words[1] == "node" else 2] in runs
            assert "RUN" not in words and "NODE" not in words


def test_lines_fit_the_terminal_and_commands_stay_whole() -> None:
    command = "      ctmupgrade recover --gone ctm-3 --pin 0123456789ab --yes --state-dir /somewhere/else"
    lines = folded(["  - " + "word " * 40, command, "short"], 40)
    assert all(len(line) <= 40 for line in lines if line != command) and command in lines
    assert lines[0].startswith("  - word") and lines[1].startswith("    word") and lines[-1] == "short"


def test_options_are_printed_as_they_are_typed() -> None:
    assert given_words(Options(survivor="ctm-1")) == ""
    given = Options(
        skips=(("ntp_synchronised", "it's CHG 1"),), hold_back="ctm-2", order=("ctm-2", "ctm-1"), keep_copies=2,
        shared_hsm_partition=True,
    )  # fmt: skip
    assert given_words(given) == (
        " --order ctm-2,ctm-1 --skip 'ntp_synchronised=it'\"'\"'s CHG 1' --keep-copies 2 --hold-back ctm-2"
        " --shared-hsm-partition"
    )


def test_where_the_files_are_is_printed_only_where_it_is_needed() -> None:
    assert place_words(Common(cluster=Path("cluster.yaml"))) == ""
    assert (
        place_words(Common(cluster=Path("a b.yaml"), state_dir=Path("/s"))) == " -c 'a b.yaml' --state-dir /s"
    )
