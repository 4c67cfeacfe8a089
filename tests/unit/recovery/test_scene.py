"""What follows at once from the facts: who is silent, through whom to act, who is whom."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.recovery.scene import OperatorInput
from tests.support import recovery_facts as make


def test_a_healthy_member_is_acted_through() -> None:
    seen = make.scene(make.healthy())
    assert seen.via == "ctm-1" and seen.silent == () and seen.unmatched == () and seen.foreign == {}


def test_one_that_is_to_be_taken_out_is_not_acted_through() -> None:
    assert make.scene(make.healthy(), OperatorInput(rejoin=("ctm-1",))).via == "ctm-2"
    every = make.scene(make.healthy(), OperatorInput(rejoin=("ctm-1", "ctm-2", "ctm-3")))
    assert every.via == "" and every.all_named


def test_members_that_nobody_is_are_foreign_and_nodes_that_none_is_are_unmatched() -> None:
    members = (make.member(1), make.member(2), Member("id-x", "192.0.2.3", "d", "down"))
    seen = make.scene(make.facts(make.node(1, members), make.node(2, members), make.silent(3)))
    assert list(seen.foreign) == ["192.0.2.3"] and seen.unmatched == ("ctm-3",) and seen.silent == ("ctm-3",)


def test_a_command_keeps_what_was_given_and_contradicts_nothing() -> None:
    seen = make.scene(make.healthy(), OperatorInput(gone=("ctm-3",), rejoin=("ctm-2",)))
    assert seen.again() == "ctmupgrade recover --gone ctm-3 --rejoin ctm-2"
    assert seen.again(rejoin=("ctm-3",)) == "ctmupgrade recover --rejoin ctm-2,ctm-3"
    assert seen.again(survivor="ctm-3") == "ctmupgrade recover --rejoin ctm-2 --survivor ctm-3"
    assert seen.again(gone="ctm-2") == "ctmupgrade recover --gone ctm-3,ctm-2"
    assert seen.again(gone="ctm-1") == "ctmupgrade recover --gone ctm-3,ctm-1 --rejoin ctm-2"


def test_a_node_is_healthy_only_when_all_is_known() -> None:
    seen = make.healthy()
    assert make.scene(seen).healthy("ctm-1")
    unknown = make.with_node(seen, replace(seen.nodes["ctm-1"], unit=make.GONE))
    assert not make.scene(unknown).healthy("ctm-1")


def test_of_two_lines_at_one_address_that_with_the_nodes_own_id_is_the_node() -> None:
    """A new installation has a new id; the line of the old one stays until somebody removes it."""
    old = Member("id-old", "10.0.0.13", "d", "down")
    for members in ((make.member(3), old), (old, make.member(3))):
        listed = (make.member(1), make.member(2), *members)
        seen = make.scene(make.facts(*(make.node(i, listed) for i in (1, 2, 3))))
        assert seen.members["ctm-3"].node_id == "id-3"
        assert seen.foreign == {"ctm-3 with the id id-old": old}
