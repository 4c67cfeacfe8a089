"""Who is who is proven, or nothing is advised that removes or erases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts, NodeFacts
from ctmupgrade.core.recovery import identity
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.recovery.scene import OperatorInput
from tests.support import recovery_facts as make

STRANGER = Member("id-x", "192.0.2.3", "d", "down")


def _cluster_with(stranger: Member, third: NodeFacts, *more: Member) -> Facts:
    listed = (make.member(1), make.member(2), stranger, *more)
    return make.facts(make.node(1, listed), make.node(2, listed), third)


def test_two_urls_of_one_appliance_are_told_and_nothing_is_done() -> None:
    seen = make.healthy()
    same = make.with_node(seen, replace(seen.nodes["ctm-2"], membership=seen.nodes["ctm-1"].membership))
    found = identity.one_appliance(make.scene(same))
    assert [t.text for t in found.wrong] == ["the urls of ctm-1 and ctm-2 belong to one appliance (id id-1)"]
    assert not found.steps and not any("delete" in str(a) for a in found.advice)
    assert identity.one_appliance(make.scene(seen)) == Part()


def _who_may_be_it() -> list[NodeFacts]:
    mute = make.node(3, (), system=make.GONE, membership=make.GONE, members=make.GONE, summary=make.GONE)
    return [make.silent(3), mute, make.node(3, ())]


@pytest.mark.parametrize("third", _who_may_be_it(), ids=["silent", "control plane silent", "unclustered"])
def test_a_member_that_may_be_a_configured_node_is_never_to_be_deleted(third: NodeFacts) -> None:
    """PUBLIC 20: names instead of addresses, one node down."""
    found = identity.foreign(make.scene(_cluster_with(STRANGER, third)))
    assert "it is probably ctm-3" in found.wrong[0].text
    assert not any("delete" in str(a) for a in found.advice) and found.forbids


def test_a_member_that_nobody_of_ours_can_be_may_be_removed() -> None:
    third = make.node(3, (make.member(1), make.member(2), make.member(3), STRANGER))
    found = identity.foreign(make.scene(_cluster_with(STRANGER, third, make.member(3))))
    assert found.advice[0].commands == ("ksctl cluster nodes delete --id id-x",) and not found.forbids


@pytest.mark.parametrize("other", [replace(STRANGER, node_id=""), replace(STRANGER, code="r")])
def test_a_member_that_is_ready_or_has_no_id_is_not_to_be_deleted(other: Member) -> None:
    third = make.node(3, (make.member(1), make.member(2), make.member(3), other))
    found = identity.foreign(make.scene(_cluster_with(other, third, make.member(3))))
    assert found.advice[0].commands == ("ctmupgrade recover",) and "add it" in found.advice[0].text


@pytest.mark.parametrize("answers", [True, False])
def test_the_second_line_of_a_node_is_removed_once_its_id_is_known(answers: bool) -> None:
    old = Member("id-old", "10.0.0.13", "d", "down")
    listed = (make.member(1), make.member(2), make.member(3), old)
    third = make.node(3, listed) if answers else make.silent(3)
    found = identity.foreign(make.scene(make.facts(make.node(1, listed), make.node(2, listed), third)))
    assert "lists ctm-3 twice, also with the id id-old as down" in found.wrong[0].text
    commands = [command for one in found.advice for command in one.commands]
    delete = "KSCTL_URL=https://10.0.0.11 ksctl cluster nodes delete --id id-old"
    assert (delete in commands) is answers and not any("--rejoin" in c for c in commands), commands


def test_a_node_of_another_living_cluster_is_bound_until_the_others_are_removed() -> None:
    pair, alone = (make.member(1), make.member(2)), (make.member(1),)
    third = make.node(3, (make.member(3),))
    known = OperatorInput(rejoin=("ctm-1", "ctm-2"), survivor="ctm-3")
    seen = make.scene(make.facts(make.node(1, pair), make.node(2, pair), third), known)
    for name in ("ctm-1", "ctm-2"):
        told = identity.bound(seen, name)
        assert told is not None and told.commands == (
            "KSCTL_URL=https://10.0.0.11 ksctl cluster nodes delete --id id-2",
            "ctmupgrade recover --rejoin ctm-1,ctm-2 --survivor ctm-3",
        )
    apart = make.scene(make.facts(make.node(1, alone), make.node(2, pair), third), known)
    assert not identity.bound(apart, "ctm-1") and not identity.bound(apart, "ctm-2"), (
        "its own list is of before"
    )
