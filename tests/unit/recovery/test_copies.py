"""Who has more than whom: nothing is erased for a node that has far less, unless a person names both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.plan.steps import JoinNode, NewCluster
from ctmupgrade.core.recovery import copies
from ctmupgrade.core.recovery.decide import keeps_own_data
from ctmupgrade.core.recovery.no_cluster import no_cluster
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

LOST = {"ctm-1": 0, "ctm-2": 100, "ctm-3": 100}


def _lone() -> Facts:
    """ctm-1 forms a cluster alone; the others are in none."""
    return make.facts(make.node(1, (make.member(1),)), make.node(2, ()), make.node(3, ()))


def _none() -> Facts:
    return make.facts(*(make.node(i, ()) for i in (1, 2, 3)))


def test_half_is_enough_and_what_is_not_told_proves_nothing() -> None:
    for keys in ({"ctm-1": 50, "ctm-2": 100}, {"ctm-2": 100}, {"ctm-1": 0}, {}):
        assert copies.kept(make.scene(_lone(), keys=keys), ["ctm-2"], "ctm-1") == ((), ["ctm-2"]), keys
    told, free = copies.kept(make.scene(_lone(), keys={"ctm-1": 49, "ctm-2": 100}), ["ctm-2"], "ctm-1")
    assert told and not free


def test_only_both_names_give_up_what_a_node_has() -> None:
    for known in (OperatorInput(rejoin=("ctm-2",)), OperatorInput(survivor="ctm-1")):
        told, _ = copies.kept(make.scene(_lone(), known, keys=LOST), ["ctm-2"], "ctm-1")
        assert "ctm-1 has 0 of 100 keys that ctm-2 has" in told[0].text
        assert told[-1].commands == ("ctmupgrade recover --rejoin ctm-2 --survivor ctm-1",)
    both = OperatorInput(rejoin=("ctm-2",), survivor="ctm-1")
    assert copies.kept(make.scene(_lone(), both, keys=LOST), ["ctm-2"], "ctm-1") == ((), ["ctm-2"])


def test_several_in_the_same_state_are_given_up_with_one_command() -> None:
    """One command a node would leave the other one apart, and print the next command only then."""
    told, free = copies.kept(make.scene(_lone(), keys=LOST), ["ctm-2", "ctm-3"], "ctm-1")
    assert not free
    assert [one.commands for one in told] == [
        (),
        ("ctmupgrade recover --survivor ctm-2", "ctmupgrade recover --survivor ctm-3"),
        ("ctmupgrade recover --rejoin ctm-2,ctm-3 --survivor ctm-1",),
    ]
    assert "ctm-2, ctm-3 are not erased: ctm-1 has 0 of 100 keys that each of them has" in told[0].text
    unequal = make.scene(_lone(), keys={**LOST, "ctm-3": 70, "ctm-1": 10})
    two, _ = copies.kept(unequal, ["ctm-2", "ctm-3"], "ctm-1")
    assert [one.text.partition(":")[0] for one in two[:2]] == ["ctm-2 is not erased", "ctm-3 is not erased"]
    assert two[-1].commands == told[-1].commands
    some, rest = copies.kept(make.scene(_lone(), keys={**LOST, "ctm-3": 0}), ["ctm-2", "ctm-3"], "ctm-1")
    assert rest == ["ctm-3"] and some[-1].commands == ("ctmupgrade recover --rejoin ctm-2 --survivor ctm-1",)


def test_an_empty_cluster_of_one_gives_way_to_the_node_with_the_data() -> None:
    named = OperatorInput(survivor="ctm-2")
    seen = make.scene(_lone(), named, keys=LOST)
    assert seen.replaced == "ctm-1" and seen.via == "" and not copies.unheard_survivor(seen)
    found = no_cluster(seen, Part())
    assert [s.node for s in found.steps if isinstance(s.action, NewCluster)] == ["ctm-2"]
    assert "ctm-1 alone forms the cluster, and has 0 of 100 keys that ctm-2 has" in found.wrong[0].text
    for keys in ({"ctm-1": 60, "ctm-2": 100}, {"ctm-2": 100}, {}):
        kept = make.scene(_lone(), named, keys=keys)
        assert kept.via == "ctm-1" and not kept.replaced, "it is not known to have lost anything"
        assert "ctm-1 forms a cluster" in str(copies.unheard_survivor(kept))
    pair = (make.member(1), make.member(3))
    apart = make.facts(make.node(1, pair), make.node(2, (make.member(2),)), make.node(3, pair))
    told = copies.unheard_survivor(make.scene(apart, named))
    assert (
        told is not None
        and "different clusters" in told.text
        and "leave ctm-1 alone in the other" in told.text
    )
    assert told.commands == (
        "KSCTL_URL=https://10.0.0.11 ksctl cluster nodes delete --id id-3",
        "ctmupgrade recover --rejoin ctm-1,ctm-3 --survivor ctm-2",
    )
    two = make.facts(make.node(1, (make.member(1),)), make.node(2, (make.member(2),)))
    alone = copies.unheard_survivor(make.scene(two, OperatorInput(survivor="ctm-2")))
    assert alone is None, "equal ones: the named one is acted through"


def test_a_poor_survivor_is_not_the_base_unasked() -> None:
    past = RunHistory(run="R1", survivor="ctm-1")
    found = no_cluster(make.scene(_none(), past=past, keys=LOST), Part())
    assert (
        not found.steps
        and "ctm-1 (2.20.0+15016, 0 keys), ctm-2 (2.20.0+15016, 100 keys)" in found.advice[0].text
    )
    named = no_cluster(make.scene(_none(), OperatorInput(survivor="ctm-1"), past, keys=LOST), Part())
    assert not any(isinstance(s.action, JoinNode) for s in named.steps), "what the others have is not erased"
    assert "ctm-2, ctm-3 are not erased" in named.advice[0].text


def test_keys_that_are_there_prove_that_nothing_was_erased() -> None:
    past = RunHistory(run="R1", survivor="ctm-1", emptied=frozenset({"ctm-2", "ctm-3"}))
    seen = make.scene(_none(), past=past, keys={"ctm-1": 100, "ctm-2": 100, "ctm-3": 0})
    assert seen.emptied == {"ctm-3"}
    assert keeps_own_data(seen, "ctm-2") and not keeps_own_data(seen, "ctm-3")


def test_a_presumed_holder_is_the_base_only_by_name() -> None:
    past = RunHistory(run="R1", survivor="ctm-1", emptied=frozenset({"ctm-2", "ctm-3"}), keys={"ctm-1": 100})
    lost = make.facts(make.silent(1), make.node(2, ()), make.node(3, ()))
    keys = {"ctm-2": 100, "ctm-3": 0}
    asks = no_cluster(make.scene(lost, past=past, keys=keys), Part())
    assert [a.commands[0] for a in asks.advice] == ["ctmupgrade resume R1", "ctmupgrade recover --gone ctm-1"]
    gone = no_cluster(make.scene(lost, OperatorInput(gone=("ctm-1",)), past, keys=keys), Part())
    assert not gone.steps
    assert gone.advice[0].commands == ("ctmupgrade recover --gone ctm-1 --survivor ctm-2",)


def test_one_that_joins_is_not_backed_up() -> None:
    listed = (make.member(1), make.member(2), make.member(3, "c", "joining: catching up (4/5)"))
    seen = make.scene(make.facts(*(make.node(i, listed) for i in (1, 2, 3))))
    assert not keeps_own_data(seen, "ctm-3") and keeps_own_data(seen, "ctm-2")


def test_who_has_more_than_all_that_are_to_be_taken_out_is_named() -> None:
    found = copies.all_named(make.scene(_lone(), OperatorInput(rejoin=("ctm-1",)), keys=LOST))
    assert [a.commands for a in found.advice[1:]] == [
        (
            "ctmupgrade recover --rejoin ctm-1 --survivor ctm-2",
            "ctmupgrade recover --rejoin ctm-1 --survivor ctm-3",
        ),
    ]


def test_who_has_more_than_two_that_are_to_be_taken_out_cannot_take_their_place() -> None:
    """A cluster of two gives way to nobody: a command for it would print itself again."""
    pair = (make.member(1), make.member(2))
    seen = make.facts(make.node(1, pair), make.node(2, pair), make.node(3, ()))
    keys = {"ctm-1": 0, "ctm-2": 0, "ctm-3": 100}
    found = copies.all_named(make.scene(seen, OperatorInput(rejoin=("ctm-1", "ctm-2")), keys=keys))
    assert [a.commands for a in found.advice[1:]] == [("ctmupgrade record support-looks",)]
    assert "ask vendor support" in found.advice[1].text


def _presumed(keys: dict[str, int], **more: Any) -> frozenset[str]:
    past = RunHistory(emptied=frozenset({"ctm-2"}), keys=more.pop("written", {}))
    return make.scene(
        make.facts(make.silent(1), make.node(2, ()), make.node(3, ()), **more), past=past, keys=keys
    ).emptied


@pytest.mark.parametrize("has", [0, 60, 98])
def test_a_part_of_the_keys_proves_no_join(has: int) -> None:
    """One that died in its initial sync leaves some."""
    own = replace(make.manifest("ctm-2"), counts={"keys": has})
    backed = replace(make.manifest("ctm-1"), counts={"keys": 100})
    for more in ({}, {"manifests": (own,)}, {"manifests": (backed,)}, {"written": {"ctm-1": 100}}):
        assert _presumed({"ctm-2": has}, **more) == {"ctm-2"}, more
    assert _presumed({"ctm-2": has, "ctm-3": 100}) == {"ctm-2"}


def test_as_many_keys_as_there_were_prove_a_join() -> None:
    backed = replace(make.manifest("ctm-1"), counts={"keys": 100})
    assert not _presumed({"ctm-2": 99}, manifests=(backed,))
    assert not _presumed({"ctm-2": 99}, written={"ctm-1": 100})
    assert not _presumed({"ctm-2": 99, "ctm-3": 100})


def test_a_part_is_backed_up_before_it_is_erased_and_nothing_is_not() -> None:
    past = RunHistory(emptied=frozenset({"ctm-2"}))
    seen = make.scene(_none(), past=past, keys={"ctm-1": 100, "ctm-2": 60, "ctm-3": 0})
    assert seen.partial == ("ctm-2",) and keeps_own_data(seen, "ctm-2") and keeps_own_data(seen, "ctm-3")
    users = {name: {**found, "users": 1} for name, found in seen.counts.items()}
    told = replace(seen, counts=users)
    assert not keeps_own_data(told, "ctm-3") and keeps_own_data(told, "ctm-1")
    more = replace(seen, counts={**users, "ctm-3": {"keys": 0, "users": 2}})
    assert keeps_own_data(more, "ctm-3"), "somebody made a user there"
    empty = replace(seen, counts={name: {"keys": 0, "users": 1} for name in users}, past=RunHistory())
    assert keeps_own_data(empty, "ctm-3"), "where no node has a key that tells nothing"
