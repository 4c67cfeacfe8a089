"""A run's state and report are folds over its events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import make_plan
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunState, Status, replay
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.run.timeline import timeline_of
from tests.unit.values import AT, cluster, facts

PLAN = make_plan(facts(), cluster(), Options())
STARTED = journal.RunStarted("RUN", "prod", Mode.LIVE, PLAN, "ops@jump", 1, "0.1.0")


def state(*events: Event) -> RunState:
    """The state after these, a minute apart."""
    return replay((event, AT + timedelta(minutes=n)) for n, event in enumerate((STARTED, *events)))


def done(*steps: str, **evidence: str) -> list[Event]:
    """These steps, started and done."""
    return [e for s in steps for e in (journal.StepStarted(s, {}), journal.StepDone(s, evidence))]


def test_a_run_that_began_has_all_its_steps_before_it() -> None:
    assert {held.status for held in state().steps.values()} == {Status.PENDING}
    assert make_report(state()).state == "running"


def test_a_failed_step_fails_the_run_when_it_pauses() -> None:
    seen = state(
        journal.StepStarted("upgrade:ctm-1", {}), journal.StepFailed("upgrade:ctm-1", "no space", "df -h /", 5),
        journal.RunPaused("no space", 5),
    )  # fmt: skip
    report = make_report(seen)
    assert (report.state, report.exit_code, report.why) == ("failed", 5, "no space")
    assert {n.name: n.state for n in report.nodes}["ctm-1"] == "failed"


def test_an_inconclusive_step_needs_the_operator() -> None:
    seen = state(
        journal.StepStarted("upgrade:ctm-1", {}),
        journal.StepFailed("upgrade:ctm-1", "no verdict", "look", 6, inconclusive=True), journal.RunPaused("?", 6),
    )  # fmt: skip
    assert make_report(seen).state == "needs-operator"


@pytest.mark.parametrize("stop", ["pause", "abort"])
def test_a_stop_that_is_asked_for_is_on_its_way(stop: str) -> None:
    assert make_report(state(journal.StopAsked(stop, "ops@desk"))).state == "pausing"  # type: ignore[arg-type]


def test_versions_after_are_those_that_were_proven() -> None:
    seen = state(*done("await:ctm-1", version="2.21.0+15451"))
    after = {n.name: n.version_after for n in make_report(seen).nodes}
    assert after["ctm-1"] == "2.21.0+15451" and after["ctm-2"] == "2.20.0+15016"


def test_a_node_was_out_of_service_from_its_first_attempt_on() -> None:
    """A retry that went well must not take the failed hour before it away."""
    failed = journal.StepFailed("upgrade:ctm-1", "no space", "df -h /", 5)
    steps = [
        s.id
        for s in PLAN.steps
        if s.node == "ctm-1" and s.id.split(":")[0] in ("reboot", "await", "settle", "compare-settings")
    ]
    before = [
        s.id
        for s in PLAN.steps
        if s.node == "ctm-1" and s.id.split(":")[0] in ("stage", "backup", "record-settings", "gate")
    ]
    seen = state(*done(*before), journal.StepStarted("upgrade:ctm-1", {}), failed, journal.NodeDecided("ctm-1", "retry", "x", "ops"),
                 *done("upgrade:ctm-1", *steps, version="2.21.0+15451"))  # fmt: skip
    report = make_report(seen)
    node = {n.name: n for n in report.nodes}["ctm-1"]
    away = next(one for one in timeline_of(seen).away if one.node == "ctm-1")
    assert node.times.took_s == away.seconds > 60 * 6, "all that counts it counts the same"


def test_a_reboot_that_is_still_to_come_is_named() -> None:
    seen = state(*done("upgrade:ctm-1"), journal.RunPaused("asked", 7))
    assert any(line.startswith("ctm-1") for line in make_report(seen).pending_reboots)
    assert not any("ctmupgrade" in line for line in make_report(seen).pending_reboots), (
        "a command in prose is folded"
    )


def test_a_step_of_another_plan_does_not_fit() -> None:
    with pytest.raises(KeyError):
        state(journal.StepStarted("upgrade:ctm-9", {}))
