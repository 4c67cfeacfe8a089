"""``stage`` and ``backup`` on several nodes: one that is away, fails or is slow holds no other one up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.desk import SCENARIOS, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def prepared(desk: Desk, *words: str, scenario: str, code: int, what: str = "stage") -> dict[str, Any]:
    """Runs it; its report."""
    said = desk.type(what, "--yes", "--format", "json", *words, scenario=scenario)
    assert said.returncode == code, said.stdout + said.stderr
    report: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return report


def done(report: dict[str, Any]) -> set[str]:
    return {s["id"] for s in report["steps"] if s["status"] == "done" and s["id"] != "verify-archive"}


def with_faults(tmp_path: Path, *faults: str) -> str:
    """The healthy cluster, where something goes wrong."""
    folder = tmp_path / "scenario"
    shutil.copytree(SCENARIOS / "healthy-three", folder)
    with (folder / "world.yaml").open("a") as file:
        file.write("faults:\n" + "".join(f"  - {fault}\n" for fault in faults))
    return str(folder)


@pytest.mark.parametrize("what", ["stage", "backup"])
def test_a_dead_node_is_left_out(desk: Desk, what: str) -> None:
    report = prepared(desk, scenario="one-node-down", code=4, what=what)
    assert done(report) == {f"{what}:ctm-1", f"{what}:ctm-2"}
    assert {f["node"] for f in report["left_out"]} == {"ctm-3"}
    assert desk.type("stage", "--yes", scenario="one-node-down").stdout.count("left out:") == 1


def test_a_dead_node_that_is_not_wanted_is_no_reason(desk: Desk) -> None:
    report = prepared(desk, "--nodes", "ctm-1,ctm-2", scenario="one-node-down", code=0)
    assert done(report) == {"stage:ctm-1", "stage:ctm-2"}
    assert "left_out" not in report


def test_where_only_dead_nodes_are_wanted_nothing_is_done(desk: Desk) -> None:
    said = desk.type("stage", "--yes", "--nodes", "ctm-3", scenario="one-node-down")
    assert said.returncode == 4
    assert "nothing was changed" in said.stdout


def test_a_bad_signature_stops_all(desk: Desk) -> None:
    said = desk.type("stage", "--yes", scenario="wrong-signer")
    assert said.returncode == 3
    assert "nothing was changed" in said.stdout


@pytest.mark.parametrize("parallel", ["1", "0"])
def test_a_node_that_takes_no_file_holds_no_other_one_up(desk: Desk, tmp_path: Path, parallel: str) -> None:
    place = with_faults(tmp_path, "{kind: upload_refused, node: ctm-1}")
    report = prepared(desk, "--parallel", parallel, scenario=place, code=5)
    assert done(report) == {"stage:ctm-2", "stage:ctm-3"}
    assert [s["id"] for s in report["steps"] if s["status"] == "failed"] == ["stage:ctm-1"]


def test_a_node_that_is_waited_for_takes_no_place(desk: Desk, tmp_path: Path) -> None:
    """With ``--parallel 1`` and the first node away for an hour, the others are not kept waiting for it."""
    place = with_faults(tmp_path, "{kind: refused, node: ctm-1, when: 'command ls -1a', for_s: 3600}")
    report = prepared(desk, "--parallel", "1", scenario=place, code=0)
    ends = {s["id"]: s["finished"] for s in report["steps"]}
    assert ends["stage:ctm-3"] < ends["stage:ctm-1"]
