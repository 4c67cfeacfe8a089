"""``recover`` on every broken cluster of the fixtures: what it says, that looking changes nothing, and that its
way back ends in a healthy cluster without ever giving up the last copy of the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctmupgrade.adapters.sim import World, status
from ctmupgrade.core.recovery import Known
from ctmupgrade.core.steps import JoinNode
from tests.support import broken, golden
from tests.support.broken import Case
from tests.support.desk import Desk
from tests.support.promises import check_promises
from tests.support.world_run import mend


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
        broken.recovering.look(_, found.known)
        assert len(world.of_kind("change")) == before
        if found.run is None:
            assert not world.changes()


def _the_cluster_is_well(world: World, found: Case) -> None:
    world.clock.advance(3600)
    world.catch_up()
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
    assert code == 6 and "afterwards:" in said and "ctm-1: it stays apart" in said
    runs = [path.parent.name for path in tmp_path.glob("*/*/journal.jsonl")]
    ends = [golden.call("status", run, "--state-dir", str(tmp_path), "--format", "json")[1] for run in runs]
    assert sorted(json.loads(text)["outcome"] for text in ends) == ["done", "taken-over"]
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
        world.catch_up()
        back = world.nodes["ctm-1"]
        assert status.serving(world, back)
        # As where it died before its upgrade: nothing else keeps it apart.
        back.version = world.nodes["ctm-2"].version
        after = broken.recovering.look(made, Known())
        assert after.plan.steps == () and after.diagnosis.wrong
        assert any("ctm-1 stays apart with its data" in text for text in after.diagnosis.advice), after
        named = broken.recovering.look(made, Known(rejoin=("ctm-1",)))
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
    assert code == 0 and "the way back" in said and "afterwards:" not in said


def test_a_name_that_is_not_in_cluster_yaml_is_refused(tmp_path: Path) -> None:
    for option in ("--gone", "--rejoin", "--survivor"):
        assert broken.ask(broken.case("killed"), tmp_path, option, "ctm-9")[0] == 2


def test_a_node_that_answers_is_not_removed_as_gone(tmp_path: Path) -> None:
    code, said = broken.ask(
        broken.case("down-for-good"), tmp_path, "--gone", "ctm-2,ctm-3", "--format", "json"
    )
    removed = [s["node"] for s in json.loads(said)["steps"] if s["action"] == "remove"]
    assert code == 0 and removed == ["ctm-3"]
    assert any("ctm-2 answers" in text for text in json.loads(said)["advice"])


def test_a_node_that_says_the_new_version_but_was_not_rebooted_is_not_at_the_target(tmp_path: Path) -> None:
    """Somebody upgraded it by hand; no journal knows. Its log is younger than its boot."""
    desk = Desk(tmp_path)
    place = str(broken.BROKEN / "waits-and-says-new")
    for words in (["check"], ["run", "--yes"]):
        said = desk.type(*words, scenario=place)
        assert said.returncode == 3, said.stdout
        assert "ctm-2: an upgrade to 2.21.0+15451 has ended and waits for its reboot" in said.stdout
