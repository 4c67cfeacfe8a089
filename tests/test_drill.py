"""``drill``: a backup is proven on a spare appliance, and nothing of the cluster is touched. In the simulator."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.run_store import folders
from ctmupgrade.commands import drill as drilling
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.runs import save_world
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.core.plan.drill import spare_only
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import BlockedError, CtmUpgradeError, UnreachableError, UsageError
from tests.support.desk import SCENARIOS, Desk
from tests.support.world_run import Killed

FIXTURE = SCENARIOS.parent / "restores" / "drill"
SPARE = "spare=10.0.0.99"


class Stage(Desk):
    """A desk with a copy of the fixture, to be changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fixture = folder / "fixture"
        shutil.copytree(FIXTURE, self.fixture)

    def world(self, old: str, new: str) -> None:
        file = self.fixture / "world.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def drill(self, *words: str, on: str = SPARE) -> Any:
        return self.type("drill", "--on", on, *words, "--simulate", str(self.fixture))

    @contextmanager
    def setup(self) -> Iterator[Setup]:
        """What the program makes of the fixture."""
        with setup(CommandRequest(state_dir=self.state, simulate=self.fixture)) as made:
            yield made

    def refused(self, *texts: str, on: str = SPARE, kind: type[CtmUpgradeError] = BlockedError) -> None:
        """It is refused so, and nothing was begun."""
        with self.setup() as made, pytest.raises(kind) as caught:
            drilling.drill(made, RunOptions(), drilling.DrillRequest(on))
        said = f"{caught.value.brief} {caught.value.details} {caught.value.remedy}"
        assert [text for text in texts if text not in said] == [], said
        assert not list(self.state.glob("*/*/journal.jsonl")) and not made.world.world.changes()  # type: ignore[union-attr] # simulated


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_backup_is_proven_and_the_spare_is_emptied(stage: Stage) -> None:
    said = stage.drill()
    assert said.returncode == 0, said
    assert "ERASES all data of spare" in said.stdout and "nothing else is changed" in said.stdout
    report = stage.ok("report")
    assert (report["outcome"], report["kind"]) == ("done", "drill")
    assert [node["name"] for node in report["nodes"]] == ["spare"], "no node of the cluster is in it"
    evidence = {step["id"]: json.dumps(step["evidence"]) for step in report["steps"]}
    assert "works with the restored users" in evidence["prove-restore:spare"]
    assert "on ctm-1" in evidence["compare-counts:spare"]
    assert "no key, no user but the first" in evidence["reset-spare:spare"]
    backups = report["journal"]["lines"] and next(stage.state.glob("*/*/backups/*ctm-1*.manifest.json"), None)
    assert backups is None or json.loads(backups.read_text())["proven"]


@pytest.mark.parametrize(
    ("on", "text"),
    [
        ("ctm-2=10.0.0.99", "ctm-2 is a node of drill"), ("other=10.0.0.12", "10.0.0.12 is the address of ctm-2"),
        ("other=local", "is no spare"),
    ],
)  # fmt: skip
def test_a_node_of_the_cluster_is_no_spare(stage: Stage, on: str, text: str) -> None:
    stage.refused(text, on=on)


@pytest.mark.parametrize("on", ["spare", "=10.0.0.99", "spare=https://10.0.0.99", "a b=10.0.0.99"])
def test_a_spare_is_name_and_address(stage: Stage, on: str) -> None:
    stage.refused("--on", on=on, kind=UsageError)


def _member(stage: Stage) -> None:
    stage.world("{name: spare,", "{name: spare, cluster: main,")


def _alone(stage: Stage) -> None:
    stage.world("{name: spare,", "{name: spare, cluster: other,")


def _keys(stage: Stage) -> None:
    stage.world("{data-main: 1250}", "{data-main: 1250, data-spare: 4}")


def _users(stage: Stage) -> None:
    stage.world("{name: spare,", "{name: spare, users: [admin, somebody],")


def _older(stage: Stage) -> None:
    stage.world("{name: spare,", "{name: spare, version: 2.19.0+14195,")


def _damaged(stage: Stage) -> None:
    for file in (stage.fixture / "backups").glob("*.backup"):
        file.write_text("simulated backup {}\n", encoding="utf-8")


def _no_key(stage: Stage) -> None:
    for file in (stage.fixture / "backups").glob("*.key"):
        file.unlink()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_member, "a member"), (_alone, "cluster"), (_keys, "is not empty"), (_users, "is not empty"),
        (_older, "older"), (_damaged, "no backup of drill"), (_no_key, "no backup of drill"),
    ],
)  # fmt: skip
def test_what_may_hold_data_or_cannot_take_the_backup_is_refused(
    stage: Stage, change: Callable[[Stage], None], text: str
) -> None:
    change(stage)
    stage.refused(text)


def test_a_standalone_appliance_has_drills_too(stage: Stage) -> None:
    """It lists no members, for it is in no cluster, and says so."""
    file = stage.fixture / "cluster.yaml"
    text = file.read_text(encoding="utf-8").replace(
        "cluster: drill\n", "cluster: drill\nstrategy: standalone\n"
    )
    file.write_text(
        "\n".join(line for line in text.splitlines() if "ctm-2" not in line and "ctm-3" not in line),
        encoding="utf-8",
    )
    for number in (2, 3):
        stage.world(f"  - {{name: ctm-{number}, cluster: main, users: [admin, ops, auditor]}}\n", "")
    stage.world("{name: ctm-1, cluster: main,", "{name: ctm-1, data: data-main,")
    said = stage.drill()
    assert said.returncode == 0, said
    report = stage.ok("report")
    assert report["outcome"] == "done" and "on ctm-1" in json.dumps(report["steps"])


def test_a_spare_that_does_not_answer_is_told_as_that(stage: Stage) -> None:
    stage.world("nodes:", "faults: [{kind: unreachable, node: spare}]\nnodes:")
    stage.refused("no drill on spare", "does not answer", kind=UnreachableError)


def test_without_a_living_node_nobody_can_say_that_it_is_no_member(stage: Stage) -> None:
    for number in (1, 2, 3):
        stage.world(f"{{name: ctm-{number},", f"{{name: ctm-{number}, broken_at: -1000.0,")
    stage.refused("nobody can say", "ctmupgrade restore")


def test_a_dry_run_changes_nothing(stage: Stage) -> None:
    said = stage.drill("--dry-run")
    assert said.returncode == 0 and "DRY-RUN" in said.stdout
    assert stage.ok("report", "latest")["outcome"] == "dry-run"


def test_a_spare_that_went_bad_is_gone_on_with(stage: Stage) -> None:
    """The restore fails once: the run pauses, and `resume` proves and empties the spare, and touches nothing else."""
    stage.world("nodes:", "faults: [{kind: restore_fails, node: spare}]\nnodes:")
    said = stage.drill()
    assert said.returncode in (5, 6), said
    run = stage.journal.parent.name
    stage.type("node", "retry", run, "spare", "--reason", "tried", "--simulate", str(stage.fixture))
    said = stage.type("resume", run, "--simulate", str(stage.fixture))
    assert said.returncode == 0, said
    assert stage.ok("report", run)["outcome"] == "done"


def _killed(stage: Stage, at: int) -> bool:
    """A drill that is killed at its n-th moment, and resumed; False where it has no such moment."""
    seen = 0

    def watch(_state: RunState, _event: Event | None, _key: str, _tick: Tick | None) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Killed

    with stage.setup() as made:
        try:
            drilling.drill(made, RunOptions(watch=watch), drilling.DrillRequest(SPARE))
        except Killed:
            folder = folders(made.home)[-1]
            save_world(folder, made)  # the appliances outlive the program
            if not folder.state().unfinished:
                return False
        else:
            return False
    with stage.setup() as made:
        outcome = resume(made, RunOptions(), None)
        assert outcome.code == 0 and outcome.state is not None and outcome.state.outcome == "done", (
            at,
            outcome,
        )
        changed = {event.node for event in made.world.world.changes()}  # type: ignore[union-attr] # simulated
        assert changed <= {"spare"}, (at, changed)
        spare = made.world.world.nodes["spare"]  # type: ignore[union-attr]
        assert (spare.users, spare.cluster) == (["admin"], ""), at
    shutil.rmtree(stage.state)
    return True


def test_a_drill_that_is_killed_anywhere_is_gone_on_with(stage: Stage) -> None:
    assert all(_killed(stage, at) for at in (4, 9, 11, 14, 19, 22))


@pytest.mark.slow
def test_a_drill_that_is_killed_everywhere_is_gone_on_with(stage: Stage) -> None:
    last = next(at for at in range(2, 200) if not _killed(stage, at))
    assert last > 22


def test_a_spare_that_still_has_something_is_not_reset(stage: Stage) -> None:
    """Whatever its services say."""
    with stage.setup() as made:
        spare = made.world.world.nodes["spare"]  # type: ignore[union-attr] # simulated

        def watch(state: RunState, _event: Event | None, key: str, tick: Tick | None) -> None:
            if key == "reset-spare:spare" and tick is not None:
                spare.users = ["admin", "ops"]

        outcome = drilling.drill(made, RunOptions(watch=watch), drilling.DrillRequest(SPARE))
    assert outcome.code != 0 and outcome.state is not None
    assert "still has 2 users" in outcome.state.steps["reset-spare:spare"].error


@pytest.mark.parametrize(
    ("url", "through", "wanted"),
    [
        ("https://10.0.0.11", False, "https://10.0.0.99"),
        ("https://ctm-1.example.com:8443", False, "https://10.0.0.99:8443"),
        ("https://127.0.0.1", True, "https://127.0.0.1"),
        ("http://127.0.0.1:8000", False, "https://10.0.0.99"),
    ],
)
def test_the_spare_is_reached_as_the_first_node(stage: Stage, url: str, through: bool, wanted: str) -> None:
    with stage.setup() as made:
        first = made.cluster.nodes[0]
        like = replace(first, url=url, ksctl=replace(first.ksctl, through_ssh=through))
        (spare,) = spare_only(replace(made.cluster, nodes=(like,)), "spare", "10.0.0.99").nodes
    assert (spare.url, spare.ssh.port, spare.ssh.host_key) == (wanted, first.ssh.port, None)
