"""Parts add up; steps are put in order; advice is one line for machines and several for people."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from ctmupgrade.core.plan.steps import MakeBackup, Reboot, ResetNode, step
from ctmupgrade.core.recovery.result import (
    Advice,
    Diagnosis,
    Part,
    Trouble,
    Urgency,
    advise,
    in_order,
    merged,
    together,
)


def test_parts_add_up_in_their_order() -> None:
    one = Part((Trouble("a", "ctm-1", explains=True),), steps=(step(Reboot(), "ctm-1", "", 1),))
    two = advise("look") + Part((Trouble("b", "ctm-2"),), support=True)
    both = together((one, two))
    assert [t.text for t in both.wrong] == ["a", "b"] and both.support and not both.finishing
    assert both.concerns("ctm-1") and not both.concerns("ctm-2")
    assert both.explained == {"ctm-1"}


def test_a_part_and_a_diagnosis_are_never_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Part().support = True  # type: ignore[misc] # that it is refused is what is tested
    with pytest.raises(FrozenInstanceError):
        Diagnosis("x", Urgency.NONE).steps = ()  # type: ignore[misc] # that it is refused is what is tested


def test_steps_wait_for_each_other_and_have_ids_of_their_own() -> None:
    made = in_order(step(MakeBackup(), "ctm-1", "", 60) for _ in range(3))
    assert [s.id for s in made] == ["backup:ctm-1", "backup:ctm-1:2", "backup:ctm-1:3"]
    assert [s.after for s in made] == [(), ("backup:ctm-1",), ("backup:ctm-1:2",)]


def test_a_diagnosis_knows_its_minutes_and_what_it_erases() -> None:
    steps = (step(ResetNode(), "ctm-2", "", 120), step(Reboot(), "ctm-1", "", 300))
    found = Diagnosis("x", Urgency.NOW, steps=steps)
    assert found.seconds == 420 and found.erased == ("ctm-2",)


def test_advice_is_one_line_for_machines() -> None:
    assert str(Advice("do this", ("a", "b"))) == "do this: a; b"
    assert str(Advice("do nothing")) == "do nothing"


def test_advice_that_is_equal_for_several_nodes_is_told_once() -> None:
    each = [Advice("look", ("a",), (f"ctm-{i}",)) for i in (1, 2)]
    (both,) = merged(each)
    assert str(both) == "ctm-1, ctm-2: look: a"
    assert merged([*each, Advice("look", ("b",), ("ctm-1",))])[1].about == ("ctm-1",)
