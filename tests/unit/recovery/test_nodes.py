"""A node by itself: upgrades that run, failed or wait for their reboot, and services."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.facts import Services, Unit
from ctmupgrade.core.plan.steps import AwaitNode, Reboot, RestartServices, Settle
from ctmupgrade.core.recovery import nodes
from ctmupgrade.core.recovery.result import Urgency
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make


def test_an_upgrade_that_runs_is_left_alone() -> None:
    seen = make.healthy()
    busy = make.with_node(seen, replace(seen.nodes["ctm-2"], processes=("ks_upgrade.sh -f x",)))
    found = nodes.running_upgrades(make.scene(busy))
    assert [t.urgency for t in found.wrong] == [Urgency.WAIT] and not found.steps
    assert found.advice[0].commands == ("ctmupgrade recover",), "no RUN is named where there is none"
    own = nodes.running_upgrades(make.scene(busy, past=RunHistory(run="R1")))
    assert own.advice[0].commands == ("ctmupgrade resume R1",)
    assert nodes.running_upgrades(make.scene(seen)) == type(found)()


def test_a_failed_upgrade_names_a_run_only_where_that_run_is_stuck_there() -> None:
    seen = make.healthy()
    failed = make.with_node(seen, replace(seen.nodes["ctm-2"], logs=(make.failed_log(),)))

    def commands(past: RunHistory) -> tuple[str, ...]:
        return nodes.unfinished_upgrades(make.scene(failed, past=past)).advice[0].commands

    assert commands(RunHistory()) == ("ctmupgrade run",)
    assert commands(RunHistory(run="R1")) == ("ctmupgrade resume R1",)
    assert commands(RunHistory(run="R1", stuck=frozenset({"ctm-2"})))[0].startswith(
        "ctmupgrade node retry R1 ctm-2"
    )


def test_an_upgrade_that_changed_nothing_by_its_reboot_needs_support() -> None:
    seen = make.healthy()
    odd = make.with_node(seen, replace(seen.nodes["ctm-2"], logs=(make.done_log(in_this_boot=False),)))
    found = nodes.unfinished_upgrades(make.scene(odd))
    assert not found.steps and "do not reboot it again" in found.advice[0].text
    assert found.advice[0].commands == ("ctmupgrade record support-looks",)
    bundled = nodes.unfinished_upgrades(make.scene(odd, past=RunHistory(any_run=True)))
    assert bundled.advice[0].commands == ("ctmupgrade report --bundle support.tar.gz",)


def test_a_reboot_that_is_missing_is_done_one_at_a_time() -> None:
    seen = make.healthy()
    waits = make.with_node(seen, replace(seen.nodes["ctm-2"], logs=(make.done_log(),)))
    found = nodes.reboots(make.scene(waits))
    assert [type(s.action) for s in found.steps] == [Reboot, AwaitNode, Settle]
    assert {s.node for s in found.steps} == {"ctm-2"} and found.explained == {"ctm-2"}


def test_a_node_is_not_awaited_by_others_that_are_no_members() -> None:
    """ctm-3 stands apart, and joins again after this reboot: a wait for it before would never end."""
    members = (make.member(1), make.member(2))
    whole = make.facts(make.node(1, members), make.node(2, members))
    for seen, clustered in (
        (make.facts(*whole.nodes.values(), make.node(3, ())), False),
        (make.facts(*whole.nodes.values()), True),
    ):
        waits = make.with_node(seen, replace(seen.nodes["ctm-2"], logs=(make.done_log(),)))
        [_, awaits, settles] = nodes.reboots(make.scene(waits)).steps
        assert awaits.action == AwaitNode(clustered) and settles.action == Settle(clustered)


def test_no_node_is_rebooted_while_another_is_out() -> None:
    listed = (make.member(1), make.member(2), make.member(3, "d", "down"))
    seen = make.facts(make.node(1, listed), make.node(2, listed), make.silent(3))
    waits = make.with_node(seen, replace(seen.nodes["ctm-2"], logs=(make.done_log(),)))
    assert nodes.reboots(make.scene(waits)).steps == ()
    given_up = nodes.reboots(make.scene(waits, OperatorInput(gone=("ctm-3",))))
    assert [s.node for s in given_up.steps] == ["ctm-2"] * 3
    alive = make.with_node(make.with_node(make.healthy(), make.silent(3)), waits.nodes["ctm-2"])
    assert nodes.reboots(make.scene(alive, OperatorInput(gone=("ctm-3",)))).steps == (), "it is not gone"


def test_services_are_restarted_by_what_still_answers_and_never_in_a_join() -> None:
    members = (make.member(1), make.member(2, "c", "joining: catching up (4/5)"))
    waiting = Services("starting", {"web": "starting"})
    plain = make.facts(make.node(1, members[:1], services=waiting))
    (restart,) = nodes.services(make.scene(plain)).steps
    assert restart.action == RestartServices(by_shell=False)
    dead = make.facts(make.node(1, members[:1], unit=Unit("failed")))
    assert nodes.services(make.scene(dead)).steps[0].action == RestartServices(by_shell=True)
    joins = make.facts(make.node(1, members), make.node(2, members, services=waiting))
    found = nodes.services(make.scene(joins))
    assert found.steps == () and "never restart them now" in found.advice[0].text
