"""``resume``: what a journal says that was planned is what we would plan, or a node vouches for it (issue 16)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.journal_file import read_journal, verify_chain
from ctmupgrade.adapters.disk.run_store import state_of
from ctmupgrade.codec import plan_document, plan_from_document
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.same_cluster import refuse_foreign_plan
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    Gate,
    JoinNode,
    Reboot,
    RestartServices,
    RunUpgrade,
    Settle,
    Step,
)
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.core.run.same_plan import foreign_steps
from ctmupgrade.errors import BlockedError, UnreachableError
from ctmupgrade.sim import Fault
from tests.support import golden
from tests.support.forging import forge_plan
from tests.support.world_run import Drive, make_world

PLANNED = [place for place in golden.scenarios() if (place / "plan.json").is_file()]
REBUILD = StrategyName.REBUILD


def _state(plan: Plan, what: str = "", mode: Mode = Mode.LIVE) -> journal.RunState:
    begun = journal.RunStarted("r", plan.cluster, mode, plan, "me@here", 1, "0", what=what)
    return journal.start(begun, datetime(2026, 1, 10, 21, tzinfo=UTC))


@pytest.mark.parametrize("place", PLANNED, ids=lambda place: place.name)
def test_every_plan_of_ours_is_made_again(place: Path) -> None:
    text = (place / "plan.json").read_text(encoding="utf-8")
    plan = plan_from_document(plan_document(text, "plan.json"), "plan.json")
    cluster = load_cluster(place / "cluster.yaml", simulated=True)
    assert foreign_steps(_state(plan), replace(cluster, strategy=plan.strategy)) == ()


OPTIONS: dict[str, tuple[StrategyName, Options]] = {
    "in another order": (StrategyName.IN_PLACE, Options(order=("ctm-3",))),
    "some nodes": (StrategyName.IN_PLACE, Options(nodes=("ctm-2",), force_path=True)),
    "no backup": (StrategyName.IN_PLACE, Options(skips=(("backup_downloaded_with_key", "x"),))),
    "another survivor": (REBUILD, Options(survivor="ctm-2", order=("ctm-3", "ctm-1"))),
    "one held back": (REBUILD, Options(hold_back="ctm-3", shared_hsm_partition=True)),
    "reset before": (REBUILD, Options(reset_before_join=True)),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_whatever_the_options_were(what: str, tmp_path: Path) -> None:
    strategy, options = OPTIONS[what]
    drive = Drive(make_world(3), tmp_path, strategy, options=options)
    assert foreign_steps(_state(drive.plan()), drive.cluster) == ()


def _changed(change: Callable[[Step], Step]) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, steps=tuple(map(change, plan.steps)))


def _add(*steps: Step) -> Callable[[Plan], Plan]:
    """One after the other, and after all that is planned: no interlock is in the way of them."""

    def change(plan: Plan) -> Plan:
        made, last = list(plan.steps), plan.steps[-1].id
        for step in steps:
            made.append(replace(step, after=(last,)))
            last = step.id
        return replace(plan, steps=tuple(made))

    return change


def _drop(*kinds: type) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        kept = [s for s in plan.steps if not isinstance(s.action, kinds)]
        names = {s.id for s in kept}
        return replace(
            plan, steps=tuple(replace(s, after=tuple(a for a in s.after if a in names)) for s in kept)
        )

    return change


def _again(action: Any, kind: str) -> list[Step]:
    return [Step(f"{kind}:{name}:2", name, action, "", (), 1) for name in ("ctm-1", "ctm-2", "ctm-3")]


FORGED: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "a restart of each node": (_add(*_again(RestartServices(by_shell=True), "restart-services")), "restart-services:ctm-1:2"),
    "a reboot of a node, and its proof": (
        _add(_again(Reboot(), "reboot")[0], replace(_again(AwaitNode(), "await")[0], id="await:ctm-1:2")),
        "reboot:ctm-1:2",
    ),
    "no gate": (_drop(Gate), "gate:ctm-1"),
    "no settling": (_drop(Settle), "settle:ctm-1"),
    "forced paths": (
        _changed(lambda s: replace(s, action=RunUpgrade(force_path=True)) if isinstance(s.action, RunUpgrade) else s),
        "upgrade:ctm-1",
    ),
    "each alone": (
        _changed(lambda s: replace(s, action=replace(s.action, alone=True)) if isinstance(s.action, RunUpgrade) else s),
        "upgrade:ctm-1",
    ),
    "edges that are cut": (_changed(lambda s: replace(s, after=s.after[:1])), "gate:ctm-1"),
    "another node": (_changed(lambda s: replace(s, node="ctm-2") if s.id == "reboot:ctm-1" else s), "reboot:ctm-1"),
    "another order": (lambda p: replace(p, steps=p.steps[::-1]), "order"),
    "a node that nobody knows": (lambda p: replace(p, versions={**p.versions, "ghost": "2.20.0"}), "no plan can be made"),
    "versions that are none": (lambda p: replace(p, versions=dict.fromkeys(p.versions, "x")), "no plan can be made"),
    "another target": (lambda p: replace(p, versions=dict.fromkeys(p.versions, "2.21.0")), "would not be planned"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_plan_that_is_none_of_ours_is_named(what: str, tmp_path: Path) -> None:
    change, said = FORGED[what]
    drive = Drive(make_world(3), tmp_path)
    state = _state(change(drive.plan()))
    assert any(said in text for text in foreign_steps(state, drive.cluster)), foreign_steps(
        state, drive.cluster
    )
    with pytest.raises(BlockedError) as refused:
        refuse_foreign_plan(drive.cluster, state, lambda: False)
    assert refused.value.exit_code == 3
    refuse_foreign_plan(drive.cluster, state, lambda: True)  # a node keeps this very journal's head


@pytest.mark.parametrize(
    "change",
    [
        _changed(lambda s: replace(s, action=JoinNode("ctm-3")) if isinstance(s.action, JoinNode) else s),
        _drop(Gate),
        _changed(lambda s: replace(s, holders=9)),
        _changed(lambda s: replace(s, after=()) if s.id == "join:ctm-3" else s),
    ],
)
def test_a_rebuild_that_is_none_of_ours_is_named(change: Callable[[Plan], Plan], tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path, REBUILD)
    assert foreign_steps(_state(change(drive.plan())), drive.cluster)


def test_a_recovery_is_vouched_for_by_a_node(tmp_path: Path) -> None:
    """What it was made from is in no journal: who wrote it can only be seen outside of it."""
    drive = Drive(make_world(3), tmp_path)
    state = _state(_add(*_again(RestartServices(), "restart-services"))(drive.plan()), RunKind.RECOVER)
    with pytest.raises(BlockedError, match="nothing vouches"):
        refuse_foreign_plan(drive.cluster, state, lambda: False)
    refuse_foreign_plan(drive.cluster, state, lambda: True)
    refuse_foreign_plan(drive.cluster, replace(state, mode=Mode.SIMULATED), lambda: False)


def test_a_node_vouches_for_the_journal_whose_head_it_keeps(tmp_path: Path) -> None:
    drive = Drive(make_world(2), tmp_path)
    made = drive.setup()
    made.request = replace(made.request, simulate=None)  # a live run, as far as marks know
    marks, heads = Marks(made, "r"), ["1" * 64, "2" * 64]
    assert not marks.vouch_for(heads), "there is no mark"
    marks.claim()
    assert not marks.vouch_for(heads), "a mark alone is kept by whoever names the run"
    marks.anchor_all(JournalHead(1, heads[0]))
    assert marks.vouch_for(heads)
    assert not marks.vouch_for(["3" * 64, heads[1]])
    marks.refuse_rolled_back(heads)
    for name in drive.world.nodes:
        drive.world.inject(Fault("unreachable", name, "at 0s"))
    with pytest.raises(UnreachableError):
        marks.vouch_for(heads)


@pytest.mark.parametrize("command", ["stage", "backup"])
def test_what_is_prepared_alone_is_made_again(command: str, tmp_path: Path) -> None:
    place = golden.SCENARIOS / "stale-backup"
    assert golden.call(command, "--yes", "--simulate", str(place), "--state-dir", str(tmp_path))[0] == 0
    lines = read_journal(next(tmp_path.glob("*/*/journal.jsonl")))[0]
    begun = state_of(lines[:1])
    cluster = load_cluster(place / "cluster.yaml", simulated=True)
    assert begun.plan.steps
    assert foreign_steps(begun, cluster) == ()
    forged = replace(begun, plan=_add(*_again(RestartServices(), "restart-services"))(begun.plan))
    assert foreign_steps(forged, cluster)


# -- the command --------------------------------------------------------------------------------------------


def _restart_all(plan: dict[str, Any]) -> None:
    last = plan["steps"][-1]["id"]
    for name in ("ctm-1", "ctm-2", "ctm-3"):
        step = {**plan["steps"][-1], "id": f"restart-services:{name}", "node": name, "after": [last]}
        plan["steps"].append({**step, "action": {"kind": "restart-services", "by_shell": True}})
        last = step["id"]


def test_resume_goes_on_with_no_forged_step(tmp_path: Path) -> None:
    place = ["--simulate", str(golden.SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path)]
    assert golden.call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    file = next(tmp_path.glob("*/*/journal.jsonl"))
    honest = file.read_text()
    forge_plan(file, _restart_all)
    assert verify_chain(file) == []
    forged = file.read_text()
    code, said = golden.call("resume", "--yes", "--format", "json", *place)
    assert code == 3, said
    assert "step restart-services:ctm-1" in json.loads(said)["error"]["brief"]
    assert file.read_text() == forged, "nothing was written, and nothing was done"
    file.write_text(honest)
    assert golden.call("resume", "--yes", *place)[0] == 0


def _reversed(plan: dict[str, Any]) -> None:
    plan["steps"].reverse()


def _in_a_circle(plan: dict[str, Any]) -> None:
    plan["steps"][0]["after"] = [plan["steps"][-1]["id"]]


def _lacking_one_that_is_to_come(plan: dict[str, Any]) -> None:
    named = {one for step in plan["steps"] for one in step["after"]}
    last = [step for step in plan["steps"] if step["id"] in named][-1]
    plan["steps"].remove(last)


@pytest.mark.parametrize("forge", [_reversed, _in_a_circle, _lacking_one_that_is_to_come])
def test_a_journal_whose_steps_are_in_no_order_is_unusable_and_no_bug(
    tmp_path: Path, forge: Callable[[dict[str, Any]], None]
) -> None:
    place = ["--state-dir", str(tmp_path), "--simulate", str(golden.SCENARIOS / "healthy-three")]
    assert golden.call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    forge_plan(next(tmp_path.glob("*/*/journal.jsonl")), forge)
    assert golden.call("resume", "--yes", *place)[0] == 5
    for words in (["status"], ["report"], ["abort"]):
        assert golden.call(*words, *place[:2])[0] == 5, words
