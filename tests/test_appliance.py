"""The appliance as it really is (docs/appliance.md): what it says while it is changed, and what its words do not prove.

What happened is read from the simulated world's own log; time is virtual.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check
from ctmupgrade.core.checks.findings import Verdict
from ctmupgrade.core.ksctl import is_refusal, names_left_configuration, sounds_later
from ctmupgrade.core.looks import parse_ksctl, parse_shell
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.replication import Lag, lag_of
from ctmupgrade.core.looks.upgrade_log import LogVerdict, log_verdict
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.releases import PathVerdict, judge_path
from ctmupgrade.core.run.journal import Event, StepDone, StepStarted
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.core.version import Version
from ctmupgrade.sim import Fault, World, timeline
from ctmupgrade.sim.status import FLAP_EVERY
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.killing import Fuse, OrderFleet, SleepyFleet
from tests.support.promises import check_promises
from tests.support.world_run import Drive, Killed, make_world

REBUILD, IN_PLACE = StrategyName.REBUILD, StrategyName.IN_PLACE


def drive_of(
    folder: Path, strategy: StrategyName = REBUILD, skips: tuple[Any, ...] = (), **defaults: Any
) -> Drive:
    """Three nodes of these traits; ctm-1 survives a rebuild."""
    defaults["times"] = {**TIMES, **defaults.get("times", {})}
    options = Options(survivor="ctm-1" if strategy is REBUILD else "", skips=skips)
    return Drive(make_world(3, defaults=defaults), folder, strategy, options=options, settings=SETTINGS)


@dataclass
class At:
    """Something that happens to the world once, when a step is begun or done."""

    step: str
    act: Callable[[World], object]
    kind: type[Any] = StepDone
    happened: bool = False


def start(drive: Drive, at: At | None = None, said: list[str] | None = None) -> int:
    """Runs it, and lets that happen."""

    def hook(step: str, event: Event | None, tick: Tick | None) -> None:
        if said is not None and isinstance(tick, Waiting):
            said.append(tick.what)
        if at and not at.happened and step == at.step and isinstance(event, at.kind):
            at.happened = True
            at.act(drive.world)

    drive.hook = hook
    return drive.start()


def one_cluster(drive: Drive) -> None:
    nodes = list(drive.world.nodes.values())
    assert len({n.cluster for n in nodes}) == 1 and nodes[0].cluster
    assert {n.version for n in nodes} == {drive.world.archive.version}
    assert {n.data for n in nodes} == {"data-main"}
    assert not check_promises(drive.world, changes_expected=True, in_place=drive.strategy is IN_PLACE)


# -- nodes that are removed, and joined again -----------------------------------------------------------------

REMOVED = {
    "says not clustered at once": {"times": {"removed_s": 0.0}},
    "lingers": {"times": {"removed_s": 600.0}},
    "its delete answers 200 in vain": {"membership": {"vain_deletes": 1}},
    "not clustered at once, and in vain": {"times": {"removed_s": 0.0}, "membership": {"vain_deletes": 1}},
    "its delete is never answered": {"membership": {"delete": "silent"}},
    "its status is empty after the join": {"times": {"publish_s": 100.0}},
    "answers 500 for minutes": {"times": {"upset_s": 400.0}},
    "its services flap": {"times": {"flap_s": 200.0}},
    "refuses logins for minutes": {"times": {"login_s": 400.0}},
    "refuses --limit, bare arrays": {"ksctl": {"limits": False, "lockdata": "get", "bare_lists": True}},
}  # fmt: skip


@pytest.mark.parametrize("traits", REMOVED.values(), ids=REMOVED)
def test_a_rebuild_ends_well_whatever_a_removed_node_says(traits: dict[str, Any], tmp_path: Path) -> None:
    drive = drive_of(tmp_path, **json.loads(json.dumps(traits)))
    assert start(drive) == 0, drive.stuck
    one_cluster(drive)
    assert not drive.world.of_kind("join_not_ready"), "one `started` is not believed before a join"
    for node in ("ctm-2", "ctm-3"):
        ordered = [e.at for e in drive.world.changes() if e.node == node and "cluster delete" in e.detail]
        upgraded = drive.world.of_kind("upgrade_started", node)[0].at
        assert ordered and ordered[0] < upgraded, "the procedure says so, whatever the node says of itself"


@pytest.mark.parametrize(("vain", "code"), [(1, 0), (3, 0), (9, 5)])
def test_a_delete_answered_in_vain_is_sent_again_three_times(vain: int, code: int, tmp_path: Path) -> None:
    """Of the survivor, alone in its cluster; though the patience with services is short."""
    drive = drive_of(tmp_path)
    drive.world.nodes["ctm-1"].membership.vain_deletes = vain
    timeouts = replace(drive.cluster.timeouts, service=timedelta(seconds=400))
    drive.cluster = replace(drive.cluster, timeouts=timeouts)
    assert start(drive) == code, drive.stuck
    sent = [e for e in drive.world.changes() if e.node == "ctm-1" and "cluster delete" in e.detail]
    assert len(sent) == min(vain, 3) + 1


@pytest.mark.parametrize(("times", "sent"), [(1, 2), (0, 4)])
def test_a_delete_that_a_node_puts_off_is_sent_again(times: int, sent: int, tmp_path: Path) -> None:
    """HTTP 500 while it is removed means later; that it calls itself unclustered proves no deletion. Not without end: what is
    left is also cleared where the join is refused for it."""
    drive = drive_of(tmp_path, times={"removed_s": 0.0})
    answer: dict[str, Any] = {"text": "NCERRInternalServerError: unexpected error"}
    drive.world.inject(Fault("error", "ctm-2", "command ksctl cluster delete", times=times, params=answer))
    begun: list[str] = []
    drive.hook = lambda step, event, _: begun.append(step) if isinstance(event, StepStarted) else None
    code = drive.start()
    assert begun.count("delete-cluster:ctm-2") == sent
    if times:
        assert code == 0, drive.stuck
        deleted, upgraded = (
            drive.world.of_kind(kind, "ctm-2")[0].at for kind in ("cluster_deleted", "upgrade_started")
        )
        assert deleted < upgraded


def test_a_join_waits_until_services_no_longer_flap(tmp_path: Path) -> None:
    """`started` for a moment between two `error` is no time for a join."""
    drive = drive_of(tmp_path, times={"flap_s": 200.0})
    assert start(drive) == 0, drive.stuck
    for node in ("ctm-2", "ctm-3"):
        ready = max(e.at for e in drive.world.of_kind("ready", node))
        assert drive.world.of_kind("join_started", node)[0].at >= ready + 200


@pytest.mark.parametrize("step", ["gate:ctm-1", "record-settings:ctm-1"])
def test_no_gate_passes_while_services_say_started_error_started(step: str, tmp_path: Path) -> None:
    """Of any node: one look in between shows all of them started. How long they have been is told."""
    drive, said = drive_of(tmp_path, IN_PLACE), list[str]()
    flapping: list[float] = []

    def flap(world: World) -> None:
        node = world.nodes["ctm-3"]
        node.times.flap_s, node.ready_at = 200.0, world.now
        flapping.append(world.now)

    assert start(drive, At(step, flap, StepStarted), said) == 0, drive.stuck
    one_cluster(drive)
    began = drive.world.of_kind("upgrade_started", "ctm-1")[0].at
    assert began >= flapping[0] + 200 + drive.cluster.stable_for.total_seconds() - 2 * FLAP_EVERY
    assert any("healthy; for 20 s so far" in words for words in said)


def test_a_gate_of_twenty_nodes_waits_at_half_the_pace(tmp_path: Path) -> None:
    """Twenty nodes are asked for nothing every five seconds while one of them is unwell: `scripts/bench gate` counts it."""
    spans = {}
    for count in (3, 20):
        drive, looks = Drive(make_world(count), tmp_path / str(count)), list[float]()
        plan = drive.plan()
        drive.world.inject(Fault("services", f"ctm-{count}", "", 200.0, params={"state": "error"}))

        def hook(
            step: str, event: object, tick: object, drive: Drive = drive, looks: list[float] = looks
        ) -> None:
            if step == "gate:ctm-1" and isinstance(tick, Waiting) and "healthy" not in tick.what:
                looks.append(drive.world.now)
            if isinstance(event, StepStarted) and event.step == "upgrade:ctm-1":
                raise Killed

        drive.hook = hook
        with pytest.raises(Killed):
            drive.start(plan)
        spans[count] = min(b - a for a, b in pairwise(looks))
    assert spans == {3: 5.0, 20: 10.0}


def test_a_gate_after_a_node_that_settled_takes_no_streak_again(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE)
    assert start(drive) == 0, drive.stuck
    took = {}
    for number in (1, 2, 3):
        gate = drive.state.steps[f"gate:ctm-{number}"]
        assert gate.started and gate.finished
        took[number] = (gate.finished - gate.started).total_seconds()
    assert took[1] >= drive.cluster.stable_for.total_seconds() > 2 * max(took[2], took[3])


def test_what_cannot_be_listed_with_a_limit_is_recorded_all_the_same(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, ksctl={"limits": False, "lockdata": "get", "bare_lists": True})
    assert start(drive) == 0, drive.stuck
    recorded = json.loads(drive.state.steps["record-settings:ctm-2"].before["settings"])
    assert recorded["lockdata"]["code"] and recorded["ntp"]["resources"]
    assert recorded["users"] == {"count": 1}
    assert drive.state.steps["compare-settings:ctm-2"].evidence["differences"] == "none"


def test_a_configuration_that_is_left_is_deleted_when_the_join_says_so(tmp_path: Path) -> None:
    """Delete it, join again, at once: not waited out for the join's time-out."""
    usual, drive = drive_of(tmp_path / "usual"), drive_of(tmp_path)

    def leave(world: World) -> None:
        world.nodes["ctm-2"].config_left = True

    assert start(usual) == 0
    assert start(drive, At("restore-settings:ctm-2", leave)) == 0, drive.stuck
    one_cluster(drive)
    assert drive.world.now - usual.world.now < 300, "nothing was waited out"


@pytest.mark.parametrize("words", ["cluster delete", "cluster fulljoin"])
def test_killed_around_the_orders_of_a_rejoin_it_goes_on(words: str, tmp_path: Path) -> None:
    """A removed node that says at once that it is not clustered; the process dies before or after the order."""
    for after in (False, True):
        drive = drive_of(tmp_path / str(after), times={"removed_s": 0.0})
        orders = Fuse(1, after)
        drive.fleet_of = partial(OrderFleet, words=words, fuse=orders)
        with pytest.raises(Killed):
            drive.start()
        assert drive.resume() == 0, drive.stuck
        one_cluster(drive)


def test_a_new_clusters_member_is_no_left_configuration(tmp_path: Path) -> None:
    """A joiner that is a member of some cluster is for a person: nothing is deleted on it."""
    drive = drive_of(tmp_path)

    def elsewhere(world: World) -> None:
        world.nodes["ctm-2"].cluster, world.nodes["ctm-2"].node_id = "another", "someone"

    assert start(drive, At("restore-settings:ctm-2", elsewhere)) == 5
    [(step, held)] = drive.stuck
    assert step == "join:ctm-2" and "already" in held.error
    late = [e for e in drive.world.changes() if e.node == "ctm-2" and "cluster delete" in e.detail]
    assert len(late) == 1, "the procedure's own, before"


def test_a_node_with_other_members_is_not_told_to_leave(tmp_path: Path) -> None:
    """`cluster delete` on it would answer 200 and do nothing."""
    drive = drive_of(tmp_path)

    def come_back(world: World) -> None:
        world.nodes["ctm-2"].cluster, world.nodes["ctm-2"].node_id = "main", "again"

    assert start(drive, At("delete-cluster:ctm-3", come_back)) == 5
    [(step, held)] = drive.stuck
    assert step == "delete-cluster:ctm-1" and "removes only the last node" in held.error
    assert not drive.world.of_kind("cluster_delete_in_vain") and not drive.world.of_kind("upgrade_started")


@pytest.mark.parametrize(
    ("step", "words", "node"),
    [
        ("remove:ctm-2", "cluster nodes delete", "ctm-1"), ("new-cluster:ctm-1", "cluster new", "ctm-1"),
        ("join:ctm-2", "cluster fulljoin", "ctm-1"), ("backup:ctm-1", "backup create", "ctm-1"),
        ("delete-cluster:ctm-1", "cluster delete", "ctm-1"),
    ],
)  # fmt: skip
def test_a_definite_refusal_ends_its_wait_and_is_what_is_shown(
    step: str, words: str, node: str, tmp_path: Path
) -> None:
    drive = drive_of(tmp_path)
    says = {"code": 15, "text": "NCERRBadRequest: the moon is full"}
    drive.world.inject(Fault("error", node, f"command ksctl {words}", 0.0, 0, says))
    ended: list[float] = []
    drive.hook = lambda at, event, _t: ended.append(drive.world.now) if at == step and event else None
    assert drive.start() == 5
    [(stuck, held)] = drive.stuck
    assert stuck == step and "the moon is full" in held.error
    assert ended[-1] - ended[0] < 30, "at once"


@pytest.mark.parametrize(
    "words", ["cluster nodes delete", "cluster new", "cluster fulljoin", "cluster delete"]
)
def test_an_internal_error_is_no_refusal(words: str, tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.world.inject(Fault("error", "ctm-1", f"command ksctl {words}"))
    assert start(drive) == 0, drive.stuck
    one_cluster(drive)


# -- promise 5: the survivor has caught up ---------------------------------------------------------------------

BEHIND: dict[str, dict[str, object]] = {
    "blocked": {"replicationBlocked": True}, "minutes behind": {"replayLag": "00:10:00"},
    "a day behind": {"writeLag": "1 day 00:00:01"}, "bytes behind": {"replayLagBytes": 10**8},
    "catches up": {"catchupInterval": "00:01:00"}, "not understood": {"replayLag": "soon"},
    "a list": {"replayLag": [1]}, "not said": {"replicationBlocked": None, "replayLagBytes": None},
}  # fmt: skip


@pytest.mark.parametrize("fields", BEHIND.values(), ids=BEHIND)
def test_no_node_is_removed_while_the_survivor_is_behind(fields: dict[str, object], tmp_path: Path) -> None:
    """A survivor that has stalled is connected, ready and GOOD; the newest data is on the others."""
    drive = drive_of(tmp_path)
    stalls = Fault("replication_behind", "ctm-1", params={"fields": fields})
    assert start(drive, At("gate:ctm-1", lambda world: world.inject(stalls))) == 5
    [(step, held)] = drive.stuck
    assert step == "remove:ctm-2" and "ctm-1" in held.error
    assert not drive.world.of_kind("node_removed")
    drive.world.faults.clear()
    assert drive.resume() == 0, drive.stuck
    one_cluster(drive)


def test_a_survivor_that_catches_up_is_waited_for(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    stalls = Fault("replication_behind", "ctm-1", "", 300.0, params={"fields": {"replicationBlocked": True}})
    assert start(drive, At("gate:ctm-1", lambda world: world.inject(stalls))) == 0, drive.stuck
    assert not drive.world.of_kind("newest_data_removed")


@pytest.mark.parametrize("strategy", [REBUILD, IN_PLACE])
@pytest.mark.parametrize("fields", BEHIND.values(), ids=BEHIND)
def test_a_check_says_that_replication_is_behind(
    strategy: StrategyName, fields: dict[str, object], tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, strategy)
    drive.world.inject(Fault("replication_behind", "ctm-3", params={"fields": fields, "peer": "ctm-2"}))
    result = check.check(drive.setup())
    found = [f for f in result.findings if f.stops]
    if strategy is IN_PLACE and fields == BEHIND["not said"]:
        assert not found, "nothing is removed: connected and GOOD are enough where a release says no more"
        return
    assert [(f.check, f.node) for f in found] == [("replication_caught_up", "ctm-3")]
    not_said = fields == BEHIND["not said"]  # then no wait helps
    assert "ctm-2" in found[0].summary
    assert ("--skip replication_caught_up" if not_said else "cluster summary") in found[0].remedy
    unclear = fields in (BEHIND["not understood"], BEHIND["a list"], BEHIND["not said"])
    assert found[0].verdict is (Verdict.UNKNOWN if unclear else Verdict.BLOCK)


def test_no_node_goes_out_of_service_while_one_is_behind(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE)
    stalls = Fault("replication_behind", "ctm-1", params={"fields": {"replayLag": "00:10:00"}})
    assert start(drive, At("settle:ctm-1", lambda world: world.inject(stalls))) == 5
    assert [e.node for e in drive.world.of_kind("upgrade_started")] == ["ctm-1"]
    assert "behind" in drive.stuck[0][1].error


def test_replication_that_is_behind_can_be_waived_by_name(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, skips=(("replication_caught_up", "the link is slow"),))
    drive.world.inject(Fault("replication_behind", "ctm-1", params={"fields": {"replayLag": "00:10:00"}}))
    assert start(drive) == 0, drive.stuck


@pytest.mark.parametrize(
    ("info", "lag"),
    [
        ({"replayLag": "00:00:00.000873", "replicationBlocked": False}, Lag(0.000873, None, None, False)),
        ({"replayLag": "1 day 02:00:00", "writeLag": "00:00:01"}, Lag(93600.0, None, None, None)),
        ({"replayLag": "2 days", "catchupInterval": "00:00:00"}, Lag(172800.0, None, 0.0, None)),
        ({"replayLag": "-00:00:00.5"}, Lag(0.0, None, None, None)),
        ({"replayLag": None, "replayLagBytes": 0, "sentLagBytes": 7}, Lag(None, 7, None, None)),
        ({"catchupInterval": 1.5}, Lag(None, None, 1.5, None)),
        ({}, Lag()),
    ],
)
def test_how_far_a_member_is_behind(info: dict[str, object], lag: Lag) -> None:
    assert lag_of(info) == lag


@pytest.mark.parametrize(
    "info", [{"replayLag": "soon"}, {"replayLag": float("nan")}, {"replicationBlocked": "no"}, {"writeLag": {}}, {"flushLag": True}]
)  # fmt: skip
def test_what_is_said_of_the_lag_and_not_understood_is_unclear(info: dict[str, object]) -> None:
    assert lag_of(info).unclear


# -- the last look before the script is young ------------------------------------------------------------------


@pytest.mark.parametrize("by", ["both clocks", "the wall clock only"])
def test_a_machine_that_slept_looks_again_before_the_script_starts(by: str, tmp_path: Path) -> None:
    """Between the last look and the start the lid was closed; meanwhile another member went down."""
    drive = drive_of(tmp_path, IN_PLACE)

    def sleep(world: World) -> None:
        if by == "both clocks":
            world.clock.advance(600)
        else:
            world.clock.start += timedelta(seconds=600)
        timeline.hang_up(world)
        world.inject(Fault("unreachable", "ctm-3"))

    assert start(drive, At("upgrade:ctm-1", sleep, StepStarted)) == 4
    assert not drive.world.of_kind("upgrade_started"), "the cluster was well ten minutes ago, not now"
    drive.world.faults.clear()
    assert drive.resume() == 0, drive.stuck
    assert len(drive.world.of_kind("upgrade_started")) == 3


def test_it_looks_again_where_it_slept_just_before_the_order(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE)

    def sleep() -> None:
        drive.world.clock.advance(600)
        timeline.hang_up(drive.world)
        drive.world.inject(Fault("unreachable", "ctm-3"))

    plan = drive.plan()
    drive.plan = lambda: plan  # type: ignore[method-assign] # the checks are over
    drive.fleet_of = partial(
        SleepyFleet, words="sudo -n -l", nth=1, sleep=sleep
    )  # asked right before the order
    assert drive.start() == 4
    assert not drive.world.of_kind("upgrade_started")


def test_what_was_seen_before_a_removal_is_young_too(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)

    def sleep(world: World) -> None:
        world.clock.advance(600)
        timeline.hang_up(world)
        fields = {"replicationBlocked": True}
        world.inject(Fault("replication_behind", "ctm-1", "", 300.0, params={"fields": fields}))

    assert start(drive, At("remove:ctm-2", sleep, StepStarted)) == 0, drive.stuck
    assert not drive.world.of_kind("newest_data_removed")


# -- unknown is not gone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [REBUILD, IN_PLACE])
@pytest.mark.parametrize(("seconds", "lost"), [(0.0, True), (30.0, False)])
def test_what_cannot_be_read_is_asked_again_and_never_called_lost(
    strategy: StrategyName, seconds: float, lost: bool, tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, strategy)
    drive.world.nodes["ctm-2"].hsm = ["luna"]
    words = ("hsm servers", "rot-keys", "licensing", "users list")

    def refuse(world: World) -> None:
        world.inject(*(Fault("error", "ctm-2", "", seconds, 0, {"command": f"ksctl {one}"}) for one in words))

    before = "settle:ctm-2" if strategy is IN_PLACE else "join:ctm-3"
    assert start(drive, At(before, refuse)) == 0, drive.stuck
    held = drive.state.steps["compare-settings:ctm-2"]
    notes = "\n".join(held.notes)
    assert held.evidence["differences"] == "none" and "fewer" not in held.evidence
    assert ("not_known" in held.evidence) is lost
    if lost:
        assert held.evidence["not_known"] == "licenses, lockdata, hsm, rot_keys, users"
        assert "NCERRInternalServerError" in notes and "check it later with: ksctl hsm servers list" in notes
    for order in ("rotate", "resets the appliance", "set it up", "TO DO", "any more"):
        assert order not in notes


def test_in_place_nothing_is_reset_or_rotated_for_what_differs(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE)
    drive.world.nodes["ctm-2"].hsm = ["luna"]

    def lose(world: World) -> None:
        world.nodes["ctm-2"].hsm = []

    assert start(drive, At("settle:ctm-2", lose)) == 0
    notes = "\n".join(drive.state.steps["compare-settings:ctm-2"].notes)
    assert "hsm was" in notes and "vendor support" in notes
    assert "set it up as before" not in notes


# -- a refused login ------------------------------------------------------------------------------------------


def test_a_login_that_is_refused_after_the_reboot_is_tried_a_few_times(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE, times={"login_s": 900.0})
    assert start(drive) == 0, drive.stuck
    for node in drive.world.nodes:
        tries = [e.at for e in drive.world.of_kind("login_refused", node)]
        assert 1 <= len(tries) <= 4
        assert all(after - before >= 55 for before, after in pairwise(tries))


def test_a_login_that_is_refused_for_good_ends_with_the_users_name(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE)

    def lock(world: World) -> None:
        for node in world.nodes.values():
            node.times = replace(node.times, login_s=1e6)
            node.changed_at = world.now

    assert start(drive, At("reboot:ctm-1", lock)) in (5, 6)
    assert "login as admin" in drive.stuck[0][1].error
    assert len(drive.world.of_kind("login_refused")) <= 6


# -- words ----------------------------------------------------------------------------------------------------


def test_answers_that_are_neither_yes_nor_no() -> None:
    later = ('{"code":14,"codeDesc":"NCERRInternalServerError: unexpected error"}', "joining node is not ready, status: error",
             "HTTP 500", "Local NTP Unix socket returned a non-successful HTTP code")  # fmt: skip
    assert all(sounds_later(text) and not is_refusal(text) for text in later)
    assert is_refusal("NCERRBadRequest: no") and is_refusal("Error: unknown flag: --x")
    assert not is_refusal("NCERRUnauthorizedAccess: Unauthorized") and not is_refusal("well, no")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("node is already part of a cluster", True), ("the joining node is clustered already", True),
        ("a cluster configuration exists on the node", True), ("the member is not clustered", False),
        ("a cluster has at most 20 nodes", False), ("versions differ: 2.20.0 and 2.21.0", False),
    ],
)  # fmt: skip
def test_a_refusal_that_names_a_left_configuration(text: str, left: bool) -> None:
    assert names_left_configuration(f"NCERRBadRequest: {text}") is left


def test_an_empty_status_is_no_missing_one() -> None:
    row = {"nodeID": "2", "host": "h", "isThisNode": False}
    text = json.dumps({"resources": [{**row, "status": {"code": "", "description": ""}}, row]})
    empty, missing = parse_ksctl.members(text)
    assert (empty.code, missing.code) == ("", "?")
    assert "just joined" in empty.state


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"nodeID": "", "status": {"code": "none"}}, True), ({"nodeID": "", "status": {"code": "d"}}, True),
        ({"nodeID": "a", "status": {"code": ""}}, True), ({"nodeID": "a", "status": {"code": "r"}}, False),
        ({"nodeID": "a", "status": {"code": "d"}}, False), ({"nodeID": "a", "status": {"x": "d"}}, False),
    ],
)  # fmt: skip
def test_what_proves_that_a_node_has_left_its_cluster(body: dict[str, object], left: bool) -> None:
    assert parse_ksctl.membership(json.dumps(body)).left is left


def test_listings_may_be_bare_arrays() -> None:
    errors = [{"isThisNode": True, "nodeID": "1", "clusterErrors": [{"errorMessage": "no leader"}]},
              {"isThisNode": False, "nodeID": "2", "clusterErrors": None}]  # fmt: skip
    for value in (errors, {"resources": errors}):
        assert parse_ksctl.cluster_errors(json.dumps(value)) == ("no leader",)
    assert not parse_ksctl.cluster_errors("[]") and not parse_ksctl.members("[]")
    with pytest.raises(NotUnderstoodError):  # what stands between the rows may be a row that is broken
        parse_ksctl.cluster_errors('[{"errorMessage": "x"}, 3]')
    with pytest.raises(NotUnderstoodError):
        parse_ksctl.members("Are you sure? [y/N] ")


DEFUNCT = (
    "[ks_upgrade.sh] <defunct>", "root 1 2 0 10:00 ? 00:00:00 [ks_upgrade.sh] <defunct>", "99 ks_upgrade.sh <defunct>",
    "root 1 0.0 0.0 0 0 ? Z 10:00 0:00 sudo /opt/keysecure/ks_upgrade.sh -f a", "[SCREEN ks_upgrade] <defunct>",
)  # fmt: skip


@pytest.mark.parametrize("line", DEFUNCT)
def test_what_is_defunct_does_not_run(line: str) -> None:
    assert parse_shell.upgrade_processes(f"PID CMD\n{line}\n") == ()
    running = "root 1 0.0 0.0 0 0 ? S 10:00 0:00 sudo /opt/keysecure/ks_upgrade.sh -f a"
    assert len(parse_shell.upgrade_processes(f"PID CMD\n{line}\n{running}\n")) == 1


# -- versions -------------------------------------------------------------------------------------------------


def test_builds_of_betas_are_not_compared_with_those_of_releases() -> None:
    beta, other, release = map(Version.parse, ("2.24.0-beta7+51895", "2.24.0-beta6+51800", "2.24.0+17000"))
    assert (beta.beta, release.beta, Version.parse("2.19.0-LTS").beta) == ("beta7", "", "")
    assert not beta.same_release(release) and not beta.same_release(other)
    assert beta.same_release(Version.parse("2.24.0-beta7")) and release.same_release(Version.parse("2.24.0"))
    assert not Version.parse("2.24.0").same_release(beta)
    judged = judge_path(beta, Version.parse("2.25.0"), IN_PLACE)
    assert judged.verdict is PathVerdict.BLOCK and "beta" in judged.why


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("Upgrade to 2.24.0-beta7+51895 succeeded", "2.24.0-beta7+51895"), ("Upgrade to 2.21.0+15451 succeeded", "2.21.0+15451"),
        ("Upgrade to 2.21.0 succeeded", "2.21.0"), ("Upgrade to 2.21.0... succeeded", "2.21.0"),
    ],
)  # fmt: skip
def test_the_success_line_names_the_whole_version(line: str, version: str) -> None:
    assert log_verdict(line)[:2] == (LogVerdict.SUCCEEDED, version)


@pytest.mark.parametrize("version", ["Development", "2.24.0-beta7+51895"])
@pytest.mark.parametrize("strategy", [REBUILD, IN_PLACE, StrategyName.STANDALONE])
def test_a_version_that_is_no_release_blocks_with_words(
    version: str, strategy: StrategyName, tmp_path: Path
) -> None:
    count = 1 if strategy is StrategyName.STANDALONE else 2
    archive = {"name": "ks_upgrade_2.25.0+1.tar.gz.gpg", "version": "2.25.0+1"}
    defaults = {"version": version, "times": TIMES}
    world = make_world(count, clustered=count > 1, defaults=defaults, archive=archive)
    world.strict = False
    drive = Drive(world, tmp_path, strategy, settings=SETTINGS)
    result = check.check(drive.setup())
    assert result.code == 3
    assert any(version in f.summary for f in result.findings if f.stops), [str(f) for f in result.findings]


# -- port 2380 ------------------------------------------------------------------------------------------------

ARCHIVE_222 = {"name": "ks_upgrade_2.22.0+16000.tar.gz.gpg", "version": "2.22.0+16000"}


@pytest.mark.parametrize(
    ("version", "closed", "verdict"),
    [("2.21.0+15451", False, "pass"), ("2.21.0+15451", True, "warn"), ("2.22.1+1", False, "pass"), ("2.22.1+1", True, "block")],
)  # fmt: skip
def test_port_2380_matters_from_2_22_on(version: str, closed: bool, verdict: str, tmp_path: Path) -> None:
    world = make_world(2, clustered=True, defaults={"version": version}, archive=ARCHIVE_222)
    if closed:
        world.inject(Fault("port_closed", "ctm-1", params={"port": "2380"}))
    result = check.check(Drive(world, tmp_path, IN_PLACE).setup())
    found = [f for f in result.findings if f.check == "port_2380_open"]
    assert {str(f.verdict) for f in found} == {verdict}
    assert not [f for f in result.findings if f.check == "port_5432_open" and f.stops]


def test_a_plan_to_2_22_names_the_new_port(tmp_path: Path) -> None:
    world = make_world(2, clustered=True, defaults={"version": "2.21.0+15451"}, archive=ARCHIVE_222)
    assert any("TCP 2380" in note for note in Drive(world, tmp_path, IN_PLACE).plan().notes)
    assert not any(
        "2380" in note for note in Drive(make_world(2, clustered=True), tmp_path, IN_PLACE).plan().notes
    )


def test_a_join_refused_for_the_joiners_credentials_holds_no_other_login_back(tmp_path: Path) -> None:
    """``fulljoin`` logs in on the other node; the member that tells of it has taken its own login."""
    drive = drive_of(tmp_path, REBUILD)
    said = '{"code": 3, "codeDesc": "NCERRBadRequest", "message": "ctm-2: wrong username or password"}'
    params = {"command": "cluster fulljoin", "out": said, "code": 1}
    drive.world.inject(Fault("reply", "ctm-1", times=1, params=params))
    fleet = drive.setup().fleet
    assert "wrong username" in fleet.control("ctm-1").change("cluster", "fulljoin", "-y").out
    assert fleet.control("ctm-1").read("system", "info", "get").ok
