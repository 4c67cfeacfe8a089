"""Killed before and after every write of the journal and in the middle of every action, and resumed.

Generated: the moments come from an uninterrupted run of each scenario. The fast form takes all moments of
three scenarios and a seeded sample of the others, ``-m slow`` takes all of all.
"""

from __future__ import annotations

import pytest

from ctmupgrade.core.run.journal import Status, StepStarted
from ctmupgrade.sim import Fault
from tests.support import crashes, driver
from tests.support.promises import check_promises
from tests.support.world_run import Killed

PARTS = 6  # so that several workers share a scenario


def _wrong(scenario: str, part: int, *, full: bool) -> list[str]:
    quiet = crashes.calm(scenario)
    if quiet is None:
        return []
    moments = crashes.chosen(scenario, quiet.moments, full=full)[part::PARTS]
    return [text for moment in moments for text in crashes.killed_at(scenario, moment)]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", crashes.scenarios())
def test_a_kill_changes_nothing_but_the_time(scenario: str, part: int) -> None:
    wrong = _wrong(scenario, part, full=False)
    assert not wrong, "\n".join(wrong[:10])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", [name for name in crashes.scenarios() if name not in crashes.WHOLE])
def test_a_kill_changes_nothing_but_the_time_at_any_moment(scenario: str, part: int) -> None:
    wrong = _wrong(scenario, part, full=True)
    assert not wrong, "\n".join(wrong[:10])


def _moment_after_start(step: str) -> driver.Moment:
    """Right after a step's start was journaled: it has not reached the node."""
    with crashes.drive("healthy-three") as run:
        run.through()
        written = run.written()
        number = next(i for i, e in enumerate(written) if isinstance(e, StepStarted) and e.step == step)
        return next(m for m in run.at.moments if m.what == f"write {number}" and m.when == "after")


def test_a_start_that_did_not_happen_passes_the_gate_again() -> None:
    """What the gate saw before the kill has aged: meanwhile another node may have gone away."""
    moment = _moment_after_start("upgrade:ctm-2")
    with crashes.drive("healthy-three", moment.number) as run:
        with pytest.raises(Killed):
            run.start()
        run.at.kill_at = 0
        run.world.inject(Fault("power_loss", node="ctm-3"))
        assert run.resume() == 0
        started = {e.node: e.at for e in run.world.of_kind("upgrade_started")}
        back = [e.at for e in run.world.of_kind("ready", "ctm-3")]
        assert started["ctm-2"] >= back[0], "ctm-2 was started while ctm-3 was away"
        assert not check_promises(run.world, changes_expected=True, in_place=True)


@pytest.mark.parametrize(
    ("scenario", "order"),
    [
        ("own-shell-three", ["ctm-2", "ctm-3", "ctm-1"]),
        ("own-shell-standalone", ["ctm-1"]),
        ("own-shell-rebuild", ["ctm-2", "ctm-1"]),
    ],
)
def test_the_reboot_of_the_own_node_ends_the_process(scenario: str, order: list[str]) -> None:
    """It is upgraded last wherever it is listed (as the survivor first), dies with its reboot, and a resume ends it."""
    with crashes.drive(scenario) as run:
        assert run.through() == 0
        assert run.killed == [f"the reboot of {run.cluster.own_node}, which it runs on"]
        assert run.processes == 2
        assert [event.node for event in run.world.of_kind("upgrade_started")] == order
        done = {step: held.status for step, held in run.state.steps.items()}
        assert set(done.values()) == {Status.DONE}, done
