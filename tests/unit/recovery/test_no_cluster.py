"""Nobody forms a cluster: whose data becomes the new one's, and who stays apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctmupgrade.core.looks.cluster_views import Membership
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, Reboot, step
from ctmupgrade.core.recovery.no_cluster import no_cluster
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.past_runs import RunHistory
from tests.support import recovery_facts as make


def _removed(*, silent: int = 0) -> Facts:
    return make.facts(*(make.silent(i) if i == silent else make.node(i, ()) for i in (1, 2, 3)))


def _found(seen: Facts, known: OperatorInput | None = None, past: RunHistory | None = None) -> Part:
    return no_cluster(make.scene(seen, known, past), Part())


def _base(found: Part) -> list[str]:
    return [s.node for s in found.steps if isinstance(s.action, NewCluster)]


def test_nobody_is_chosen_where_nobody_is_named() -> None:
    found = _found(_removed())
    assert not found.steps
    assert found.advice[0].commands == tuple(f"ctmupgrade recover --survivor ctm-{i}" for i in (1, 2, 3))


def test_the_named_one_is_the_base_and_the_others_join_it() -> None:
    found = _found(_removed(), OperatorInput(survivor="ctm-2"))
    assert _base(found) == ["ctm-2"]
    assert [s.node for s in found.steps if isinstance(s.action, JoinNode)] == ["ctm-1", "ctm-3"]


@pytest.mark.parametrize("past", [RunHistory(emptied=frozenset({"ctm-2"}))])
def test_a_node_whose_data_was_erased_is_never_the_base(past: RunHistory) -> None:
    named = _found(_removed(), OperatorInput(survivor="ctm-2"), past)
    assert not named.steps and "holds no data" in named.advice[0].text
    asked = _found(_removed(), None, past)
    assert not any("ctm-2" in command for command in asked.advice[0].commands)


def test_a_node_that_is_not_healthy_is_never_the_base() -> None:
    found = _found(_removed(silent=2), OperatorInput(survivor="ctm-2"))
    assert not found.steps and "ctm-2 is not healthy" in found.advice[0].text


def test_the_survivor_of_a_rebuild_is_the_base() -> None:
    found = _found(_removed(), past=RunHistory(run="R1", survivor="ctm-1"))
    assert _base(found) == ["ctm-1"]
    hurt = _found(_removed(), past=RunHistory(run="R1", survivor="ctm-1", hurt=True))
    assert _base(hurt) == ["ctm-2"] and not any(s.node == "ctm-1" for s in hurt.steps)


def test_a_silent_survivor_is_given_up_only_by_name() -> None:
    past = RunHistory(run="R1", survivor="ctm-1")
    asks = _found(_removed(silent=1), past=past)
    assert not asks.steps
    assert [a.commands for a in asks.advice] == [
        ("ctmupgrade resume R1",),
        ("ctmupgrade recover --gone ctm-1",),
    ]
    given_up = _found(_removed(silent=1), OperatorInput(gone=("ctm-1",)), past)
    assert _base(given_up) == ["ctm-2"]


def test_a_node_with_writes_of_its_own_stays_apart() -> None:
    past = RunHistory(alone=frozenset({"ctm-3"}))
    found = _found(_removed(), OperatorInput(survivor="ctm-1"), past)
    assert [s.node for s in found.steps if isinstance(s.action, JoinNode)] == ["ctm-2"]
    held = _found(_removed(), OperatorInput(survivor="ctm-1"), RunHistory(held_back="ctm-3"))
    assert [s.node for s in held.steps if isinstance(s.action, JoinNode)] == ["ctm-2"]


def test_a_node_that_is_still_to_be_rebooted_is_waited_for() -> None:
    reboot = Part(steps=(step(Reboot(), "ctm-1", "", 1),))
    found = no_cluster(make.scene(_removed()), reboot)
    assert not found.wrong and not found.steps and "when ctm-1 is back" in found.advice[0].text


def test_a_node_that_does_not_tell_whether_it_is_a_member_may_be_the_cluster() -> None:
    """PUBLIC 22: a certificate that is not trusted makes every control plane silent. Unknown is not gone."""
    mute = [make.node(i, (), system=make.GONE, membership=make.GONE, members=make.GONE) for i in (1, 2, 3)]
    for nodes in (mute, [mute[0], make.node(2, ()), make.node(3, ())]):
        found = _found(make.facts(*nodes))
        assert not found.steps and not found.support
        assert found.wrong[0].sentence == "whether the nodes form a cluster is not known"
    named = _found(make.facts(mute[0], make.node(2, ()), make.node(3, ())), OperatorInput(survivor="ctm-2"))
    assert _base(named) == ["ctm-2"] and not any(s.node == "ctm-1" for s in named.steps)


def test_only_support_helps_where_no_node_is_healthy() -> None:
    sick = [replace(node, unit=make.GONE) for node in _removed().nodes.values()]
    assert _found(make.facts(*sick)).support


def test_one_that_calls_itself_a_member_of_no_ready_cluster_is_waited_for() -> None:
    alone = make.node(1, (make.member(1, "d", "down"),))
    found = _found(make.facts(alone, make.node(2, ()), make.node(3, ())), OperatorInput(survivor="ctm-2"))
    assert not found.steps and "reports that it is a member" in found.advice[0].text


def test_a_membership_without_a_code_has_been_left() -> None:
    """The vendor's own code takes an empty code for that, as well as `none`."""
    left = make.node(1, (), membership=Membership("id-1", ""))
    seen = make.facts(left, make.node(2, ()), make.node(3, ()))
    assert _base(_found(seen, OperatorInput(survivor="ctm-2"))) == ["ctm-2"]


def test_one_that_has_more_than_the_base_stays_apart_until_it_is_named() -> None:
    keys = {"ctm-1": 90, "ctm-2": 100, "ctm-3": 90}
    for rejoin in ((), ("ctm-2",)):
        known = OperatorInput(survivor="ctm-1", rejoin=rejoin)
        found = no_cluster(make.scene(_removed(), known, keys=keys), Part())
        joins = [s.node for s in found.steps if isinstance(s.action, JoinNode)]
        assert joins == (["ctm-2", "ctm-3"] if rejoin else ["ctm-3"])
        told = [one for one in found.advice if "more keys than ctm-1 (100, not 90)" in one.text]
        assert [one.commands for one in told] == (
            [] if rejoin else [("ctmupgrade recover --rejoin ctm-2 --survivor ctm-1",)]
        )
