"""The pin changes with everything that a person has read, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.model import Options
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.steps import RemoveNode, ResetNode, Step, step
from ctmupgrade.core.recovery.pin import pin_of
from ctmupgrade.core.recovery.result import in_order
from tests.support import recovery_facts as make

RESET = step(ResetNode(), "ctm-3", "erases it", 120)


def _plan(seen: Facts, *steps: Step) -> Plan:
    return plan_of(in_order(steps or (RESET,)), seen, make.cluster(), Options(), ())


def test_the_same_is_the_same_at_another_time() -> None:
    later = replace(make.healthy(), at=make.AT.replace(hour=23))
    assert pin_of(_plan(make.healthy())) == pin_of(_plan(later)) != ""


def test_every_difference_shows() -> None:
    seen = make.healthy()
    plans = [
        _plan(seen),
        _plan(seen, replace(RESET, node="ctm-2")),
        _plan(seen, replace(RESET, action=ResetNode("ctm-1"))),
        _plan(seen, RESET, step(RemoveNode("ctm-1", "id-2"), "ctm-2", "", 1)),
        replace(_plan(seen), without_data=("ctm-2",)),
        _plan(make.with_node(seen, replace(seen.nodes["ctm-2"], boot=BootMark("another")))),
        _plan(make.healthy(version=make.NEW)),
        _plan(make.with_node(seen, make.silent(2))),
    ]
    assert len({pin_of(plan) for plan in plans}) == len(plans)
