"""A node that is skipped: what `node skip` promises is what the run then does, and all texts agree on the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.desk import Desk

DEAD, FAILS = "node-never-comes-back", "upgrade-fails-on-node-2"
GATE = "Before ctm-3 is changed, every node must be healthy, ctm-2 too (gate:ctm-3)"
PARTIAL = "When all other steps are done, the run ends as partial (exit 9)."
SKIP = ("node", "skip", "latest", "ctm-2", "--reason", "ticket 4711")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_skip_says_that_a_dead_node_still_holds_the_next_one_back(desk: Desk) -> None:
    """It promised the end of the run, and two resumes waited for the dead node and failed."""
    assert desk.type("run", "--yes", scenario=DEAD).returncode == 4
    run = desk.journal.parent.name
    asked = desk.type(*SKIP, "--dry-run", scenario=DEAD).stdout
    said = desk.type(*SKIP, scenario=DEAD).stdout
    for text in (asked, said):
        assert GATE in text and "Make ctm-2 healthy, then resume." in text and PARTIAL.rstrip(".") in text
        assert f"If ctm-2 cannot come back: ctmupgrade abort {run} --state-dir " in text
        assert "; then: ctmupgrade recover --state-dir " in text, "the commands work as they are printed"
    for _ in range(2):
        resumed = desk.type("resume", "--yes", scenario=DEAD)
        assert resumed.returncode == 4, "fail closed: no second node goes out of service"
        assert "-> bring ctm-2 back" in resumed.stdout
        assert f"-> if it cannot be made healthy: ctmupgrade abort {run} --state-dir " in resumed.stdout
        assert "-> then: ctmupgrade recover --state-dir " in resumed.stdout


def test_a_skipped_node_is_not_said_to_be_rebooted_by_a_resume(desk: Desk) -> None:
    assert desk.type("run", "--yes", scenario=DEAD).returncode == 4
    told = "ctm-2: ks_upgrade.sh has ended, and it is not proven that the node was rebooted (bring it back before you resume"
    assert told in desk.type(*SKIP, scenario=DEAD).stdout
    for words in (("status", "--format", "plain"), ("report",)):
        said = desk.type(*words).stdout
        assert told in said and "resuming the run reboots it" not in said
    aborted = desk.type("abort", "--yes").stdout
    assert (
        "(bring it back before anything else; if uptime on the node shows no reboot: sudo reboot" in aborted
    )
    assert "ctm-2 is on a version that was not seen since the upgrade began" in aborted


def test_skip_promises_no_gate_where_none_is_left_and_tells_the_version_that_a_gate_saw(desk: Desk) -> None:
    assert desk.type("run", scenario=FAILS).returncode == 5
    assert GATE in desk.type(*SKIP, scenario=FAILS).stdout
    resumed = desk.type("resume", scenario=FAILS)
    assert resumed.returncode == 9
    assert "ctm-2  2.20.0+15016 -> 2.20.0+15016  skipped" in resumed.stdout, "gate:ctm-3 has seen it"
    assert "NOT at 2.21.0: ctm-2 is still on 2.20.0+15016" in resumed.stdout
    report = desk.type("report").stdout
    assert "Skipped by a decision: ticket 4711" in report and "ticket 4711 ticket 4711" not in report


def test_skip_of_the_last_node_waits_for_nothing(desk: Desk) -> None:
    assert (
        desk.type("run", "--fault", "reboot_never_ends@reboot:ctm-3", scenario="healthy-three").returncode
        == 4
    )
    skip = ("node", "skip", "latest", "ctm-3", "--reason", "ticket 4711")
    said = desk.type(*skip, scenario="healthy-three").stdout
    assert PARTIAL in said and "must be healthy" not in said and "cannot come back" not in said
    resumed = desk.type("resume", scenario="healthy-three")
    assert resumed.returncode == 9, resumed.stdout + resumed.stderr
    assert "ctm-3  2.20.0+15016 -> not seen yet  skipped" in resumed.stdout
    assert (
        "NOT known to be at 2.21.0: ctm-3 is on a version that was not seen since the upgrade began"
        in resumed.stdout
    )
    assert "still on" not in resumed.stdout
