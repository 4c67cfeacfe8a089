"""The headline, who serves, how soon to act, what is lost and what happens until morning."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import MakeBackup, NewCluster, RemoveNode, ResetNode, step
from ctmupgrade.core.recovery import outlook
from ctmupgrade.core.recovery.result import Trouble, Urgency
from ctmupgrade.core.recovery.scene import Scene
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

OUT = Trouble("ctm-3 does not answer", "ctm-3", explains=True, state="out", if_left="it stays out")
RESET = step(ResetNode(), "ctm-3", "", 120)


def _one_down() -> Scene:
    listed = (make.member(1), make.member(2), make.member(3, "d", "down"))
    return make.scene(make.facts(make.node(1, listed), make.node(2, listed), make.silent(3)))


def _removed(past: RunHistory | None = None) -> Scene:
    return make.scene(make.facts(*(make.node(i, ()) for i in (1, 2, 3))), past=past)


def test_one_headline_says_who_is_out_who_serves_and_how_soon() -> None:
    assert outlook.headline((OUT,), _one_down()) == (
        "ctm-3 is out; clients are served by ctm-1, ctm-2; no hurry"
    )
    healthy = make.scene(make.healthy())
    assert outlook.headline((), healthy) == "nothing is wrong; clients are served by ctm-1, ctm-2, ctm-3"


def test_equal_states_are_told_together_and_long_lists_are_cut() -> None:
    many = make.scene(make.healthy(20))
    wrong = tuple(Trouble("x", f"ctm-{i}", True, "out") for i in range(1, 10))
    said = outlook.headline(wrong, many)
    assert said.startswith("ctm-1, ctm-2, ctm-3 and 6 more are out; clients are served by 20 of 20 nodes")


def test_who_serves_alone_is_said_and_is_urgent() -> None:
    listed = (make.member(1), make.member(2, "d", "down"))
    seen = make.scene(make.facts(make.node(1, listed), make.silent(2)))
    said = outlook.headline((replace(OUT, node="ctm-2"),), seen)
    assert said == "ctm-2 is out; clients are served by ctm-1 alone, without high availability; act today"


def test_no_one_serves_is_urgent_whatever_else_is_wrong() -> None:
    nobody = make.scene(make.facts(make.silent(1), make.silent(2)))
    assert outlook.urgency_of((OUT,), nobody) is Urgency.NOW
    assert outlook.headline((OUT,), nobody) == "no node answers; no node is known to serve clients; act now"


def test_nodes_that_do_not_tell_are_not_said_to_be_out() -> None:
    mute = replace(make.node(1, ()), services=make.GONE, system=make.GONE, membership=make.GONE)
    seen = make.scene(make.facts(mute, make.silent(2)))
    assert outlook.urgency_of((OUT,), seen) is Urgency.TODAY
    assert outlook.works(seen) == ("no node is known to serve clients",)


def test_an_upgrade_that_runs_is_waited_for_whatever_else_is_wrong() -> None:
    waits = replace(OUT, urgency=Urgency.WAIT)
    assert outlook.urgency_of((OUT, waits), _one_down()) is Urgency.WAIT


def test_a_node_apart_is_not_said_to_serve() -> None:
    """TRIAL A7d: it was named as serving, and clients were told not to use it, in one breath."""
    listed = (make.member(1), make.member(2), make.member(3, "c", "joining: catching up (4/5)"))
    joins = make.scene(make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ())))
    assert outlook.works(joins) == ("serving clients: ctm-1, ctm-2",)
    apart = make.scene(make.facts(*(make.node(i, listed[:2]) for i in (1, 2)), make.node(3, ())))
    assert outlook.works(apart)[0] == "serving clients: ctm-1, ctm-2"
    assert "clients must not use it" in outlook.works(apart)[1]


def test_who_is_apart_is_not_told_where_urls_do_not_tell_nodes_apart() -> None:
    """The id of the first was given to the second, and the first was taken for a node outside the cluster."""
    for others, known in ((1, ()), (2, ("ctm-3",))):
        listed = tuple(make.member(i) for i in range(1, others + 2))
        one = make.node(1, listed)
        nodes = [one, replace(one, name="ctm-2"), *(make.node(i, listed) for i in range(3, others + 2))]
        seen = make.scene(make.facts(*nodes))
        assert outlook.service_of(seen) == outlook.Service(known, unsure=("ctm-1", "ctm-2"))
        assert outlook.urgency_of((OUT,), seen) is Urgency.NO_HURRY
        last = "which of ctm-1, ctm-2 serves clients is not known: their urls do not tell them apart"
        assert outlook.works(seen) == (*(f"serving clients: {name}" for name in known), last)
        assert "alone" not in outlook.headline((OUT,), seen)


def test_who_is_apart_is_not_told_where_urls_were_exchanged() -> None:
    listed = (make.member(1), make.member(2))
    first, second = make.node(1, listed), make.node(2, listed)
    exchanged = (replace(first, membership=second.membership), replace(second, membership=first.membership))
    seen = outlook.service_of(make.scene(make.facts(*exchanged, make.node(3, ()))))
    assert seen == outlook.Service((), unsure=("ctm-1", "ctm-2"))


def test_a_node_whose_data_was_erased_serves_nobody() -> None:
    seen = _removed(RunHistory(emptied=frozenset({"ctm-2"})))
    assert outlook.service_of(seen).serving == ("ctm-1", "ctm-3")


def test_where_none_forms_a_cluster_each_serves_by_itself() -> None:
    assert outlook.works(_removed())[0].startswith("serving clients, each separately: ctm-1, ctm-2, ctm-3;")
    one = make.scene(make.facts(make.node(1, ())), strategy=StrategyName.STANDALONE)
    assert outlook.works(one) == ("serving clients: ctm-1",)


def test_services_that_are_not_known_are_not_said_to_serve() -> None:
    seen = make.healthy()
    odd = make.with_node(seen, replace(seen.nodes["ctm-2"], services=make.GONE))
    assert outlook.service_of(make.scene(odd)).serving == ("ctm-1", "ctm-3")


def test_what_is_erased_is_told_with_whether_it_is_backed_up() -> None:
    (without,) = outlook.losses(_removed(), (RESET,))
    assert "NO backup of it is made" in without and "what clients wrote to it alone" in without
    backup = step(MakeBackup(), "ctm-3", "", 60)
    (with_one,) = outlook.losses(_removed(), (backup, RESET))
    assert "a backup of it is made first" in with_one
    (empty,) = outlook.losses(_removed(RunHistory(emptied=frozenset({"ctm-3"}))), (RESET,))
    assert empty.startswith("ctm-3: no data")


def test_what_did_not_reach_the_others_is_lost() -> None:
    gone = step(RemoveNode("ctm-1", "id-3", force=True), "ctm-3", "", 10)
    assert outlook.losses(_one_down(), (gone,))[0].startswith("ctm-3: what clients wrote to it that had not")
    made = step(NewCluster(), "ctm-2", "", 10)
    lost = outlook.losses(_removed(RunHistory(run="R1", survivor="ctm-1")), (made,))
    assert lost[0].startswith("ctm-1: what clients wrote to it after")
    assert outlook.losses(_removed(), ()) == ()
    assert outlook.losses(_removed(), (made,)) == ("nothing; no node is removed or erased",)


def test_what_happens_until_morning_is_told_once_for_all_nodes() -> None:
    both = (OUT, replace(OUT, node="ctm-2"))
    assert outlook.if_left(both) == ("ctm-3, ctm-2: it stays out",)
    assert outlook.if_left((replace(OUT, if_left=""),)) == (
        "nothing gets worse by itself, as far as is known",
    )
