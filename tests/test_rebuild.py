"""Remove and rebuild: any number of nodes, its options, and every way of going wrong that docs/rebuild.md tells of.

What happened is read from the simulated world's own log, never from what the tool says of it.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check, recover, run
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.commands.wiring import read_cluster, setup
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.node_settings import differences, fewer, not_known
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.data_guard import guard_for, holders
from ctmupgrade.core.run.journal import RunStarted as Started
from ctmupgrade.core.run.journal import RunState, StepDone, StepStarted, apply, start
from ctmupgrade.core.run.past_runs import past_of
from ctmupgrade.errors import UsageError
from ctmupgrade.sim import Fault, World, status
from tests.support import golden
from tests.support.promises import check_promises
from tests.support.world_run import Drive, make_world, world_of, write_fixture

REBUILD = StrategyName.REBUILD
NEW = "2.21.0+15451"


def _folder(tmp_path: Path, nodes: list[dict[str, Any]], named: int = 3, **world: Any) -> Path:
    return write_fixture(tmp_path, "rebuild", nodes, named, **world)


def _run(folder: Path, state_dir: Path, **options: Any) -> tuple[Outcome, World]:
    with setup(CommandRequest(state_dir=state_dir, simulate=folder, options=Options(**options))) as made:
        outcome = run.run(made, RunOptions())
        return outcome, world_of(made)


def _errors(state: RunState | None) -> list[str]:
    return [held.error for held in state.steps.values() if held.error] if state else []


def _least_holders(world: World) -> int:
    """The smallest number of nodes that held the cluster's data at any moment, by the world's log."""
    held = {n.name for n in world.nodes.values()}
    least = len(held)
    for event in world.events:
        if event.kind == "data_erased":
            held.discard(event.node)
        elif event.kind == "join_done":
            held.add(event.node)
        least = min(least, len(held))
    return least


def _one_cluster(world: World, *names: str) -> None:
    members = [world.nodes[name] for name in names]
    assert members[0].cluster and {n.cluster for n in members} == {members[0].cluster}
    assert {n.name for n in status.members_of(world, members[0].cluster)} == set(names)
    assert {n.data for n in members} == {"data-main"} and {n.version for n in members} == {NEW}


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_any_number_of_nodes(count: int, tmp_path: Path) -> None:
    drive = Drive(make_world(count, clustered=True), tmp_path, REBUILD)
    plan = drive.plan()
    assert any("may be no quorum" in note for note in plan.notes) == (count == 2)
    assert drive.start(plan) == 0, drive.stuck
    _one_cluster(drive.world, *drive.world.nodes)
    assert not check_promises(drive.world, changes_expected=True, in_place=False)
    assert _least_holders(drive.world) >= max(1, count - 1)
    begun, ended = drive.world.of_kind("join_started"), drive.world.of_kind("join_done")
    assert len(begun) == len(ended) == count - 1
    assert all(after.at >= before.at for before, after in zip(ended, begun[1:], strict=False)), (
        "one at a time"
    )


def test_what_is_at_stake_is_said_in_one_paragraph(tmp_path: Path) -> None:
    plan = Drive(
        make_world(3), tmp_path, REBUILD, options=Options(survivor="ctm-2", hold_back="ctm-3")
    ).plan()
    (stake,) = [note for note in plan.notes if "no high availability" in note]
    assert "What clients write to a removed node is lost" in stake and "erases all data of ctm-1;" in stake
    assert "ctm-3 is held back" in stake
    assert any(
        "a backup of 2.20.0 can be restored on 2.20.0 and on 2.21.0, never on an older version" in n
        for n in plan.notes
    )


def test_a_backup_that_does_not_fit_the_target_is_said(tmp_path: Path) -> None:
    drive = Drive(make_world(3, defaults={"version": "2.16.0+100"}), tmp_path, REBUILD)
    _, plan = check.plan(drive.setup())
    assert any("a backup of 2.16.0 cannot be restored on 2.21.0" in note for note in plan.notes)


def test_a_node_that_is_held_back_keeps_the_old_data_until_told(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [{"name": f"ctm-{i}"} for i in (1, 2, 3)])
    outcome, world = _run(folder, tmp_path, survivor="ctm-1", hold_back="ctm-3")
    assert outcome.code == 0, _errors(outcome.state)
    _one_cluster(world, "ctm-1", "ctm-2")
    apart = world.nodes["ctm-3"]
    assert (apart.cluster, apart.data, apart.version) == ("", "data-main", "2.20.0+15016")
    assert not [
        e for e in world.events if e.node == "ctm-3" and e.kind in ("data_erased", "reset", "upgrade_started")
    ]
    (tmp_path / "fixture" / "world.yaml").write_text(json.dumps(world.to_dict()), encoding="utf-8")
    with setup(CommandRequest(state_dir=tmp_path, simulate=folder)) as made:
        assert not recover.look(made, OperatorInput()).plan.steps, "a later recover leaves it alone too"
        seen = recover.look(made, OperatorInput(rejoin=("ctm-3",)))
        outcome, after = recover.perform(made, RunOptions(), seen)
        assert outcome.code == 0 and after is not None, _errors(outcome.state)
        _one_cluster(world_of(made), "ctm-1", "ctm-2", "ctm-3")


def test_so_many_copies_are_kept_at_every_moment(tmp_path: Path) -> None:
    drive = Drive(make_world(4), tmp_path, REBUILD, options=Options(keep_copies=3))
    assert drive.start() == 0, drive.stuck
    assert _least_holders(drive.world) >= 3
    ends = {e.node: e.at for e in drive.world.of_kind("ready")}
    first = drive.world.of_kind("join_started")[0]
    assert len([n for n, at in ends.items() if at <= first.at]) >= 3, "no join while another copy is away"


def test_copies_that_cannot_be_kept_are_refused_before_anything_is_removed(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [{"name": f"ctm-{i}"} for i in (1, 2, 3)])
    with pytest.raises(UsageError, match="--keep-copies 3 cannot be kept"):
        read_cluster(CommandRequest(simulate=folder, options=Options(keep_copies=3)))
    with pytest.raises(UsageError, match="both the survivor and held back"):
        read_cluster(CommandRequest(simulate=folder, options=Options(survivor="ctm-1", hold_back="ctm-1")))


def test_the_guard_refuses_whatever_the_plan_says(tmp_path: Path) -> None:
    """A plan whose first act erases: refused while the survivor is not proven well."""
    drive = Drive(make_world(2, clustered=True), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    plan = drive.plan()
    now = drive.world.clock.now()
    state = start(Started("r", "test", Mode.SIMULATED, plan, "me", 1, "0"), now)
    guard = guard_for(drive.cluster, plan)
    assert guard(plan.step("join:ctm-2"), state) == ""
    upgrading = apply(state, StepStarted("upgrade:ctm-1", {}), now)
    assert holders(plan, upgrading) == {"ctm-2"}
    assert "it is not proven that ctm-1 holds the data" in guard(plan.step("join:ctm-2"), upgrading)


def test_reset_before_join(tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path, REBUILD, options=Options(reset_before_join=True, survivor="ctm-1"))
    assert drive.start() == 0, drive.stuck
    order = [(e.kind, e.node) for e in drive.world.events if e.kind in ("reset", "join_started")]
    assert [node for kind, node in order if kind == "reset"] == ["ctm-2", "ctm-3"]
    assert not check_promises(drive.world, changes_expected=True, in_place=False)


# -- what goes wrong ---------------------------------------------------------------------------------------


def test_a_survivor_whose_upgrade_fails_leaves_the_old_data_on_all_others(tmp_path: Path) -> None:
    world = make_world(3, faults=[{"kind": "upgrade_fails", "node": "ctm-1"}])
    drive = Drive(world, tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    assert drive.start() == 5
    assert {n.data for n in world.nodes.values()} == {"data-main"} and not world.of_kind("data_erased")
    past = past_of([drive.state])
    assert (past.survivor, past.hurt, past.emptied) == ("ctm-1", True, frozenset())
    world.faults.clear()
    drive.decide("ctm-1", "retry")
    assert drive.resume() == 0, drive.stuck
    _one_cluster(world, "ctm-1", "ctm-2", "ctm-3")


def test_a_node_that_dies_in_its_join_stops_the_run_and_harms_nobody(tmp_path: Path) -> None:
    fault = {"kind": "power_loss", "node": "ctm-2", "when": "join_started:ctm-2 + 600s"}
    drive = Drive(make_world(3, faults=[fault]), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    assert drive.start() == 5
    (stuck,) = drive.stuck
    assert stuck[0] == "join:ctm-2" and "ctmupgrade recover" in stuck[1].remedy
    assert not drive.world.of_kind("join_started", "ctm-3"), "no other join while that one is not settled"
    assert drive.world.nodes["ctm-3"].data == "data-main"
    assert past_of([drive.state]).emptied == {"ctm-2"}


def test_a_join_that_is_refused_for_good_empties_nobody(tmp_path: Path) -> None:
    params = {"command": "fulljoin", "ran": False, "code": 15, "text": "NCERRBadRequest: the name is wrong"}
    fault = {"kind": "error", "node": "ctm-1", "params": params, "times": 0}
    drive = Drive(make_world(2, faults=[fault]), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    assert drive.start() == 5
    (stuck,) = drive.stuck
    assert stuck[0] == "join:ctm-2" and "NCERRBadRequest" in stuck[1].error
    assert past_of([drive.state]).emptied == frozenset(), "it was refused before anything was erased"
    assert drive.world.nodes["ctm-2"].data == "data-main"


def test_no_node_is_reset_while_another_ones_join_hangs(tmp_path: Path) -> None:
    """The vendor's reset before a join, too, waits for the join before: else it leaves one holder less for nothing."""
    world = make_world(3, faults=[{"kind": "join_hangs", "node": "ctm-2"}])
    drive = Drive(world, tmp_path, REBUILD, options=Options(survivor="ctm-1", reset_before_join=True))
    assert drive.start() in (4, 5)
    [(step, held)] = drive.stuck
    assert step == "join:ctm-2" and "recover tells how to end one that hangs" in held.remedy
    assert world.nodes["ctm-3"].data == "data-main" and world.nodes["ctm-3"].version.startswith("2.21.0")
    assert [e.node for e in world.of_kind("change") if "services reset" in e.detail] == ["ctm-2"]


@pytest.mark.parametrize(("seconds", "code"), [(40.0, 0), (0.0, 5)])
def test_what_is_not_known_before_the_script_is_waited_for(tmp_path: Path, seconds: float, code: int) -> None:
    """A locked database passes by itself. Where it does not, nothing is started."""
    drive = Drive(make_world(2, clustered=True), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    locked = Fault("error", "ctm-1", "", seconds, 0, {"command": "ksctl"})

    def lock(step: str, event: object, _tick: object) -> None:
        if step == "delete-cluster:ctm-1" and isinstance(event, StepDone):
            drive.world.inject(locked)

    drive.hook = lock
    assert drive.start() == code, drive.stuck
    assert locked.struck > 0
    if code:
        assert not drive.world.of_kind("upgrade_started")
        locked.times = 1  # it is spent: mended
        assert drive.resume() == 0, drive.stuck
    assert [e.node for e in drive.world.of_kind("upgrade_started")] == ["ctm-1", "ctm-2"]


def test_a_member_that_is_down_stops_the_removals(tmp_path: Path) -> None:
    fault = {"kind": "unreachable", "node": "ctm-3", "when": "node_removed:ctm-2 + 1s", "for_s": 7200}
    drive = Drive(make_world(3, faults=[fault]), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    assert drive.start() in (4, 5)
    assert not drive.world.of_kind("upgrade_started") and not drive.world.of_kind("data_erased")
    drive.world.clock.advance(7200)
    assert drive.resume() == 0, drive.stuck
    _one_cluster(drive.world, "ctm-1", "ctm-2", "ctm-3")
    assert not check_promises(drive.world, changes_expected=True, in_place=False)


def test_a_boot_that_needs_a_person_blocks_unless_acknowledged(tmp_path: Path) -> None:
    for accepted in (False, True):
        world = make_world(
            3, nodes=[{"name": "ctm-1"}, {"name": "ctm-2", "attended_boot": True}, {"name": "ctm-3"}]
        )
        drive = Drive(world, tmp_path, REBUILD, options=Options(accept_attended_boot=accepted))
        result, _ = check.plan(drive.setup())
        stops = [f for f in result.findings if f.stops]
        assert bool(stops) is not accepted
        assert all(
            f.check == "reboot_needs_no_person" and "--accept-attended-boot" in f.remedy for f in stops
        )


# -- HSM and settings --------------------------------------------------------------------------------------


def test_a_joiner_without_hsm_is_warned_about(tmp_path: Path) -> None:
    nodes = [{"name": "ctm-1", "hsm": ["luna"]}, {"name": "ctm-2", "hsm": ["luna"]}, {"name": "ctm-3"}]
    options = Options(survivor="ctm-1", reset_before_join=True)
    notes = Drive(make_world(3, nodes=nodes), tmp_path, REBUILD, options=options).plan().notes
    assert any("ctm-3 uses no HSM, ctm-1, ctm-2 do" in n and "weakest point" in n for n in notes)
    assert any("erases the HSM set-up of ctm-2" in n for n in notes)
    assert any("--shared-hsm-partition" in n for n in notes)
    plain = Drive(make_world(3), tmp_path, REBUILD).plan().notes
    assert not any("HSM" in n for n in plain)


def test_the_shared_partition_is_passed_on(tmp_path: Path) -> None:
    options = Options(survivor="ctm-1", shared_hsm_partition=True)
    drive = Drive(make_world(2, clustered=True), tmp_path, REBUILD, options=options)
    assert drive.start() == 0
    (join,) = [e.detail for e in drive.world.changes() if "fulljoin" in e.detail]
    assert "--shared-hsm-partition" in join and "newnodepass" not in join


def test_what_changed_and_what_became_fewer_is_told() -> None:
    before = {
        "licenses": {"resources": [{"id": "1", "type": "a"}, {"id": "2", "type": "b"}], "total": 2},
        "system": {"name": "eu-1", "uptime": "1 days, 0 hours, 0 minutes", "version": "2.20.0"},
        "interfaces": {"resources": [{"name": "web"}]}, "hsm": {"unknown": "no answer"},
    }  # fmt: skip
    after = {
        "licenses": {"resources": [{"id": "9", "type": "a"}], "total": 1},
        "system": {"name": "eu-1", "uptime": "0 days, 0 hours, 9 minutes", "version": "2.21.0"},
        "interfaces": {"resources": [{"name": "web"}, {"name": "kmip"}]}, "hsm": {"resources": []},
    }  # fmt: skip
    assert [name for name, _ in differences(before, after)] == ["licenses", "interfaces"]
    assert list(fewer(before, after)) == ["licenses 2 -> 1"]
    assert not list(differences(before, before)) and not list(fewer(before, before))


def test_numbers_have_thresholds() -> None:
    before = {"keys": {"count": 1000}, "users": {"count": 7}}
    assert not list(fewer(before, {"keys": {"count": 991}, "users": {"count": 8}}))
    assert list(fewer(before, {"keys": {"count": 989}, "users": {"count": 6}})) == [
        "keys 1000 -> 989",
        "users 7 -> 6",
    ]
    assert not list(differences(before, {"keys": {"count": 1}, "users": {"count": 1}}))
    gone = {"keys": {"unknown": "no answer"}, "users": {"count": 7}}
    assert not list(fewer(before, gone))
    assert not list(differences(before, gone)), "what cannot be read is not known to differ"
    assert not_known(before, gone) == {"keys": "no answer"}
    assert not list(differences(gone, before)) and not list(fewer(gone, before)), "it was not known before"


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.STANDALONE])
def test_what_an_upgrade_loses_stands_in_the_report(tmp_path: Path, strategy: StrategyName) -> None:
    names = ("ctm-1",) if strategy is StrategyName.STANDALONE else ("ctm-1", "ctm-2")
    nodes = [{"name": name, "licences": ["virtual", "connectors"]} for name in names]
    world = make_world(len(names), nodes=nodes, clustered=strategy is StrategyName.IN_PLACE)
    drive = Drive(world, tmp_path, strategy)

    def lose(step: str, event: object, _tick: object) -> None:
        if step == "reboot:ctm-1" and event is not None:
            drive.world.nodes["ctm-1"].licences = ["virtual"]
            drive.world.nodes["ctm-1"].users = ["admin"]

    drive.world.nodes["ctm-1"].users = ["admin", "eve"]
    drive.hook = lose
    assert drive.start() == 0, "a person judges it; it stops nothing"
    held = drive.state.steps["compare-settings:ctm-1"]
    assert held.evidence["fewer"] == "licenses 2 -> 1, users 2 -> 1"
    assert any("FEWER than before" in note for note in held.notes)
    assert all(
        drive.state.steps[f"compare-settings:{n}"].evidence["differences"] == "none" for n in names[1:]
    )
    recorded = json.loads(drive.state.steps["record-settings:ctm-1"].before["settings"])
    assert recorded["licenses"]["total"] == 2 and recorded["users"] == {"count": 2}


def test_a_lost_licence_stands_in_the_report(tmp_path: Path) -> None:
    nodes = [{"name": "ctm-1"}, {"name": "ctm-2", "licences": [f"licence {i}" for i in range(12)]}]
    drive = Drive(
        make_world(2, nodes=nodes, clustered=True), tmp_path, REBUILD, options=Options(survivor="ctm-1")
    )

    def lose(step: str, event: object, _tick: object) -> None:
        if step == "join:ctm-2" and event is not None:
            drive.world.nodes["ctm-2"].licences = drive.world.nodes["ctm-2"].licences[:11]

    drive.hook = lose
    assert drive.start() == 0
    held = drive.state.steps["compare-settings:ctm-2"]
    assert held.evidence["fewer"] == "licenses 12 -> 11", "beyond the first page of ten too"
    assert any("FEWER than before" in note for note in held.notes)


# -- new instances -----------------------------------------------------------------------------------------

OLD: list[dict[str, Any]] = [
    {"name": "ctm-1"},
    {"name": "ctm-2", "ntp": {"servers": ["time7.example.com"]}},
    {"name": "ctm-3"},
]
FRESH = {"name": "ctm-2-new", "host": "10.0.0.99", "cluster": "", "version": NEW}


def test_a_new_instance_takes_an_old_nodes_place(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [*OLD, FRESH])
    outcome, world = _run(folder, tmp_path, survivor="ctm-1", fresh=(("ctm-2", "10.0.0.99"),))
    assert outcome.code == 0, _errors(outcome.state)
    _one_cluster(world, "ctm-1", "ctm-2-new", "ctm-3")
    old = world.nodes["ctm-2"]
    assert (old.cluster, old.data, old.version) == ("", "data-main", "2.20.0+15016")
    assert world.nodes["ctm-2-new"].ntp.servers[-1] == "time7.example.com", (
        "settings are those of the old node"
    )
    assert not [e for e in world.of_kind("upgrade_started") if e.node in ("ctm-2", "ctm-2-new")]
    joins = [(e.kind, e.node) for e in world.events if e.kind in ("join_started", "join_done")]
    assert [kind for kind, _ in joins] == ["join_started", "join_done"] * 2
    assert outcome.state is not None
    assert any("add 10.0.0.99 to cluster.yaml" in note for note in outcome.state.plan.notes)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "2.20.0+15016"}, "not 2.21.0"),
        ({"cluster": "other"}, "in a cluster already"),
        ({"services": {"web": "starting"}}, "services are"),
    ],
)
def test_a_new_instance_that_is_not_ready_blocks(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    outcome, world = _run(
        _folder(tmp_path, [*OLD, {**FRESH, **change}]),
        tmp_path,
        survivor="ctm-1",
        fresh=(("ctm-2", "10.0.0.99"),),
    )
    assert outcome.code == 3 and not world.changes()
    assert outcome.result is not None
    assert [
        f
        for f in outcome.result.findings
        if f.stops and f.check == "fresh_instances_ready" and why in f.summary
    ]


def test_a_run_with_a_new_instance_is_resumed(tmp_path: Path) -> None:
    refused = {"kind": "error", "node": "ctm-1", "when": "command ksctl cluster fulljoin #2", "code": 15,
               "text": "NCERRBadRequest: not now"}  # fmt: skip
    folder = _folder(tmp_path, [*OLD, FRESH], faults=[refused])
    common = ["--state-dir", str(tmp_path), "--simulate", str(folder)]
    code, _ = golden.call("run", "--yes", *common, "--survivor", "ctm-1", "--fresh", "ctm-2=10.0.0.99")
    assert code == 5
    code, printed = golden.call("resume", "--format", "json", *common)
    report = json.loads(printed.splitlines()[-1])
    assert code == 0, report
    assert {n["name"] for n in report["nodes"]} == {"ctm-1", "ctm-2", "ctm-3", "ctm-2-new"}


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ((("ctm-9", "10.0.0.99"),), "no such node"),
        ((("ctm-1", "10.0.0.99"),), "survivor"),
        ((("ctm-2", "10.0.0.13"),), "another node's address"),
        ((("ctm-2", "10.0.0.98"), ("ctm-2", "10.0.0.99")), "replaced twice"),
    ],
)
def test_a_replacement_that_makes_no_sense_is_refused(pairs: Any, why: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, OLD)
    with pytest.raises(UsageError, match=why):
        read_cluster(CommandRequest(simulate=folder, options=Options(survivor="ctm-1", fresh=pairs)))
    with pytest.raises(UsageError, match="rebuild strategy"):
        request = CommandRequest(
            simulate=folder, strategy=StrategyName.IN_PLACE, options=Options(fresh=(("ctm-2", "10.0.0.99"),))
        )
        read_cluster(request)


def test_fresh_is_read_from_the_command_line(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [*OLD, FRESH])
    for text in ("ctm-2", "=10.0.0.99", "ctm-2=", "ctm-2=https://10.0.0.99"):
        assert (
            golden.call("plan", "--simulate", str(folder), "--state-dir", str(tmp_path), "--fresh", text)[0]
            == 2
        )
    code, printed = golden.call(
        "plan", "--simulate", str(folder), "--state-dir", str(tmp_path), "--format", "json", "--survivor", "ctm-1",
        "--fresh", "ctm-2=10.0.0.99",
    )  # fmt: skip
    steps = [s["id"] for s in json.loads(printed)["steps"]]
    assert (
        code == 0 and "remove:ctm-2" in steps and "join:ctm-2-new" in steps and "upgrade:ctm-2" not in steps
    )
    assert not [s for s in itertools.chain(steps) if s in ("join:ctm-2", "stage:ctm-2", "upgrade:ctm-2-new")]


def test_the_order_of_removals_and_joins_is_the_one_asked_for(tmp_path: Path) -> None:
    folder = _folder(tmp_path, [{"name": f"ctm-{n}"} for n in (1, 2, 3)])
    options = {"order": ("ctm-3", "ctm-2", "ctm-1"), "survivor": "ctm-2"}
    outcome, world = _run(folder, tmp_path / "state", **options)
    assert outcome.code == 0, _errors(outcome.state)
    order = [e.node for e in world.events if e.kind == "join_started"]
    assert order == ["ctm-3", "ctm-1"]
