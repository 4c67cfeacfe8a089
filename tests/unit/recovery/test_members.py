"""Members that are silent, foreign, apart or joining."""

from __future__ import annotations

from datetime import timedelta

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts, NodeFacts
from ctmupgrade.core.plan.steps import RemoveNode, ResetNode
from ctmupgrade.core.recovery import members
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

STRANGER = Member("id-x", "192.0.2.3", "d", "down")


def _cluster_with(stranger: Member, third: NodeFacts, *more: Member) -> Facts:
    listed = (make.member(1), make.member(2), stranger, *more)
    return make.facts(make.node(1, listed), make.node(2, listed), third)


def test_a_silent_node_that_may_be_listed_by_another_name_is_not_called_removed() -> None:
    seen = make.scene(_cluster_with(STRANGER, make.silent(3)), OperatorInput(gone=("ctm-3",)))
    found = members.silent(seen)
    assert found.wrong and not found.steps and not any("no member any more" in str(a) for a in found.advice)
    left = make.facts(*(make.node(i, (make.member(1), make.member(2))) for i in (1, 2)), make.silent(3))
    said = members.silent(make.scene(left, OperatorInput(gone=("ctm-3",))))
    assert not said.wrong and "no longer a member" in said.advice[0].text


def test_a_silent_member_is_removed_only_when_somebody_says_that_it_is_gone() -> None:
    listed = (make.member(1), make.member(2), make.member(3, "d", "down"))
    seen = make.facts(make.node(1, listed), make.node(2, listed), make.silent(3))
    asks = members.silent(make.scene(seen))
    assert asks.steps == () and asks.advice[0].commands == ("ctmupgrade recover --gone ctm-3",)
    (removal,) = members.silent(make.scene(seen, OperatorInput(gone=("ctm-3",)))).steps
    assert removal.action == RemoveNode("ctm-1", "id-3", force=True)


def test_a_node_that_answers_is_not_removed_as_gone() -> None:
    found = members.silent(make.scene(make.healthy(), OperatorInput(gone=("ctm-2",))))
    assert found.steps == () and found.advice[0].commands == ("ctmupgrade recover --rejoin ctm-2",)


def test_where_no_node_answers_the_way_to_them_is_looked_at_first() -> None:
    found = members.silent(make.scene(make.facts(*(make.silent(i) for i in (1, 2, 3)))))
    assert len(found.wrong) == 3 and len(found.advice) == 1 and "whether this machine" in found.advice[0].text


def _joining() -> Facts:
    listed = (make.member(1), make.member(2), make.member(3, "c", "joining: catching up (4/5)"))
    return make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ()))


def test_a_join_says_since_when_where_a_run_began_it() -> None:
    began = make.AT - timedelta(minutes=35)
    known = members.apart(make.scene(_joining(), past=RunHistory(joins={"ctm-3": began})), Part())
    assert known.wrong[0].text.endswith("since 2026-01-10 21:25 (35 min)")
    unknown = members.apart(make.scene(_joining()), Part())
    assert "since when is not known" in unknown.wrong[0].text


def test_a_join_longer_than_its_time_out_hangs() -> None:
    for minutes, said in ((119, "check again later"), (121, "so it hangs")):
        began = {"ctm-3": make.AT - timedelta(minutes=minutes)}
        found = members.apart(make.scene(_joining(), past=RunHistory(joins=began)), Part())
        assert said in found.advice[0].text and not found.steps


def test_a_member_without_a_state_has_just_joined() -> None:
    """docs/appliance.md 4.3: an empty code passes within about 100 s on 2.21."""
    listed = (make.member(1), make.member(2), make.member(3, "", ""))
    seen = make.scene(make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ())))
    found = members.apart(seen, Part())
    assert not found.steps and seen.joining == ["ctm-3"] and "without a state yet" in found.wrong[0].text


def test_a_member_that_is_being_removed_is_waited_for() -> None:
    listed = (make.member(1), make.member(2), make.member(3, "m", "removing"))
    seen = make.scene(make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ())))
    found = members.apart(seen, Part())
    assert not found.steps and "wait a few minutes" in found.advice[0].text


def test_a_join_is_ended_only_when_somebody_names_it() -> None:
    assert members.apart(make.scene(_joining()), Part()).steps == ()
    named = members.apart(make.scene(_joining(), OperatorInput(rejoin=("ctm-3",))), Part())
    first = next(s for s in named.steps if isinstance(s.action, ResetNode))
    assert first.action == ResetNode("ctm-1")


def test_a_node_for_which_something_is_done_already_is_left_to_that() -> None:
    listed = (make.member(1), make.member(2), make.member(3, "k", "killed"))
    seen = make.scene(make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ())))
    alone = members.apart(seen, Part())
    assert {s.node for s in alone.steps} == {"ctm-3"}
    assert members.apart(seen, Part(steps=alone.steps[:1])) == Part()


def test_a_node_with_clients_writes_of_its_own_is_not_taken_back_by_itself() -> None:
    listed = (make.member(1), make.member(2))
    seen = make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ()))
    found = members.apart(make.scene(seen, past=RunHistory(alone=frozenset({"ctm-3"}))), Part())
    assert found.steps == () and "it kept the cluster's data" in found.advice[0].text
    held = members.apart(make.scene(seen, past=RunHistory(held_back="ctm-3")), Part())
    assert held.steps == () and not held.wrong


def test_a_lone_cluster_takes_nobody_in_before_its_data_is_vouched_for() -> None:
    seen = make.facts(make.node(1, (make.member(1),)), make.node(2, ()))
    doubt = members.apart(make.scene(seen), Part())
    assert doubt.steps == () and doubt.advice[0].commands == ("ctmupgrade recover --survivor ctm-1",)
    assert members.apart(make.scene(seen, OperatorInput(survivor="ctm-1")), Part()).steps
