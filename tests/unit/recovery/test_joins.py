"""Out of the cluster and into it again, one change at a time."""

from __future__ import annotations

from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.plan.steps import JoinNode, RemoveNode, ResetNode, RunUpgrade
from ctmupgrade.core.recovery import joins
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.recovery.scene import OperatorInput
from tests.support import recovery_facts as make

KINDS = (
    "record-settings",
    "remove",
    "delete-cluster",
    "reset",
    "restore-settings",
    "join",
    "compare-settings",
)


def _listed(code: str, said: str, *, silent: bool = False) -> Facts:
    members = (make.member(1), make.member(2), make.member(3, code, said))
    third = make.silent(3) if silent else make.node(3, ())
    return make.facts(make.node(1, members), make.node(2, members), third)


def _kinds(found: Part) -> list[str]:
    return [s.action.kind for s in found.steps]


def test_a_broken_member_goes_out_before_it_comes_in() -> None:
    found = joins.take_all_back(make.scene(_listed("k", "killed")), ["ctm-3"])
    assert tuple(_kinds(found)) == KINDS
    assert next(s.action for s in found.steps if isinstance(s.action, RemoveNode)) == RemoveNode(
        "ctm-1", "id-3"
    )


def test_a_join_that_hangs_is_ended_before_its_node_is_removed() -> None:
    seen = make.scene(_listed("c", "joining: catching up (4/5)"), OperatorInput(rejoin=("ctm-3",)))
    kinds = _kinds(joins.take_all_back(seen, ["ctm-3"]))
    assert kinds.index("reset") < kinds.index("remove") and kinds.count("reset") == 1


def test_nothing_is_erased_while_another_node_joins() -> None:
    members = (make.member(1), make.member(2, "c", "joining: catching up (4/5)"))
    seen = make.scene(make.facts(make.node(1, members), make.node(2, ()), make.node(3, ())))
    found = joins.take_all_back(seen, ["ctm-3"])
    assert not found.steps and found.advice[0].commands == ("ctmupgrade recover --rejoin ctm-2",)


def test_nothing_is_erased_for_a_join_that_could_not_start() -> None:
    members = (make.member(1), make.member(2, "d", "down"))
    seen = make.scene(make.facts(make.node(1, members), make.silent(2), make.node(3, ())))
    found = joins.take_all_back(seen, ["ctm-3"])
    assert not found.steps and "must be ready or removed first" in found.advice[0].text


def test_a_node_of_another_version_joins_only_after_its_upgrade() -> None:
    members = (make.member(1),)
    older = make.facts(make.node(1, members, make.NEW), make.node(2, ()))
    kinds = joins.take_back(make.scene(older), "ctm-2", "ctm-1").steps
    assert any(isinstance(s.action, RunUpgrade) for s in kinds)
    newer = make.facts(make.node(1, members), make.node(2, (), make.NEW))
    refused = joins.take_back(make.scene(newer), "ctm-2", "ctm-1")
    assert not refused.steps and "only equal versions join" in refused.advice[0].text


def test_a_node_whose_control_plane_is_silent_does_not_join() -> None:
    seen = make.facts(make.node(1, (make.member(1),)), make.node(2, (), system=make.GONE))
    assert not joins.take_back(make.scene(seen), "ctm-2", "ctm-1").steps


def test_those_that_are_gone_are_removed_by_force() -> None:
    seen = make.scene(_listed("d", "down", silent=True), OperatorInput(gone=("ctm-3",)))
    assert [s.action for s in joins.remove_gone(seen).steps] == [RemoveNode("ctm-1", "id-3", force=True)]
    assert joins.remove_gone(make.scene(_listed("d", "down", silent=True))).steps == ()


def test_every_reset_is_followed_by_its_join() -> None:
    found = joins.take_all_back(make.scene(_listed("k", "killed")), ["ctm-3"])
    reset = next(i for i, s in enumerate(found.steps) if isinstance(s.action, ResetNode))
    assert any(isinstance(s.action, JoinNode) for s in found.steps[reset:])
