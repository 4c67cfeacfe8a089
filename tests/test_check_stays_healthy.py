"""`check` does not call a cluster healthy at the first good look: services go back to error after the first `started`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check as looking
from ctmupgrade.core.checks.staying import CHECK
from ctmupgrade.errors import ExitCode
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.world import World
from tests.support import golden
from tests.support.check_scenarios import findings, merged, scenario
from tests.support.world_run import Drive, make_world

FLAPS = scenario(CHECK)["fails"]
LONG_UP = {"world": {"nodes": {"ctm-2": {"up_at": -4300, "ready_at": -4010, "times": {"flap_s": 9000}}}}}


def staying(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The finding; with everything else checked, too."""
    (found,) = [f for f in findings(case, folder / "of") if f["check"] == CHECK]
    return found


def watched(
    world: World,
    folder: Path,
    happens: Callable[[World], object] = lambda _: None,
    time: timedelta | None = None,
) -> tuple[looking.CheckResult, float, list[str]]:
    """What `check` finds, how long it watched, and what it said meanwhile.

    :param happens: to the world, after the first look.
    """
    drive, said, began = Drive(world, folder), list[str](), world.now

    def tell(words: str) -> None:
        if not said:
            happens(world)
        said.append(words)

    result = looking.check_for_a_while(drive.setup(), time=time, tell=tell)
    return result, world.now - began, said


def test_a_healthy_cluster_is_watched_for_some_seconds(tmp_path: Path) -> None:
    result, took, said = watched(make_world(3), tmp_path)
    (found,) = [f for f in result.findings if f.check == CHECK]
    assert result.code is ExitCode.DONE and took >= 15
    assert (
        found.summary
        == "every node that answers stayed healthy for 15 s (7 looks), and has been up for 15 min or more"
    )
    assert (
        said[0].endswith("until they have stayed healthy for 15 s; 0 s so far") and "12 s so far" in said[-1]
    )


def test_a_recording_is_not_watched_for_ever(tmp_path: Path) -> None:
    """No time passes in one: `check --simulate DIR` of it would never end."""
    drive, said = Drive(make_world(3), tmp_path), list[str]()
    drive.world.clock.stopped = True

    def tell(words: str) -> None:
        said.append(words)
        assert len(said) < 20

    result = looking.check_for_a_while(drive.setup(), time=None, tell=tell)
    assert result.code is ExitCode.DONE and len(said) == 1
    (found,) = [f for f in result.findings if f.check == CHECK]
    assert found.summary == "every node that answers has been up for 15 min or more"


def test_services_that_flap_on_a_node_that_is_long_up_block(tmp_path: Path) -> None:
    found = staying(LONG_UP, tmp_path)
    assert (found["verdict"], found["node"]) == ("block", "ctm-2")
    assert found["summary"].startswith("services are error: ")


def test_a_node_that_has_just_been_started_is_watched_for_all_of_stable_for(tmp_path: Path) -> None:
    world = make_world(3)
    world.nodes["ctm-2"].up_at = world.now - 300
    result, took, _ = watched(world, tmp_path)
    (found,) = [f for f in result.findings if f.check == CHECK]
    assert found.summary == "every node stayed healthy for 60 s (7 looks)" and took >= 60


@pytest.mark.parametrize(
    ("time", "verdict", "says"),
    [
        ("0s", "warn", "it has been up for 6 min only"),
        ("9s", "warn", "it has been up for 6 min only"),
        ("2m", "block", "it was healthy for"),
    ],
)
def test_how_long_is_said_on_the_command_line(time: str, verdict: str, says: str, tmp_path: Path) -> None:
    found = staying(merged(FLAPS, {"options": ["--for", time]}), tmp_path)
    assert found["verdict"] == verdict and says in found["summary"]


def test_what_stops_is_told_at_once(tmp_path: Path) -> None:
    world = make_world(3)
    world.nodes["ctm-3"].free_gib = 0.0
    result, _, said = watched(world, tmp_path)
    assert result.code is ExitCode.BLOCKED and not said


def test_what_is_waived_is_no_change(tmp_path: Path) -> None:
    case = {
        "world": {"nodes": {"ctm-2": {"services": {"secrets-manager": "error"}}}},
        "options": ["--skip", "services_started=CHG-4711"],
    }
    found = staying(case, tmp_path)
    assert found["verdict"] == "pass" and "stayed healthy for 15 s" in found["summary"]


def test_a_node_that_falls_silent_is_unknown_and_unreachable(tmp_path: Path) -> None:
    def silent(world: World) -> None:
        world.inject(Fault("unreachable", "ctm-2"))

    result, _, _ = watched(make_world(3), tmp_path, silent)
    found = [f for f in result.findings if f.check == CHECK and f.node == "ctm-2"]
    assert found and all(f.unreachable for f in found if f.verdict == "unknown")
    assert result.code is ExitCode.UNREACHABLE


def test_a_time_that_is_none_is_refused() -> None:
    code, _ = golden.call("check", "--for", "soon", "--simulate", "fixtures/scenarios/healthy-three")
    assert code == ExitCode.USAGE
