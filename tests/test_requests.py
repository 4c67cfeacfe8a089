"""Requests of other shells that a process did not take up cleanly: whoever goes on later obeys none twice, and no old stop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.requests import write_request
from ctmupgrade.adapters.disk.run_store import FileRuns, Requests, RunFolder, folders
from ctmupgrade.codec import event_to_json
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import RunOptions, run
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.core.run.journal import Event, NodeDecided, RequestRefused, RunState, StepDone, StopAsked
from ctmupgrade.core.ticks import Tick
from tests.support.desk import SCENARIOS

PAUSE = StopAsked("pause", "me@elsewhere")
RETRY = NodeDecided("ctm-1", "retry", "looked", "me@elsewhere")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Setup]:
    request = CommandRequest(state_dir=tmp_path / "state", simulate=SCENARIOS / "healthy-three")
    with setup(request) as found:
        yield found


def asks(folder: RunFolder, event: StopAsked | NodeDecided) -> Path:
    kind = event.what if isinstance(event, StopAsked) else f"node-{event.decision}"
    return write_request(folder.path, kind, event_to_json(event))


def paused(made: Setup) -> RunFolder:
    assert run(made, RunOptions(stop_after="ctm-1")).code == 7
    [folder] = folders(made.home)
    return folder


def waiting(folder: RunFolder) -> list[str]:
    return [path.name for path in (folder.path / "requests").glob("[0-9]*")]


def heard(made: Setup) -> tuple[int, list[Event]]:
    told: list[Event] = []

    def watch(_state: RunState, event: Event | None, _key: str, _tick: Tick | None) -> None:
        told.extend([event] if event else [])

    return int(resume(made, RunOptions(watch=watch), None).code), told


@pytest.mark.parametrize("what", ["pause", "abort"])
def test_a_resume_is_newer_than_a_stop_that_nobody_took(made: Setup, what: str) -> None:
    """The process was killed before it took the pause up: each resume paused again, with exit 7, for ever."""
    folder = paused(made)
    asks(folder, StopAsked(what, "me@elsewhere"))  # type: ignore[arg-type]
    code, told = heard(made)
    assert code == 0 and waiting(folder) == []
    [refused] = [event for event in told if isinstance(event, RequestRefused)]
    assert f"{what} by me@elsewhere" in refused.why and Path(refused.file).is_file()


def test_a_stop_that_the_journal_has_is_not_obeyed_again(made: Setup) -> None:
    """The process died between the journal's line and the removal of the file."""
    folder = paused(made)
    name = asks(folder, PAUSE).name
    FileRuns(made.home).append(folder.run, StopAsked("pause", "me@elsewhere", request=name), made.clock.now())
    code, told = heard(made)
    assert code == 0 and waiting(folder) == []
    assert not [event for event in told if isinstance(event, RequestRefused | StopAsked)]


def test_a_pause_while_a_resume_runs_is_obeyed(made: Setup) -> None:
    folder = paused(made)
    asked: list[Path] = []

    def watch(_state: RunState, event: Event | None, _key: str, _tick: Tick | None) -> None:
        if (
            isinstance(event, StepDone) and event.step == "upgrade:ctm-2"
        ):  # nothing is in hand then: no look follows
            asked.append(asks(folder, PAUSE))

    assert resume(made, RunOptions(watch=watch), None).code == 7
    assert waiting(folder) == [], "nothing is left for the next resume"
    assert heard(made)[0] == 0


def test_a_request_goes_as_soon_as_the_journal_has_it(tmp_path: Path) -> None:
    """Where nothing runs no next look comes: the run pauses with it."""
    folder = RunFolder(tmp_path)
    file, requests = asks(folder, PAUSE), Requests(folder, ("ctm-1",))
    [event] = requests.look()
    assert file.exists(), "it is not lost while the journal does not have it"
    requests.journaled(event)
    assert not file.exists() and requests.look() == []


def test_a_decision_that_nobody_took_waits_for_the_resume(tmp_path: Path) -> None:
    """A stop is overtaken by a resume; a decision is what it goes on with. But one that the journal has is done."""
    folder = RunFolder(tmp_path)
    file = asks(folder, RETRY)
    assert Requests(folder, ("ctm-1",)).drop(Requests(folder, ("ctm-1",)).stops()) == []
    [event] = Requests(folder, ("ctm-1",)).look()
    assert isinstance(event, NodeDecided) and event.request == file.name
    assert Requests(folder, ("ctm-1",), frozenset({file.name})).look() == [] and not file.exists()


def test_the_journal_tells_which_requests_it_has(made: Setup) -> None:
    folder = paused(made)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    FileRuns(made.home).append(folder.run, StopAsked("pause", "x", request="7-pause-1.json"), at)
    assert folder.state().asked == {"7-pause-1.json"}
