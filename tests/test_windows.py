"""The maintenance window, from the command line: what is told, asked, refused and waited for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.codec import sealed
from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.ticks import Tick, Waiting
from tests.support.golden import SCENARIOS, call
from tests.support.live import PROGRAM, clean_environ
from tests.support.terminal import on_terminal
from tests.support.world_run import Drive, make_world

TWO_OF_THREE = "{start: 2026-01-10T22:00:00+01:00, finish_by: 2026-01-10T23:25:00+01:00}"  # from 21:00 UTC on

TOO_LATE = r"ctm-3: 2026-01-10 2[23]:\d\d\+01:00 to [^,]*, at worst [^,;]*\d\d: does not fit"


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., Any]:
    """Types a command for a cluster of three with this window: exit code and what it said."""
    folder = tmp_path / "three"
    folder.mkdir()
    (folder / "world.yaml").write_bytes((SCENARIOS / "healthy-three" / "world.yaml").read_bytes())
    text = (SCENARIOS / "healthy-three" / "cluster.yaml").read_text(encoding="utf-8")

    def type_(*words: str, window: str = TWO_OF_THREE) -> tuple[int, str]:
        (folder / "cluster.yaml").write_text(f"{text}window: {window}\n")
        return call(*words, "--simulate", str(folder), "--state-dir", str(tmp_path / "state"))

    return type_


def test_what_does_not_fit_is_told_by_check_plan_and_runbook(
    typed: Callable[..., Any], tmp_path: Path
) -> None:
    code, printed = typed("check", "--format", "json")
    found = next(f for f in json.loads(printed)["findings"] if f["check"] == "window_fits")
    assert code == 0 and found["verdict"] == "manual"
    assert "2 of 3 nodes fit" in found["summary"] and "--accept-partial" in found["remedy"]
    said = typed("plan")[1]
    assert "2 of 3 nodes fit into the maintenance window from 2026-01-10 22:00+01:00" in said
    assert said.count("+01:00 to ") >= 3 and len(re.findall(TOO_LATE, said)) == 2
    window = json.loads(typed("plan", "--format", "json")[1])["window"]
    assert (window["fitting"], window["of"]) == (2, 3)
    assert "## Maintenance window" in typed("runbook")[1]


def test_two_fit_and_the_next_window_takes_the_third(typed: Callable[..., Any]) -> None:
    code, printed = typed("run", "--yes", "--format", "json")
    error = json.loads(printed.splitlines()[-1])["error"]
    assert code == 3 and "two versions" in error["brief"] and "--accept-partial" in error["remedy"]
    code, printed = typed("run", "--yes", "--accept-partial", "--format", "json")
    report = json.loads(printed.splitlines()[-1])
    assert code == 7, printed[-2000:]
    assert [node["state"] for node in report["nodes"]][:2] == ["done", "done"]
    assert "no room for ctm-3" in report["why"]
    code, printed = typed("resume", "--format", "json", window="{finish_by: 2026-01-12T04:00:00+01:00}")
    assert code == 0 and {n["state"] for n in json.loads(printed.splitlines()[-1])["nodes"]} == {"done"}


def test_at_a_terminal_it_is_asked_before_the_first_node(typed: Callable[..., Any], tmp_path: Path) -> None:
    typed("check")  # writes the folder
    argv = [
        str(PROGRAM),
        "run",
        "--yes",
        "--simulate",
        str(tmp_path / "three"),
        "--state-dir",
        str(tmp_path / "s"),
    ]
    with on_terminal(argv, tmp_path, clean_environ(tmp_path), columns=200) as seen:
        asked = seen.until("Upgrade 2 of 3 nodes now? [y/N]:")
        assert "would be left with two versions" in asked and re.search(TOO_LATE, asked)
        seen.type("n\n")
        assert seen.ended() == 7
    assert not list((tmp_path / "s").glob("*/*/journal.jsonl"))


def test_a_plan_that_was_reviewed_may_be_run_later_in_its_window(
    typed: Callable[..., Any], tmp_path: Path
) -> None:
    """Clock times are no part of what was reviewed."""
    file = tmp_path / "plan.json"
    assert typed("plan", "-o", str(file), "--format", "json")[0] == 0
    document = json.loads(file.read_text())
    document["window"]["nodes"][0]["begins"] = (
        "2026-01-01 00:00+00:00"  # as if it had been made on another day
    )
    del document["digest"]
    file.write_text(json.dumps(sealed(document)))
    assert typed("run", "--plan", str(file), "--yes", "--accept-partial")[0] == 7


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("{finish_by: 2026-01-11T21:00:00+00:00}", "3 of 3 nodes fit"),
        ("{start: 2026-01-10T21:00:00+00:00}", "has no end"),
        ("{finish_by: 2026-01-10T20:00:00+00:00}", "is over"),
    ],
)
def test_the_finding_of_other_windows(typed: Callable[..., Any], window: str, words: str) -> None:
    document = json.loads(typed("check", "--format", "json", "--only", "window_fits", window=window)[1])
    assert [words in f["summary"] for f in document["findings"]] == [True]


def test_before_the_window_a_run_pauses_or_waits(typed: Callable[..., Any]) -> None:
    window = "{start: 2026-01-11T03:00:00+05:30}"  # 21:30 UTC
    code, printed = typed("run", "--yes", window=window)
    assert code == 7 and "the maintenance window begins at 2026-01-11 03:00+05:30" in printed
    typed("abort", "--yes", window=window)
    code, printed = typed("run", "--yes", "--wait-for-window", window=window)
    assert code == 0 and "window waits (until 2026-01-11T03:00+05:30" in printed


# -- the loop ----------------------------------------------------------------------------------------------------


def drive(folder: Path, minutes: float, strategy: StrategyName = StrategyName.IN_PLACE, **more: Any) -> Drive:
    made = Drive(make_world(3), folder, strategy)
    now = made.world.clock.now()
    start = now + timedelta(minutes=more.pop("begins", 0))
    made.cluster = replace(made.cluster, window=Window(start, now + timedelta(minutes=minutes)))
    return made


def begun(run: Drive, kind: str = "upgrade_started") -> list[str]:
    return [event.node for event in run.world.events if event.kind == kind]


def test_a_rebuild_that_does_not_fit_as_a_whole_does_not_start(tmp_path: Path) -> None:
    run = drive(tmp_path, 120, StrategyName.REBUILD)
    assert run.start() == 7
    assert "the rebuild, all of it," in run.state.paused
    assert begun(run, "node_removed") == begun(run) == []
    run.cluster = replace(run.cluster, window=Window(None, run.world.clock.now() + timedelta(hours=9)))
    assert run.resume() == 0


def test_a_rebuild_that_has_begun_is_finished(tmp_path: Path) -> None:
    """A cluster in pieces is no place to stop at."""
    run = drive(tmp_path, 9 * 60, StrategyName.REBUILD)
    asked: list[Event] = []
    run.requests = lambda: [asked.pop()] if asked else []

    def hook(_step: str, event: Event | None, _tick: Tick | None) -> None:
        if isinstance(event, journal.StepDone) and event.step.startswith("remove:"):
            asked[:] = [journal.StopAsked("pause", "me@here")]

    run.hook = hook
    assert run.start() == 7 and len(begun(run, "node_removed")) == 1
    run.hook = lambda _step, _event, _tick: None
    run.cluster = replace(run.cluster, window=Window(None, run.world.clock.now()))
    assert run.resume() == 0


def test_a_pause_ends_the_wait_for_the_window(tmp_path: Path) -> None:
    run = drive(tmp_path, 20 * 60, begins=600)
    run.wait_for_window = True
    asked: list[Event] = []
    run.requests = lambda: [asked.pop()] if asked else []
    ticks: list[Waiting] = []
    paused_at: list[float] = []

    def hook(step: str, _event: Event | None, tick: Tick | None) -> None:
        if step == "window" and isinstance(tick, Waiting):
            ticks.append(tick)
            if len(ticks) == 3:
                asked.append(journal.StopAsked("pause", "me@here"))
                paused_at.append(run.world.now)

    run.hook = hook
    assert run.start() == 7
    assert run.state.paused == "paused as asked" and begun(run) == [] and len(ticks) == 3
    assert run.world.now - paused_at[0] < 1, "at once, not at the next look at the clock"
    assert {run.state.steps[f"{kind}:ctm-1"].status.value for kind in ("gate", "upgrade")} == {"pending"}
    assert run.state.steps["stage:ctm-1"].status.value == "done", "what changes nothing is done before"


def test_a_window_has_its_own_clock_everywhere(typed: Callable[..., Any]) -> None:
    """Its begin is before the clocks change, its end behind it; the run's own times are in UTC."""
    window = "{start: 2026-03-29T00:30:00+01:00, finish_by: 2026-03-29T05:00:00+02:00}"
    code, printed = typed("run", "--yes", window=window)
    assert code == 7 and "the maintenance window begins at 2026-03-29 00:30+01:00" in printed
    assert "from 2026-03-29 00:30+01:00 to 2026-03-29 05:00+02:00" in typed("status", window=window)[1]
