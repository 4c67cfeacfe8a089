"""The command line as schedulers and runbooks see it: exit codes, streams, JSON. Always the installed program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.desk import REPORT, SCENARIOS, Desk, has, is_report
from tests.support.live import Live


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- documents ---------------------------------------------------------------------------------------------------


def test_check_document(desk: Desk) -> None:
    document = desk.ok("check", scenario="healthy-three")
    has(document, "cluster", "verdict", "findings", "nodes")
    assert document["verdict"] in ("pass", "warn", "manual")
    for finding in document["findings"]:
        has(finding, "check", "verdict", "node", "summary", "remedy", "doc")
        assert finding["verdict"] in ("pass", "warn", "manual", "block", "unknown", "skipped")
    for node in document["nodes"]:
        has(node, "name", "reachable", "version", "model")
    assert [n["reachable"] for n in document["nodes"]] == [True] * 3
    assert not desk.state.exists(), "a check leaves nothing"


@pytest.mark.parametrize(("scenario", "code"), [("low-disk", 3), ("one-node-down", 4), ("wrong-signer", 3)])
def test_check_that_stops(desk: Desk, scenario: str, code: int) -> None:
    document = desk.ok("check", scenario=scenario, code=code)
    assert document["verdict"] in ("block", "unknown")
    stops = [f for f in document["findings"] if f["verdict"] in ("block", "unknown")]
    assert stops
    assert all(f["remedy"] for f in stops)


def test_plan_document(desk: Desk) -> None:
    document = desk.ok("plan", scenario="healthy-three")
    has(document, "id", "cluster", "strategy", "target", "steps")
    has(document["target"], "version", "archive", "sha256", "signer")
    seen: set[str] = set()
    for step in document["steps"]:
        has(step, "id", "node", "action", "why", "after", "estimate_s")
        assert set(step["after"]) <= seen
        seen.add(step["id"])


def test_verify_document(desk: Desk) -> None:
    document = desk.ok("verify", "x_v2.21.0.gpg", scenario="healthy-three")
    has(document, "archive", "size", "sha256", "signer", "version")
    assert document["version"] == "2.21.0"
    assert desk.type("verify", "x.gpg", scenario="wrong-signer").returncode == 3


def test_recover_document(desk: Desk) -> None:
    document = desk.ok("recover", scenario="one-node-down", code=6)
    has(document, "cluster", "mode", "wrong", "works", "advice", "steps")
    assert any("ctm-3" in text for text in document["wrong"])
    assert desk.ok("recover", scenario="healthy-three")["wrong"] == []


def test_runbook_document(desk: Desk) -> None:
    document = desk.ok("runbook", scenario="healthy-three")
    assert "ks_upgrade.sh" in document["markdown"]


def test_a_run_in_lines(desk: Desk) -> None:
    """One object a line, the last the report; prose elsewhere."""
    said = desk.type("run", "--format", "json", scenario="healthy-three")
    assert said.returncode == 0
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert all(line["schema"] == 1 for line in lines)
    assert lines[0]["event"]["kind"] == "run-started"
    is_report(lines[-1])
    assert (lines[-1]["outcome"], lines[-1]["mode"]) == ("done", "SIMULATED")
    assert said.stderr.startswith("SIMULATED: healthy-three")
    for words in (["status"], ["report"]):
        document = desk.ok(*words)
        is_report(document)
        assert [n["state"] for n in document["nodes"]] == ["done"] * 3
    seen = desk.type("watch", "--format", "json")
    is_report(json.loads(seen.stdout.splitlines()[-1]))


def test_a_blocked_run_ends_with_a_document_too(desk: Desk) -> None:
    said = desk.type("run", "--format", "json", scenario="low-disk")
    assert said.returncode == 3
    last = json.loads(said.stdout.splitlines()[-1])
    has(last, *REPORT, "findings")
    assert not list(desk.state.glob("*/*/journal.jsonl")), "nothing began"


# -- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--no-such"], ["--no-such", "check"], ["chekc"], ["check", "--format", "xml"], ["run", "--parallel", "x"],
        ["node", "mend", "r", "n"], ["node", "retry", "r", "n"], ["check", "one-too-many"], ["verify"], [],
        ["check", "--strategy", "sideways"], ["check", "--only", "no_such_check"], ["check", "--skip", "no_such=x"],
        ["check", "--skip", "clocks_agree"], ["check", "--skip", "clocks_agree="],
        ["check", "--skip", "archive_signature_good=x"], ["run", "--skip", "archive_signature_good=x"],
        ["run", "--order", "ctm-1,nobody,ctm-3"], ["run", "--nodes", "nobody"], ["resume"], ["resume", "no-such-run"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_words_are_refused(desk: Desk, words: list[str]) -> None:
    scenario = "healthy-three" if words and words[0] in ("check", "run", "resume", "verify") else ""
    said = desk.type(*words, scenario=scenario)
    assert said.returncode == 2, said.stdout + said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr.startswith("ctmupgrade: ") or words == [] or "SIMULATED" in said.stderr
    assert not list(desk.state.glob("*/*/journal.jsonl"))


def test_near_misses_get_a_hint(desk: Desk) -> None:
    assert "did you mean check?" in desk.type("chekc").stderr


def test_nothing_to_resume_says_so(desk: Desk) -> None:
    assert "nothing to resume" in desk.type("resume", scenario="healthy-three").stderr
    assert "no run yet" in desk.type("status").stderr


def test_common_options_stand_anywhere(desk: Desk) -> None:
    place = str(SCENARIOS / "healthy-three")
    for words in (
        ["--format", "json", "--simulate", place, "check"],
        ["check", "--simulate", place, "--format", "json"],
    ):
        said = desk.type(*words)
        assert json.loads(said.stdout)["cluster"] == "healthy-three", said.stderr


def test_dry_run_wins(desk: Desk) -> None:
    said = desk.type("run", "--yes", "--dry-run", scenario="healthy-three")
    assert said.returncode == 0
    assert said.stdout.startswith("DRY-RUN: healthy-three")
    document = desk.ok("report")
    assert (document["mode"], document["outcome"]) == ("DRY-RUN", "dry-run")
    assert {s["status"] for s in document["steps"]} == {"pending"}
    assert {n["version_after"] for n in document["nodes"]} == {"2.20.0+15016"}


def test_the_environment_names_file_and_folder(desk: Desk) -> None:
    said = desk.type("check", CTMUPGRADE_CLUSTER=str(desk.folder / "elsewhere.yaml"))
    assert (said.returncode, "elsewhere.yaml: there is no such file" in said.stderr) == (2, True)
    said = desk.type("check", "-c", "given.yaml", CTMUPGRADE_CLUSTER="elsewhere.yaml")
    assert "given.yaml" in said.stderr
    other = desk.folder / "other"
    desk.type("run", "--state-dir", str(other), scenario="healthy-three")
    assert list(other.glob("healthy-three/*/journal.jsonl"))
    assert not desk.state.exists(), "the option wins over the environment"


def test_checks_are_listed_picked_and_skipped(desk: Desk) -> None:
    listed = desk.ok("check", "--list")["checks"]
    assert {"free_space_sufficient", "archive_signature_good"} <= {c["id"] for c in listed}
    assert not next(c for c in listed if c["id"] == "archive_signature_good")["waivable"]
    assert "archive_signature_good" in desk.type("check", "--list").stdout
    document = desk.ok("check", "--only", "clocks_agree", scenario="low-disk")
    assert {f["check"] for f in document["findings"]} == {"clocks_agree"}
    document = desk.ok("check", "--only", "clocks_agree", "--only", "versions_equal", scenario="low-disk")
    assert {f["check"] for f in document["findings"]} == {"clocks_agree", "versions_equal"}
    document = desk.ok("check", "--skip", "ntp_synchronised=lab only", scenario="ntp-off", code=0)
    skipped = [f for f in document["findings"] if f["verdict"] == "skipped"]
    assert {f["check"] for f in skipped} == {"ntp_synchronised"}
    assert all("lab only" in f["summary"] for f in skipped)


def test_a_question_without_a_terminal_is_not_answered(go_live: Callable[..., Live]) -> None:
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone")
    said = live.run("run")
    assert said.returncode == 2
    assert "--yes" in said.stderr
    assert live.changes() == []
