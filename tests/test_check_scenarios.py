"""Every check has a page that is current, a scenario in which it passes, and one in which it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.core.checks.catalogue import CHECKS, by_group, check_of
from ctmupgrade.core.checks.explain import PAGES
from ctmupgrade.core.checks.page import sections
from tests.support import golden
from tests.support.check_scenarios import FOLDER, findings, scenario

IDS = [check.id for check in CHECKS]
ROOT = FOLDER.parents[1]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is found in the healthy cluster."""
    return findings({}, tmp_path_factory.mktemp("healthy") / "of")


@pytest.mark.parametrize("identity", IDS)
def test_it_does_not_pass_where_it_should_not(identity: str, tmp_path: Path) -> None:
    case = scenario(identity)["fails"]
    found = findings(case, tmp_path / "of", identity)
    worst = [f for f in found if f["verdict"] == case["verdict"] and f["node"] == case.get("node", f["node"])]
    assert worst, found
    assert any(case.get("says", "") in f["summary"] for f in worst), found
    assert all(f["remedy"] for f in worst), "what to do is missing"


@pytest.mark.parametrize("identity", IDS)
def test_it_passes_where_it_should(identity: str, healthy: list[dict[str, Any]], tmp_path: Path) -> None:
    case = scenario(identity).get("passes")
    found = healthy if case is None else findings(case, tmp_path / "of", identity)
    assert {f["verdict"] for f in found if f["check"] == identity} == {"pass"}


def test_no_scenario_is_of_a_check_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(IDS)
    assert set(PAGES) == set(IDS)


@pytest.mark.parametrize("identity", IDS)
def test_each_has_a_page_without_an_empty_part(identity: str) -> None:
    check = check_of(identity)
    assert check and all(text.strip() for _, text in sections(check, PAGES[identity]))
    assert (ROOT / "docs" / "checks" / f"{identity}.md").is_file(), "scripts/pages writes it"


def test_the_pages_in_docs_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pages"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_list_has_every_check_once_in_its_group() -> None:
    code, printed = golden.call("check", "--list", "--format", "json")
    document = json.loads(printed)
    assert (code, document["schema"]) == (0, 1)
    assert sorted(row["id"] for row in document["checks"]) == sorted(IDS)
    assert all({"id", "title", "group", "waivable"} <= row.keys() for row in document["checks"])
    _, text = golden.call("check", "--list")
    assert [line for line in text.splitlines() if line.endswith(":")] == [f"{group}:" for group in by_group()]


def test_a_finding_carries_the_address_of_its_page_and_the_harm(healthy: list[dict[str, Any]]) -> None:
    for finding in healthy:
        check = check_of(finding["check"])
        assert check and finding["doc"] == f"ctmupgrade check --explain {check.id}"
        assert finding["harm"] == check.harm.value
    code, text = golden.call(*healthy[0]["doc"].split()[1:])
    assert code == 0 and "What breaks otherwise" in text and healthy[0]["check"] in text


def test_an_explanation_of_no_check_names_the_nearest() -> None:
    code, _ = golden.call("check", "--explain", "port_5432_opne")
    assert code == 2
    code, printed = golden.call("check", "--explain", "port_5432_opne", "--format", "json")
    assert code == 2 and "port_5432_open" in json.loads(printed)["error"]["remedy"]
