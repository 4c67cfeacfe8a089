"""Plans as graphs: which step waits for which, in each strategy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctmupgrade.core.looks.cluster_views import Membership
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.differences import differences
from ctmupgrade.core.plan.plan import Plan, make_plan
from ctmupgrade.core.plan.steps import JoinNode, Reboot, RemoveNode, RunUpgrade
from tests.unit.values import NEW, cluster, facts, manifest, node_facts


def before(plan: Plan, step: str) -> set[str]:
    """Everything that is over when ``step`` starts."""
    found: set[str] = set()
    todo = list(plan.step(step).after)
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += plan.step(one).after
    return found


def of(plan: Plan, kind: type) -> list[str]:
    """Ids of the steps with this kind of action, in order."""
    return [s.id for s in plan.steps if isinstance(s.action, kind)]


@pytest.fixture(name="in_place")
def _in_place() -> Plan:
    return make_plan(facts(), cluster(), Options())


@pytest.fixture(name="rebuild")
def _rebuild() -> Plan:
    return make_plan(facts(), cluster(strategy=StrategyName.REBUILD), Options())


def test_in_place_upgrades_in_the_files_order(in_place: Plan) -> None:
    assert of(in_place, RunUpgrade) == ["upgrade:ctm-1", "upgrade:ctm-2", "upgrade:ctm-3"]


def test_a_node_is_taken_out_only_when_the_one_before_has_settled(in_place: Plan) -> None:
    assert {"settle:ctm-1", "gate:ctm-2"} <= before(in_place, "upgrade:ctm-2")
    assert {"settle:ctm-2", "gate:ctm-3"} <= before(in_place, "upgrade:ctm-3")


@pytest.mark.parametrize("strategy", list(StrategyName))
def test_nothing_is_changed_before_signature_and_backup(strategy: StrategyName) -> None:
    count = 1 if strategy is StrategyName.STANDALONE else 3
    seen = facts(count)
    if count == 1:
        seen = replace(seen, nodes={"ctm-1": replace(node_facts(1, 1), membership=Membership("", "none"))})
    plan = make_plan(seen, cluster(count, strategy), Options())
    for step in plan.steps:
        if isinstance(step.action, RunUpgrade | Reboot | RemoveNode):
            assert {"verify-archive", f"backup:{step.node}"} <= before(plan, step.id), step.id


def test_a_node_at_the_target_is_left_alone() -> None:
    plan = make_plan(facts(ctm_1=node_facts(1, version=NEW)), cluster(), Options())
    assert of(plan, RunUpgrade) == ["upgrade:ctm-2", "upgrade:ctm-3"] and "ctm-1" not in plan.nodes


def test_a_cluster_at_the_target_needs_no_step() -> None:
    done = facts(3, **{f"ctm_{n}": node_facts(n, version=NEW) for n in (1, 2, 3)})
    assert make_plan(done, cluster(), Options()).steps == ()


def test_a_fresh_backup_is_not_made_again() -> None:
    plan = make_plan(replace(facts(), manifests=(manifest(2),)), cluster(), Options())
    assert "backup:ctm-2" not in {s.id for s in plan.steps} and "backup:ctm-1" in {s.id for s in plan.steps}


def test_the_order_that_is_asked_for_is_kept() -> None:
    plan = make_plan(facts(), cluster(), Options(order=("ctm-3", "ctm-1", "ctm-2")))
    assert of(plan, RunUpgrade) == ["upgrade:ctm-3", "upgrade:ctm-1", "upgrade:ctm-2"]


def test_a_rebuild_removes_before_it_upgrades_and_joins_one_at_a_time(rebuild: Plan) -> None:
    assert of(rebuild, RemoveNode) == ["remove:ctm-2", "remove:ctm-3"]
    assert of(rebuild, JoinNode) == ["join:ctm-2", "join:ctm-3"]
    assert {"new-cluster:ctm-1", "await:ctm-2"} <= before(rebuild, "join:ctm-2")
    assert "join:ctm-2" in before(rebuild, "join:ctm-3")


def test_a_rebuild_never_removes_its_survivor() -> None:
    options = Options(survivor="ctm-3")
    plan = make_plan(facts(), cluster(strategy=StrategyName.REBUILD), options)
    assert of(plan, RemoveNode) == ["remove:ctm-1", "remove:ctm-2"] and "join:ctm-3" not in {
        s.id for s in plan.steps
    }


def test_the_same_facts_make_the_same_plan(in_place: Plan) -> None:
    assert make_plan(facts(), cluster(), Options()) == in_place
    other = make_plan(facts(ctm_2=node_facts(2, version="2.20.1")), cluster(), Options())
    assert other.id != in_place.id
    before, after = ({"basis": plan.basis, "steps": []} for plan in (in_place, other))
    assert [line.partition(":")[0] for line in differences(before, after)] == ["ctm-2"]


def test_the_longest_chain_is_the_time_of_a_plan(in_place: Plan) -> None:
    assert in_place.critical_path_s() < sum(s.estimate_s for s in in_place.steps)
    assert in_place.critical_path_s() >= 3 * in_place.step("upgrade:ctm-1").estimate_s
