"""The diagnosis as a whole: values in, values out, and the parts weighed against each other."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import ResetNode
from ctmupgrade.core.recovery.diagnose import diagnose, without_data
from ctmupgrade.core.recovery.result import Diagnosis, Urgency
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make

NOBODY = OperatorInput()


def _diagnosed(seen: Facts, known: OperatorInput = NOBODY, past: RunHistory | None = None) -> Diagnosis:
    return diagnose(seen, make.cluster(len(seen.nodes)), known, past)


def test_a_healthy_cluster_needs_nothing() -> None:
    found = _diagnosed(make.healthy())
    assert not found.wrong and not found.steps and not found.advice and not found.losses and not found.if_left
    assert found.urgency is Urgency.NONE and found.headline.startswith("nothing is wrong")


def test_the_same_facts_give_the_same_diagnosis() -> None:
    seen = make.with_node(make.healthy(), make.silent(3))
    assert _diagnosed(seen) == _diagnosed(seen)


def test_nothing_else_is_done_while_an_upgrade_runs() -> None:
    seen = make.facts(make.node(1, (make.member(1),), processes=("ks_upgrade.sh",)), make.node(2, ()))
    found = _diagnosed(seen, OperatorInput(survivor="ctm-1"))
    assert found.steps == () and found.urgency is Urgency.WAIT


def test_nothing_is_done_where_two_urls_lead_to_one_appliance() -> None:
    listed = (make.member(1), make.member(2, "k", "killed"))
    one = make.node(1, listed)
    seen = make.facts(one, replace(one, name="ctm-2"), make.node(3, ()))
    found = _diagnosed(seen)
    assert found.steps == () and "one appliance" in found.headline
    assert not any("delete" in str(advice) for advice in found.advice)


def test_no_node_is_erased_while_the_list_has_a_member_that_it_may_be() -> None:
    """It may be the very node that would be erased, or the one that is silent."""
    stranger = Member("id-x", "192.0.2.3", "r", "ready")
    listed = (make.member(1), make.member(2), stranger)
    seen = make.facts(make.node(1, listed), make.node(2, listed), make.node(3, ()))
    found = _diagnosed(seen)
    assert found.steps == () and any("cluster_host: 192.0.2.3" in str(a) for a in found.advice)
    assert not any("delete" in str(a) for a in found.advice)
    assert any(isinstance(s.action, ResetNode) for s in _diagnosed(_without(seen, stranger)).steps)


def _without(seen: Facts, stranger: Member) -> Facts:
    return make.facts(*(make.node(i, (make.member(1), make.member(2))) for i in (1, 2)), make.node(3, ()))


def test_all_that_is_only_seen_late_may_pass() -> None:
    seen = make.healthy()
    late = make.with_node(seen, replace(seen.nodes["ctm-2"], summary=()))
    assert _diagnosed(late).passing
    assert not _diagnosed(make.with_node(seen, make.silent(3))).passing


def test_one_must_stay() -> None:
    every = OperatorInput(rejoin=("ctm-1", "ctm-2", "ctm-3"))
    found = _diagnosed(make.healthy(), every)
    assert found.steps == () and "--rejoin names every member" in found.headline


def test_a_standalone_appliance_that_is_silent_is_urgent() -> None:
    found = diagnose(make.facts(make.silent(1)), make.cluster(1, StrategyName.STANDALONE), NOBODY)
    assert found.urgency is Urgency.NOW and not found.steps and found.support


def test_who_cannot_be_relied_on_for_the_data() -> None:
    listed = (make.member(1), make.member(2, "c", "joining: catching up (4/5)"), make.member(3))
    seen = make.facts(make.node(1, listed), make.node(2, ()), make.silent(3), make.node(4, ()))
    past = RunHistory(emptied=frozenset({"ctm-4", "ctm-1"}))
    assert without_data(seen, make.cluster(4), NOBODY, past) == ("ctm-2", "ctm-3", "ctm-4")
