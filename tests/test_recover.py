"""``recover`` on every broken cluster of the fixtures: what it says, that looking changes nothing, and that its
way back ends in a healthy cluster without ever giving up the last copy of the data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.commands import recover
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import setup
from ctmupgrade.core.checks.health import cluster_problems
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.plan.steps import JoinNode, RemoveNode, ResetNode
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.sim import Fault, World, status, timeline
from tests.support import broken, golden
from tests.support.broken import Case
from tests.support.desk import Desk
from tests.support.promises import check_promises
from tests.support.world_run import mend, world_of


@pytest.mark.parametrize("name", broken.cases())
def test_it_says_what_its_golden_files_say(name: str, tmp_path: Path) -> None:
    found = broken.case(name)
    for file, text in broken.produce(found, tmp_path).items():
        kept = found.folder / file
        assert kept.is_file(), f"{name}/{file} is missing; scripts/golden writes it"
        assert text == kept.read_text(encoding="utf-8"), (
            f"{name}/{file} has drifted; scripts/golden, then git diff"
        )


@pytest.mark.parametrize("name", broken.cases())
def test_looking_changes_nothing(name: str, tmp_path: Path) -> None:
    found = broken.case(name)
    broken.prepare(found, tmp_path)
    with broken.recovery(found, tmp_path) as (_, world, seen):
        assert seen.diagnosis.wrong and seen.diagnosis.works
        before = len(world.of_kind("change"))
        recover.look(_, found.known)
        assert len(world.of_kind("change")) == before
        if found.run is None:
            assert not world.changes()


def _the_cluster_is_well(world: World, found: Case) -> None:
    world.clock.advance(3600)
    timeline.catch_up(world)
    members = [world.nodes[name] for name in found.members]
    assert len({node.cluster for node in members}) == 1 and members[0].cluster
    assert {n.name for n in status.members_of(world, members[0].cluster)} == set(found.members)
    assert {node.data for node in members} == {"data-main"}
    assert all(status.serving(world, node) for node in members)
    assert all(seen.code == "r" for node in members for seen in status.view(world, node).seen)
    assert len({node.version for node in members}) == 1
    if found.version:
        assert members[0].version.startswith(found.version)
    assert not world.consensus_broken


@pytest.mark.parametrize("name", [n for n in broken.cases() if not broken.case(n).none])
def test_the_way_back_ends_in_a_healthy_cluster(name: str, tmp_path: Path) -> None:
    found = broken.case(name)
    broken.prepare(found, tmp_path)
    with broken.recovery(found, tmp_path) as (made, world, seen):
        assert seen.plan.steps, seen.diagnosis
        outcome, after = broken.take(made, seen)
        stuck = [(s, h.error) for s, h in outcome.state.steps.items() if h.error] if outcome.state else []
        assert after is not None and outcome.state is not None and outcome.state.outcome == "done", stuck
        _the_cluster_is_well(world, found)
        assert not check_promises(world, changes_expected=True, in_place=found.in_place)
        apart = [n for n in found.left if world.nodes[n].data != "data-main"]
        assert not apart, "what stays apart keeps its data"
        assert bool(after.diagnosis.wrong) == bool(found.left), after.diagnosis


@pytest.mark.parametrize("name", [n for n in broken.cases() if broken.case(n).none])
def test_where_there_is_no_way_it_says_why(name: str, tmp_path: Path) -> None:
    found = broken.case(name)
    code, said = broken.ask(found, tmp_path, "--yes")
    assert code == (4 if name == "nothing-answers" else 6)
    assert "for you to decide or do:" in said and "the way back" not in said


def test_a_recovery_takes_the_place_of_the_run_that_stopped(tmp_path: Path) -> None:
    found = broken.case("survivor-failed")
    broken.prepare(found, tmp_path)
    code, said = broken.ask(found, tmp_path, "--yes")
    assert code == 6 and "afterwards:" in said and "ctm-1: it stays outside" in said
    runs = [path.parent.name for path in tmp_path.glob("*/*/journal.jsonl")]
    ends = [golden.call("status", run, "--state-dir", str(tmp_path), "--format", "json")[1] for run in runs]
    assert sorted(json.loads(text)["outcome"] for text in ends) == ["aborted", "done"]
    assert golden.call("resume", "--state-dir", str(tmp_path), "--simulate", str(found.folder))[0] == 2


def test_a_survivor_that_comes_back_after_its_loss_was_mended_is_not_erased(tmp_path: Path) -> None:
    """Its rebuild is over by then and no run is unfinished; what clients wrote to it is on it alone all the same."""
    found = broken.case("survivor-died")
    broken.prepare(found, tmp_path)
    with broken.recovery(found, tmp_path) as (made, world, seen):
        outcome, _ = broken.take(made, seen)
        assert outcome.state is not None and outcome.state.outcome == "done"
        mend(world)
        world.clock.advance(3600)
        timeline.catch_up(world)
        back = world.nodes["ctm-1"]
        assert status.serving(world, back)
        # As where it died before its upgrade: nothing else keeps it apart.
        back.version = world.nodes["ctm-2"].version
        after = recover.look(made, OperatorInput())
        assert after.plan.steps == () and after.diagnosis.wrong
        assert any(
            "ctm-1 stays outside the cluster with its data" in str(text) for text in after.diagnosis.advice
        ), after
        named = recover.look(made, OperatorInput(rejoin=("ctm-1",)))
        assert [s.node for s in named.plan.steps if isinstance(s.action, JoinNode)] == ["ctm-1"]


def test_the_installed_program_takes_the_way_back(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    code, printed = broken.ask(found, tmp_path, "--yes", "--format", "json")
    documents = [json.loads(line) for line in printed.splitlines()]
    assert code == 0 and documents[0]["wrong"] and documents[-1]["outcome"] == "done"
    after = next(d for d in documents if d.get("after"))
    assert after["wrong"] == [] and after["steps"] == []


def test_a_dry_run_wins_over_yes(tmp_path: Path) -> None:
    code, said = broken.ask(broken.case("unclustered-node"), tmp_path, "--yes", "--dry-run")
    assert code == 3 and "the way back" in said and "afterwards:" not in said


def test_a_name_that_is_not_in_cluster_yaml_is_refused(tmp_path: Path) -> None:
    for option in ("--gone", "--rejoin", "--survivor"):
        assert broken.ask(broken.case("killed"), tmp_path, option, "ctm-9")[0] == 2


def test_nothing_is_erased_beside_a_join_that_hangs(tmp_path: Path) -> None:
    """Whichever node is named but the one that joins: nothing is planned before its join is ended."""
    found = broken.case("join-hangs")
    for words in (
        ["--survivor", "ctm-1"],
        ["--rejoin", "ctm-3"],
        ["--survivor", "ctm-1", "--rejoin", "ctm-3"],
    ):
        code, said = broken.ask(found, tmp_path, *words, "--yes", "--format", "json")
        told = json.loads(said)
        assert code == 6 and told["steps"] == [], words
        advice = next(text for text in told["advice"] if "ctm-3: not removed, reset or joined" in text)
        assert "--rejoin" in advice and "ctm-2" in advice
    down = broken.case("join-hangs-and-down")
    code, said = broken.ask(down, tmp_path, "--gone", "ctm-3", "--yes", "--format", "json")
    assert code == 6 and json.loads(said)["steps"] == []
    assert any("recover --gone ctm-3 --rejoin ctm-2" in text for text in json.loads(said)["advice"])


@pytest.mark.parametrize("code", ["d", "o"])
def test_a_node_is_not_reset_for_a_join_that_cannot_start(code: str, tmp_path: Path) -> None:
    """Another member went down, or began to join, after the way back was planned."""
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, seen):
        assert [s.id for s in seen.plan.steps if isinstance(s.action, ResetNode)] == ["reset:ctm-3"]
        world.inject(Fault("member_code", "ctm-2", params={"code": code}))
        outcome, after = broken.take(made, seen)
        assert after is None and outcome.state is not None
        stuck = {step: held.error for step, held in outcome.state.steps.items() if held.error}
        assert list(stuck) == ["reset:ctm-3"] and "one join at a time" in stuck["reset:ctm-3"], stuck
        assert world.nodes["ctm-3"].data == "data-main"
        assert not any("services reset" in event.detail for event in world.of_kind("change"))


def test_a_join_that_cannot_start_for_a_moment_is_waited_for_before_the_reset(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, seen):
        world.inject(Fault("member_code", "ctm-2", for_s=300.0, params={"code": "d"}))
        outcome, after = broken.take(made, seen)
        assert after is not None and outcome.state is not None and outcome.state.outcome == "done"
        _the_cluster_is_well(world, found)


def test_a_cluster_that_is_well_is_called_well(tmp_path: Path) -> None:
    healthy = golden.SCENARIOS / "healthy-three"
    common = ("--state-dir", str(tmp_path), "--simulate", str(healthy), "--format", "json")
    code, said = golden.call("recover", *common)
    assert (
        code == 0
        and json.loads(said)["wrong"] == json.loads(said)["steps"] == json.loads(said)["advice"] == []
    )
    code, said = golden.call("recover", "--gone", "ctm-1,ctm-2,ctm-3", *common)
    told = json.loads(said)
    assert code == 0 and told["wrong"] == told["steps"] == []
    assert [text.split()[1] for text in told["advice"]] == ["answers,"] * 3
    code, said = golden.call("recover", "--rejoin", "ctm-1,ctm-2,ctm-3", *common)
    assert code == 6 and json.loads(said)["steps"] == [] and "names every member of the cluster" in said


FAULTS = [
    Fault("refused", "ctm-2", params={"what": "control"}),
    Fault("refused", "ctm-2", params={"what": "shell"}),
    Fault("member_code", "ctm-1", params={"code": "d", "where": "summary"}),
    Fault("member_code", "ctm-3", params={"code": "d", "where": "summary", "seen_by": "ctm-2"}),
    Fault("member_code", "ctm-1", params={"code": "d", "seen_by": "ctm-3"}),
    Fault("port_closed", "ctm-2", params={"peer": "ctm-3"}),
    Fault("garbage", "ctm-1", times=0, params={"command": "ksctl cluster summary"}),
    Fault("garbage", "ctm-3", times=0, params={"command": "ksctl cluster nodes list"}),
    Fault("garbage", "ctm-3", times=0, params={"command": "ksctl services status"}),
    Fault("error", "ctm-2", times=0, params={"command": "ksctl", "text": "database is locked"}),
    Fault("services", "ctm-2", params={"state": "starting"}),
    Fault("unauthorized", "ctm-2", times=0, params={"command": "ksctl"}),
]


@pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda f: f"{f.kind}-{f.node}-{'-'.join(map(str, f.params.values()))}"
)
def test_what_the_checks_find_unwell_is_never_called_well(fault: Fault, tmp_path: Path) -> None:
    with setup(CommandRequest(state_dir=tmp_path, simulate=golden.SCENARIOS / "healthy-three")) as made:
        world_of(made).inject(replace(fault))
        seen = recover.look(made, OperatorInput())
        problems = cluster_problems(seen.result.facts.nodes, made.cluster, seen.result.facts.at)
        assert problems or isinstance(seen.result.facts.nodes[fault.node].version, Unknown), (
            "a fault that is none"
        )
        assert seen.diagnosis.wrong and (seen.diagnosis.advice or seen.plan.steps)
        assert seen.code == (3 if seen.plan.steps else 6)
        assert not any(isinstance(s.action, ResetNode | JoinNode | RemoveNode) for s in seen.plan.steps)


def test_no_node_is_erased_while_the_members_do_not_agree(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, seen):
        assert seen.plan.steps
        world.inject(Fault("member_code", "ctm-2", params={"code": "d", "where": "summary"}))
        again = recover.look(made, OperatorInput())
        assert again.plan.steps == () and again.code == 6
        assert any("no node is reset or joined" in str(text) for text in again.diagnosis.advice)


def test_the_second_node_is_not_said_to_migrate_the_database(tmp_path: Path) -> None:
    _, said = broken.ask(broken.case("mixed-versions"), tmp_path)
    assert "upgrade:ctm-2" in said and "migrates" not in said


def test_a_node_that_answers_is_not_removed_as_gone(tmp_path: Path) -> None:
    code, said = broken.ask(
        broken.case("down-for-good"), tmp_path, "--gone", "ctm-2,ctm-3", "--format", "json"
    )
    removed = [s["node"] for s in json.loads(said)["steps"] if s["action"] == "remove"]
    assert code == 3 and removed == ["ctm-3"]
    assert any("ctm-2 answers" in text for text in json.loads(said)["advice"])


def test_a_node_that_says_the_new_version_but_was_not_rebooted_is_not_at_the_target(tmp_path: Path) -> None:
    """Somebody upgraded it by hand; no journal knows. Its log is younger than its boot."""
    desk = Desk(tmp_path)
    place = str(broken.BROKEN / "waits-and-says-new")
    for words in (["check"], ["run", "--yes"]):
        said = desk.type(*words, scenario=place)
        assert said.returncode == 3, said.stdout
        assert "ctm-2: an upgrade to 2.21.0+15451 has succeeded and waits for its reboot" in said.stdout
