"""What a node holds, for a restore: only what is proven to be nothing may be overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from ctmupgrade.core.looks.cluster_views import Membership
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.looks.holding import Holds, Journals, holding_of
from tests.support import recovery_facts as make

APART = make.node(1, ())
MANY = {"keys": 1200, "users": 3}
NOT_TOLD = Unknown("unknown command")
KEPT = Journals({"ctm-1": "run R is unfinished"})


@pytest.mark.parametrize(
    ("counted", "journals", "had", "state"),
    [
        ({"keys": 0, "users": 1}, Journals(), {}, Holds.NOTHING),
        ({"keys": 1, "users": 1}, Journals(), MANY, Holds.DATA),
        ({"keys": 0, "users": 2}, Journals(), MANY, Holds.NOTHING),
        ({"keys": 0, "users": 2}, Journals(), {}, Holds.DATA),
        ({"keys": NOT_TOLD, "users": 2}, Journals(), MANY, Holds.DATA),
        ({"keys": 0, "users": NOT_TOLD}, Journals(), MANY, Holds.NOTHING),
        ({"keys": 0, "users": NOT_TOLD}, Journals(), {}, Holds.NOT_KNOWN),
        ({"keys": NOT_TOLD, "users": 1}, Journals(), MANY, Holds.NOT_KNOWN),
        ({}, Journals(), MANY, Holds.NOT_KNOWN),
        ({}, Journals(emptied=frozenset({"ctm-1"})), MANY, Holds.NOTHING),
        ({}, Journals(KEPT.kept, frozenset({"ctm-1"})), MANY, Holds.NOT_KNOWN),
        ({"keys": 0, "users": 1}, KEPT, {}, Holds.DATA),
        ({"keys": 0, "users": 1}, KEPT, {"keys": 0}, Holds.DATA),
        ({"keys": 0, "users": 1}, KEPT, MANY, Holds.NOTHING),
    ],
)
def test_a_node_that_is_in_no_cluster(
    counted: Any, journals: Journals, had: dict[str, int], state: Holds
) -> None:
    assert holding_of(APART, counted, journals, had).state is state


def test_a_member_has_data_whatever_else_it_says() -> None:
    both = make.node(1, (make.member(1), make.member(2)))
    held = holding_of(both, {"keys": 0, "users": 1}, Journals(), MANY)
    assert (held.state, held.member, len(held.others)) == (Holds.DATA, True, 1)
    alone = holding_of(make.node(1, (make.member(1),)), {}, Journals(), MANY)
    assert (alone.state, alone.member, alone.others) == (Holds.DATA, True, ())


def test_what_does_not_answer_and_what_does_not_tell() -> None:
    assert holding_of(make.silent(1), {}, Journals(emptied=frozenset({"ctm-1"})), {}).state is Holds.SILENT
    mute = NodeFacts("ctm-1", shell=True, membership=Unknown("login refused", login=True))
    assert holding_of(mute, {}, Journals(), {}).state is Holds.NOT_KNOWN
    lists_none = NodeFacts("ctm-1", shell=True, membership=Membership("id", "r", 3), members=NOT_TOLD)
    assert holding_of(lists_none, {}, Journals(), {}).others
