"""What a plan promises about its time, against what the simulator takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.core.looks.facts import ArchiveFacts, Facts, SystemInfo
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.past_times import Estimate, PastStep, PastTimes, estimate_of
from ctmupgrade.core.plan.estimates import node_seconds, worst_of
from ctmupgrade.core.plan.plan import Plan, make_plan
from ctmupgrade.core.run.incidents import Incident
from ctmupgrade.core.run.past_steps import past_times
from ctmupgrade.core.run.report import make_report
from ctmupgrade.sim import Fault
from tests.support.golden import SCENARIOS, call
from tests.support.world_run import Drive, make_world
from tests.unit import values

TIMES = {"upgrade_s": 1860, "reboot_s": 300, "start_s": 120, "join_s": 1800}


def _critical_path_s(plan: Plan, real: Mapping[str, int]) -> int:
    """The longest chain with the world's own times instead of the estimates."""
    timed = tuple(replace(s, estimate_s=real.get(s.action.kind, s.estimate_s)) for s in plan.steps)
    return replace(plan, steps=timed).critical_path_s()


@pytest.mark.parametrize("strategy", [StrategyName.REBUILD, StrategyName.IN_PLACE])
def test_ten_nodes_take_as_long_as_their_critical_path(strategy: StrategyName, tmp_path: Path) -> None:
    world = make_world(10, defaults={"times": TIMES})
    drive = Drive(world, tmp_path, strategy)
    plan = drive.plan()
    began = world.now
    assert drive.start(plan) == 0
    took = world.now - began
    best = _critical_path_s(plan, {"upgrade": 1860, "reboot": 300, "await": 120, "join": 1800, "gate": 0})
    assert took <= 1.05 * best
    assert plan.critical_path_s() == pytest.approx(took, rel=0.10)


def test_rebuild_upgrades_removed_nodes_side_by_side(tmp_path: Path) -> None:
    drive = Drive(make_world(5), tmp_path, StrategyName.REBUILD)
    assert drive.start() == 0
    survivor, *others = [e.at for e in drive.world.of_kind("upgrade_started")]
    assert len(others) == 4
    assert max(others) - min(others) <= 60 and min(others) > survivor
    joins = drive.world.of_kind("join_started")
    ends = drive.world.of_kind("join_done")
    assert all(nxt.at >= end.at for nxt, end in zip(joins[1:], ends, strict=False)), "one join at a time"


# -- learnt from earlier runs ------------------------------------------------------------------------


def planned(*past: PastStep, facts: Facts | None = None, target: str = "2.21.0") -> Plan:
    """The plan of a healthy cluster of three, in which earlier runs took so long."""
    seen = replace(facts or values.facts(), past_times=PastTimes(past))
    return make_plan(seen, values.cluster(target=target), Options())


def upgrade_of(plan: Plan, kind: str = "upgrade", node: str = "ctm-1") -> Estimate:
    step = plan.step(f"{kind}:{node}")
    return Estimate(step.estimate_s, step.worst_s)


def test_without_any_earlier_run_the_script_takes_as_long_as_it_was_seen_to() -> None:
    assert upgrade_of(planned()) == Estimate(1860, 1860)
    assert upgrade_of(planned(target="2.23.0")).usual > 1860, "more versions are crossed"
    plan = planned()
    assert all(worst_of(step) >= step.estimate_s > 0 for step in plan.steps)
    assert plan.critical_path_s(worst=True) > plan.critical_path_s()


def test_what_earlier_runs_took_counts_by_hop_and_model() -> None:
    facts = values.facts()
    system = facts.nodes["ctm-3"].system
    assert isinstance(system, SystemInfo)
    other = replace(facts.nodes["ctm-3"], system=replace(system, model="CipherTrust Manager k570"))
    facts = replace(facts, nodes={**facts.nodes, "ctm-3": other})
    hop, another = "2.20 -> 2.21", "2.19 -> 2.20"
    past = [PastStep("upgrade", "ctm-2", hop, seconds) for seconds in (900, 1000, 1000, 1000, 1100)]
    past += [PastStep("upgrade", "ctm-3", hop, 3000), PastStep("upgrade", "ctm-1", another, 99)]
    plan = planned(*past, facts=facts)
    assert upgrade_of(plan) == Estimate(1000, 1100), "of its model, over this hop"
    assert upgrade_of(plan, node="ctm-3") == Estimate(3000, 3750), "one sample says little of the worst"
    assert upgrade_of(planned(PastStep("upgrade", "ctm-2", another, 700)), "upgrade").usual == 700, (
        "better than nothing"
    )
    assert upgrade_of(planned(*past, facts=facts), "reboot").usual == 300, "of which no run tells"


def test_an_upload_is_estimated_by_the_link_of_its_node_and_the_archives_size() -> None:
    archive = values.facts().archive
    assert isinstance(archive, ArchiveFacts)
    now = archive.size
    past = (PastStep("stage", "ctm-1", "", 100.0, now // 2), PastStep("stage", "ctm-2", "", 1000.0, now),
            PastStep("stage", "ctm-2", "", 1000.0, 0))  # fmt: skip
    plan = planned(*past)
    assert upgrade_of(plan, "stage").usual == pytest.approx(200, abs=1)
    assert upgrade_of(plan, "stage", "ctm-2").usual == 1000
    assert upgrade_of(plan, "stage", "ctm-3").usual == pytest.approx(600, abs=1), "as the other links"


def test_median_and_p90() -> None:
    assert estimate_of([10, 20]) == Estimate(15, 25)
    assert estimate_of([100] * 18 + [500, 900]) == Estimate(100, 100)
    assert estimate_of([100] * 17 + [500] * 3) == Estimate(100, 500)
    assert estimate_of([0.2]) == Estimate(1, 1)


def test_the_second_run_of_a_cluster_is_planned_by_the_first(tmp_path: Path) -> None:
    """Failures, pauses and what was done already teach nothing."""
    first = Drive(make_world(2, defaults={"times": {"upgrade_s": 700, "reboot_s": 90}}), tmp_path)
    first.world.inject(Fault("upgrade_fails", "ctm-2"))
    assert first.start() != 0
    learnt = past_times([first.state])
    assert {(one.kind, one.node) for one in learnt.steps if one.kind == "upgrade"} == {("upgrade", "ctm-1")}
    assert learnt.runs == 1 and {one.hop for one in learnt.steps if one.node} == {"2.20 -> 2.21"}
    result, _ = check.plan(Drive(make_world(2), tmp_path / "next").setup())
    plan = make_plan(replace(result.facts, past_times=learnt), first.cluster, Options())
    assert upgrade_of(plan).usual == pytest.approx(700, abs=6) and upgrade_of(plan, node="ctm-2").usual < 710
    assert upgrade_of(plan, "reboot", "ctm-2").usual == pytest.approx(90, abs=6)


def test_what_it_really_took_is_in_the_report(tmp_path: Path) -> None:
    drive = Drive(make_world(2), tmp_path)
    assert drive.start() == 0
    (held,) = (drive.state.steps[s] for s in ("upgrade:ctm-1",))
    assert held.started
    resumed = Incident(held.started + timedelta(minutes=5), "resume", "resumed")
    broken = past_times([replace(drive.state, incidents=(resumed,))])
    assert [one.node for one in broken.steps if one.kind == "upgrade"] == ["ctm-2"], (
        "a pause is in the other's time"
    )
    report = make_report(drive.state)
    step = next(s for s in report.steps if s.id == "upgrade:ctm-1")
    assert (step.times.estimate_s, step.times.worst_s) == (1860, 1860)
    assert step.times.took_s == pytest.approx(1200, abs=6)
    node = report.nodes[0].times
    assert (node.estimate_s, node.worst_s) == node_seconds(drive.state.plan.steps, "ctm-1")
    assert node.took_s == pytest.approx(1200 + 300 + 120, abs=20)
    assert report.times.took_s and report.times.took_s < report.times.estimate_s < report.times.worst_s


def test_a_second_run_is_planned_by_the_first_of_the_same_fixture(tmp_path: Path) -> None:
    def upgrade(name: str) -> int:
        code, said = call(
            "plan",
            "--simulate",
            str(folder / name),
            "--state-dir",
            str(tmp_path / "state"),
            "--format",
            "json",
        )
        assert code == 0
        document = json.loads(said)
        (first, *_) = (s for s in document["steps"] if s["action"] == "upgrade")
        assert document["times"]["worst_s"] >= document["times"]["estimate_s"] > 0
        return int(first["estimate_s"])

    folder = tmp_path / "fixtures"
    for name in ("one", "other"):
        shutil.copytree(SCENARIOS / "standalone", folder / name)
    assert upgrade("one") == 1860
    assert call("run", "--simulate", str(folder / "one"), "--state-dir", str(tmp_path / "state"))[0] == 0
    assert upgrade("one") == pytest.approx(1200, abs=6)
    assert upgrade("other") == 1860, "another cluster, though it has the same name"
