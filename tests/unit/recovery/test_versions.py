"""Mixed versions: the upgrade is finished like any other, once nothing else is to do."""

from __future__ import annotations

from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import Reboot, RunUpgrade, step
from ctmupgrade.core.recovery.result import Part, advise
from ctmupgrade.core.recovery.versions import mixed_versions
from ctmupgrade.core.run.past_runs import RunHistory
from ctmupgrade.core.version import Version
from tests.support import recovery_facts as make


def _mixed(*versions: Version) -> Facts:
    members = tuple(make.member(i) for i in range(1, len(versions) + 1))
    return make.facts(*(make.node(i, members, v) for i, v in enumerate(versions, 1)))


def test_equal_versions_have_nothing() -> None:
    assert mixed_versions(make.scene(make.healthy()), Part()) == Part()


def test_the_upgrade_is_finished_in_place() -> None:
    found = mixed_versions(make.scene(_mixed(make.NEW, make.OLD, make.OLD)), Part())
    assert found.finishing
    assert [s.node for s in found.steps if isinstance(s.action, RunUpgrade)] == ["ctm-2", "ctm-3"]


def test_other_steps_and_advice_come_first() -> None:
    seen = make.scene(_mixed(make.NEW, make.OLD, make.OLD))
    reboot = Part(steps=(step(Reboot(), "ctm-1", "", 1),))
    assert mixed_versions(seen, reboot) == Part(mixed_versions(seen, Part()).wrong)
    advised = mixed_versions(seen, advise("x"))
    assert not advised.steps and advised.advice[0].commands == ("ctmupgrade run",)
    assert mixed_versions(seen, advise("x", "ctmupgrade run")).advice == ()


def test_an_unfinished_run_goes_on() -> None:
    seen = make.scene(_mixed(make.NEW, make.OLD, make.OLD), past=RunHistory(run="R1", upgrades=True))
    found = mixed_versions(seen, Part())
    assert not found.steps and found.advice[0].commands == ("ctmupgrade resume R1",)


def test_what_the_target_cannot_finish_is_named() -> None:
    older = mixed_versions(make.scene(_mixed(make.OLD, make.OLD, Version.parse("2.19.0"))), Part())
    assert not older.steps and "ctm-3 must first" in older.advice[0].text
    newer = mixed_versions(make.scene(_mixed(make.OLD, make.NEW, Version.parse("2.22.0"))), Part())
    assert not newer.steps and "2.22.0" in newer.advice[0].text


def test_a_rebuild_is_not_finished_in_place() -> None:
    seen = make.scene(_mixed(make.NEW, make.OLD), strategy=StrategyName.REBUILD)
    assert not mixed_versions(seen, Part()).steps


def test_a_recovery_that_stopped_is_ended_before_the_upgrade_is_finished() -> None:
    past = RunHistory(run="R1")  # it upgrades nothing
    found = mixed_versions(make.scene(_mixed(make.NEW, make.OLD, make.OLD), past=past), advise("x"))
    assert [advice.commands for advice in found.advice] == [("ctmupgrade abort R1", "ctmupgrade run")]
