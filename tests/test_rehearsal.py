"""A recorded cluster is rehearsed: its run, what goes wrong in it, how fast, and what is left when it is killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check, control
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.resume import resume
from ctmupgrade.commands.run import RunOptions, run
from ctmupgrade.commands.wiring import Setup, setup
from ctmupgrade.core.checks.catalogue import CHECKS
from ctmupgrade.core.looks.facts import SystemInfo
from ctmupgrade.core.run import journal
from ctmupgrade.core.ticks import Waiting
from ctmupgrade.errors import UsageError
from ctmupgrade.ports import TaskEvent
from ctmupgrade.sim import SimClock
from ctmupgrade.sim.fault_names import WORDS
from ctmupgrade.sim.faults import KINDS
from ctmupgrade.sim.rehearsal import VirtuallySideBySide
from ctmupgrade.sim.tasks import VirtualTasks
from tests.support import broken
from tests.support.check_scenarios import scenario, write_scenario
from tests.support.golden import call, scenarios
from tests.support.terminal import on_terminal
from tests.support.world_run import Drive, Killed, make_world, world_of

ARCHIVE = "610-000611-034_SW_Upgrade_Package_CipherTrust_Manager_v2.21.0_RevA.tar.gz.gpg"
SIGNER = "0123456789ABCDEF0123456789ABCDEF01234567"
# Five nodes of a lab: no two alike, and commands that take their time.
FIVE = """
latency: 0.05
nodes:
  - {name: ctm-1, host: 10.0.0.11, system_name: "the first one", free_gib: 31.5, total_gib: 58, times: {ksctl_s: 0.6, shell_s: 0.1}}
  - {name: ctm-2, host: 10.0.0.12, clock_offset: 0.3, services: {web: started, nae-kmip: started, secrets-manager: disabled}}
  - {name: ctm-3, host: "2001:db8::13", cluster_host: "2001:db8::13", archive_present: true}
  - {name: ctm-4, host: ctm-4.example.com, hsm: [hsm-1.example.com], times: {ksctl_s: 2.5}}
  - {name: ctm-5, host: 10.0.0.15, cluster_host: 192.168.7.15, ntp: {servers: [ntp-a, ntp-b]}, schedules: [nightly]}
defaults: {times: {upgrade_s: 1860}}
"""


def fixture(
    folder: Path,
    world: str = FIVE,
    more: str = "poll: 10s\nbackup: {key_password_env: CTM_BACKUP_KEY_PASSWORD}",
) -> Path:
    """A cluster to be recorded."""
    folder.mkdir()
    (folder / "world.yaml").write_text(world)
    nodes = [line.split("{", 1)[1] for line in world.splitlines() if "{name:" in line]
    rows = []
    for row in nodes:
        keys = [
            part.strip(" }")
            for part in row.split(", ")
            if part.startswith(("name:", "host:", "cluster_host:"))
        ]
        rows.append(f"  - {{{', '.join(keys)}}}")
    target = f"target: {{archive: ./{ARCHIVE}, signer: {SIGNER}}}"
    (folder / "cluster.yaml").write_text("\n".join(["cluster: lab", target, more, "nodes:", *rows, ""]))
    return folder


def record(folder: Path, world: str) -> Path:
    code, said = call("record", str(folder / "rec"), "--simulate", str(fixture(folder / "lab", world)))
    assert code == 0, said
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Of five nodes and of two; each is recorded once."""
    two = "\n".join(FIVE.splitlines()[:5])
    return {5: record(tmp_path_factory.mktemp("five"), FIVE), 2: record(tmp_path_factory.mktemp("two"), two)}


@pytest.fixture
def recorded(recordings: dict[int, Path], tmp_path: Path) -> Path:
    """The five nodes, recorded; the lab beside it."""
    return shutil.copytree(recordings[5], tmp_path, dirs_exist_ok=True) / "rec"


@pytest.fixture
def small(recordings: dict[int, Path], tmp_path: Path) -> Path:
    """Two of them."""
    return shutil.copytree(recordings[2], tmp_path, dirs_exist_ok=True) / "rec"


def place(folder: Path) -> list[str]:
    return ["--simulate", str(folder), "--state-dir", str(folder.parent / "state")]


def report(folder: Path) -> Any:
    code, said = call("report", "--format", "json", *place(folder))
    assert code == 0
    return json.loads(said)


def seconds(folder: Path) -> float:
    """How long the last run took, by its journal."""
    steps = report(folder)["steps"]
    times = [
        datetime.fromisoformat(step[key]) for step in steps for key in ("started", "finished") if step[key]
    ]
    return (max(times) - min(times)).total_seconds()


def opened(folder: Path, pace: float = 0.0) -> Any:
    return setup(CommandRequest(state_dir=folder.parent / "state", simulate=folder, pace=pace))


# -- the world of a recording ----------------------------------------------------------------------


def test_a_recorded_lab_takes_as_long_as_predicted_and_as_the_lab_itself(recorded: Path) -> None:
    lab = recorded.parent / "lab"
    with opened(recorded) as made:
        predicted = check.plan(made)[1].critical_path_s()
    spans = []
    for folder in (lab, recorded):
        code, said = call("run", *place(folder))
        assert code == 0, said
        spans.append(seconds(folder))
    assert spans[1] == pytest.approx(spans[0], rel=0.1)
    assert spans[1] == pytest.approx(predicted, rel=0.1)
    made = report(recorded)
    stages = [step for step in made["steps"] if step["id"].startswith("stage:")]
    ends, starts = ([datetime.fromisoformat(step[key]) for step in stages] for key in ("finished", "started"))
    assert (max(ends) - min(starts)).total_seconds() < 200, "slow answers of one node hold no other up"
    assert [node["version_after"] for node in made["nodes"]] == ["2.21.0"] * 5
    assert (made["mode"], made["outcome"]) == ("SIMULATED", "done")


def test_a_rehearsal_has_the_recorded_members_disks_and_settings(recorded: Path) -> None:
    cluster = (recorded / "cluster.yaml").read_text()
    assert "poll: 10s" in cluster
    with opened(recorded) as made:
        before = check.check(made).facts
        made.world.begin()
        now = check.check(made).facts
    for name, facts in before.nodes.items():
        system, then = facts.system, now.nodes[name].system
        assert isinstance(system, SystemInfo) and isinstance(then, SystemInfo)
        assert (system.version, system.model, system.name) == (then.version, then.model, then.name)
        same = (
            "members",
            "services",
            "mounts",
            "staged",
            "hsm",
            "interfaces",
            "licences",
            "time_servers",
        )
        for field in same:
            assert getattr(facts, field) == getattr(now.nodes[name], field), (name, field)


def test_steps_take_as_long_as_the_plan_estimates(small: Path) -> None:
    """Whatever it estimates them by, be it what earlier runs of the cluster took."""
    with opened(small) as made:
        plan = check.plan(made)[1]
        made.world.begin(
            {(s.node, s.action.kind): s.estimate_s * (3 if s.node == "ctm-2" else 1) for s in plan.steps}
        )
        first, second = (node.times for node in world_of(made).nodes.values())
    assert second.upgrade_s == 3 * first.upgrade_s > 0
    assert second.upload_mb_s == pytest.approx(first.upload_mb_s / 3)


STOPS = ("block", "unknown")


@pytest.mark.parametrize("name", ["one-node-down", "rebuild-two"])
def test_what_stops_a_recorded_cluster_stops_its_rehearsal(name: str, tmp_path: Path) -> None:
    _same_stops(next(folder for folder in scenarios() if folder.name == name), tmp_path)


def test_a_killed_member_is_killed_in_the_rehearsal_too(tmp_path: Path) -> None:
    """Nothing gets well by being recorded: what a person waives stays as it is."""
    _same_stops(broken.BROKEN / "killed", tmp_path, all_of_them=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder",
    [*scenarios(), *(broken.BROKEN / name for name in broken.cases())],
    ids=lambda folder: folder.name,
)
def test_what_stops_any_recorded_cluster_stops_its_rehearsal(folder: Path, tmp_path: Path) -> None:
    _same_stops(folder, tmp_path)


def _same_stops(folder: Path, tmp_path: Path, *, all_of_them: bool = False) -> None:
    call("record", str(tmp_path / "rec"), "--simulate", str(folder), "--state-dir", str(tmp_path / "state"))
    with opened(tmp_path / "rec") as made:
        before = check.check(made)
        made.world.begin()
        after = check.check(made)
    assert (before.code == 0) == (after.code == 0)
    stops = [{f.check for f in found.findings if f.verdict.value in STOPS} for found in (before, after)]
    assert bool(stops[0]) == bool(stops[1])
    if all_of_them or not stops[0]:
        assert {(f.check, f.node, f.verdict) for f in before.findings} == {
            (f.check, f.node, f.verdict) for f in after.findings
        }


# What a run changes, or time does: replication catches up, jobs end, members come back.
_CHANGES = {
    "cluster_errors_empty", "control_plane_up", "no_backup_or_restore_running", "port_2380_open", "port_5432_open",
    "quorum_kept", "replication_caught_up", "stays_well_for_a_minute",
}  # fmt: skip
# What no node answers: it is of this machine, its cluster.yaml or the command line, which a recording does not hold.
_OURS = {"backup_of_this_version", "control_plane_verified", "fresh_instances_ready"}


@pytest.mark.parametrize(
    "identity", [c.id for c in CHECKS if c.id not in _CHANGES | _OURS and "shown_by" not in scenario(c.id)]
)
def test_what_a_check_found_is_found_in_the_rehearsal_too(identity: str, tmp_path: Path) -> None:
    """An answer of a shell that ``sim/recorded.py`` does not know to stay is a healthy node's once the rehearsal begins."""
    lab = tmp_path / "lab"
    write_scenario(scenario(identity)["fails"], lab)
    call("record", str(tmp_path / "rec"), "--simulate", str(lab), "--state-dir", str(tmp_path / "state"))
    with opened(tmp_path / "rec") as made:
        before = check.check(made)
        made.world.begin()
        after = check.check(made)
    found, still = (
        {(f.node, f.verdict.value) for f in looked.findings if f.check == identity}
        for looked in (before, after)
    )
    assert {verdict for _, verdict in found} != {"pass"}, "the recording does not show it: nothing is proven"
    assert still == found, "does its answer stay? see _stays in sim/recorded.py"


def test_a_recording_that_blocks_is_not_rehearsed(tmp_path: Path) -> None:
    lab = fixture(tmp_path / "lab", FIVE.replace("free_gib: 31.5", "free_gib: 1"))
    call("record", str(tmp_path / "rec"), "--simulate", str(lab))
    code, said = call("run", *place(tmp_path / "rec"))
    assert code == 3 and "free_space_sufficient" in said and "nothing was changed" in said


def test_times_out_of_a_lab_are_not_enough_for_a_rehearsal(small: Path) -> None:
    """What is simulated takes as long as on appliances, however small the lab's archive and its patience are."""
    file = small / "cluster.yaml"
    file.write_text(
        file.read_text().replace("upgrade: 2h", "upgrade: 10s").replace("reboot: 30m", "reboot: 5s")
    )
    with opened(small) as made:
        assert [line.split(" ")[0] for line in made.warnings] == ["timeouts.upgrade", "timeouts.reboot"]
    assert call("run", *place(small))[0] == 0


# -- what goes wrong -------------------------------------------------------------------------------


def test_every_fault_of_the_simulator_has_a_name_and_words() -> None:
    assert set(WORDS) == set(KINDS)
    code, said = call("run", "--fault", "list")
    assert code == 0 and all(name in said for name in KINDS)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("upgrade_fails@upgrade:ctm-2", 5),
        ("drop@upgrade:ctm-2", 0),
        ("refused:90s@reboot", 0),
        ("power loss@upgrade:ctm-2+5m", 6),
    ],
)
def test_a_fault_strikes_with_its_step_and_is_fixed_for_the_resume(
    fault: str, code: int, small: Path
) -> None:
    done, said = call("run", "--fault", fault, *place(small))
    assert done == code, said
    if code:
        stuck = report(small)
        [step] = [s["id"] for s in stuck["steps"] if s["status"] in ("failed", "inconclusive")]
        assert step == "upgrade:ctm-2"
        assert call("node", "retry", stuck["run"], "ctm-2", "--reason", "fixed", *place(small))[0] == 0
        done, said = call("resume", *place(small))
        assert done == 0, said
    assert report(small)["outcome"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORDS))
@pytest.mark.parametrize("step", ["backup", "stage", "gate", "upgrade", "reboot"])
def test_every_fault_at_every_kind_of_step(name: str, step: str, small: Path) -> None:
    code, said = call("run", "--fault", f"{name}@{step}", *place(small))
    assert code in (0, 3, 4, 5, 6, 9), said
    if code in (3, 4):
        assert call("resume", *place(small))[0] in (0, 3, 5, 6)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fault", "upgrade_fials@upgrade"], "did you mean upgrade_fails?"),
        (["--fault", "upgrade_fails@upgrad:ctm-2"], "did you mean upgrade:ctm-2?"),
        (["--fault", "upgrade_fails"], "NAME@STEP is expected"),
        (["--fault", "drop:90s@upgrade"], "happens once"),
        (["--pace", "quick"], "like 60x"),
        (["--pace", "0"], "above 0"),
    ],
)
def test_what_is_typed_wrong_is_told_before_anything_begins(
    words: Sequence[str], says: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _typed("run", *words, *place(small))
    assert code == 2 and says in said
    assert not list(small.parent.glob("state/*/*/journal.jsonl"))


@pytest.mark.parametrize("words", [["--fault", "drop@upgrade"], ["--pace", "60x"]])
def test_a_live_run_takes_neither(words: Sequence[str]) -> None:
    code, said = _typed("run", *words)
    assert code == 2 and "--simulate DIR" in said


def _typed(*words: str) -> tuple[int, str]:
    """With ``--format json`` errors are on standard output."""
    return call(*words, "--format", "json")


# -- time ------------------------------------------------------------------------------------------


def test_a_pace_is_kept_in_short_naps() -> None:
    """A wait of ten minutes at 60x takes ten seconds, in which a pause is noticed."""
    naps: list[float] = []
    clock = SimClock()
    tasks = VirtualTasks(clock, 60.0, nap=naps.append)

    def task() -> Any:
        yield Waiting(600.0, "", clock.now(), clock.now())
        return {"done": "yes"}

    tasks.start("one", task())
    assert tasks.next().tick is not None  # type: ignore[union-attr]
    tasks.go_on("one")
    told: list[TaskEvent] = []
    while not told:
        told = [event for event in [tasks.next()] if event is not None]
    assert sum(naps) == pytest.approx(10.0) and max(naps) <= 0.25
    assert clock.elapsed == pytest.approx(600.0) and told[0].evidence == {"done": "yes"}


# -- kept in the run's folder ----------------------------------------------------------------------


def killed_at(folder: Path, count: int) -> bool:
    """A run whose process dies at its n-th event; whether it came so far."""

    def die(_state: object, event: object, _key: str, _tick: object) -> None:
        seen.append(event) if event is not None else None
        if len(seen) == count:
            raise Killed

    seen: list[object] = []
    with opened(folder) as made:
        try:
            run(made, RunOptions(watch=die))
        except Killed:
            return True
    return False


@pytest.mark.parametrize("count", [1, 26])
def test_a_killed_rehearsal_goes_on(count: int, small: Path) -> None:
    _goes_on(count, small)


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 55))
def test_a_rehearsal_killed_at_any_event_goes_on(count: int, small: Path) -> None:
    _goes_on(count, small)


def _goes_on(count: int, small: Path) -> None:
    if not killed_at(small, count) or report(small)["outcome"] == "done":
        return
    code, said = call("status", *place(small))
    assert code == 0 and "no process runs it" in said
    code, said = call("resume", *place(small))
    assert code == 0, said
    assert report(small)["outcome"] == "done"
    journals = list(small.parent.glob("state/*/*/world.json"))
    upgrades = [e for e in json.loads(journals[0].read_text())["events"] if e["kind"] == "upgrade_started"]
    assert len(upgrades) == len({e["node"] for e in upgrades}), "none was upgraded twice"


def test_a_rehearsal_pauses_as_asked_and_goes_on(small: Path) -> None:
    asked: list[str] = []

    def ask(state: journal.RunState, event: object, _key: str, _tick: object) -> None:
        if isinstance(event, journal.StepStarted) and event.step == "upgrade:ctm-2" and not asked:
            said = control.ask_stop(made.request, "lab", state.run, "pause", lambda _state: True)
            asked.extend(said.lines)

    with opened(small) as made:
        assert run(made, RunOptions(watch=ask)).code == 7
    assert asked
    with opened(small) as made:
        assert resume(made, RunOptions(), None).code == 0


def test_a_paced_fixture_is_kept_too(small: Path) -> None:
    lab = small.parent / "lab"
    with opened(lab, 1e9) as made, pytest.raises(Killed):
        run(made, RunOptions(watch=lambda _s, e, _k, _t: _die_at(e, "upgrade:ctm-1")))
    assert call("resume", *place(lab))[0] == 0


def test_one_that_is_not_kept_says_so(small: Path) -> None:
    lab = small.parent / "lab"
    with opened(lab) as made, pytest.raises(Killed):
        run(made, RunOptions(watch=lambda _s, e, _k, _t: _die_at(e, "upgrade:ctm-1")))
    code, said = _typed("resume", *place(lab))
    assert code == 2 and "--pace" in said


def _die_at(event: object, step: str) -> None:
    if isinstance(event, journal.StepStarted) and event.step == step:
        raise Killed


def test_a_recording_that_is_no_cluster_cannot_be_rehearsed(small: Path) -> None:
    """Whatever is in it, it can be looked at; a run of it says why it cannot begin."""
    with opened(small) as made:
        made.world.problem = "this recording cannot be rehearsed: it is odd"
        with pytest.raises(UsageError, match="odd"):
            run(made, RunOptions())
    assert not list(small.parent.glob("state/*/*/journal.jsonl"))


# -- questions and the demo ------------------------------------------------------------------------


def test_questions_are_asked_as_in_the_real_run(small: Path) -> None:
    from tests.support.live import PROGRAM, clean_environ

    argv = [str(PROGRAM), "run", *place(small)]
    with on_terminal(argv, small.parent, clean_environ(small.parent)) as seen:
        seen.until("Go on? [y/N]")
        seen.type("n\n")
        assert seen.ended() == 7
    assert "not confirmed" in seen.shown
    assert not list(small.parent.glob("state/*/*/journal.jsonl"))


def test_the_backups_of_a_rehearsal_are_kept_where_chmod_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state folder on CIFS or FUSE: with their modes the copies could not be made, and the run ended as a bug."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.chmod", refuse)
    fails = str(Path(__file__).parents[1] / "fixtures" / "scenarios" / "upgrade-fails-on-node-2")
    code, said = call("run", "--yes", "--simulate", fails, "--state-dir", str(tmp_path))
    assert code == 5, said
    kept = list(tmp_path.glob("*/*/backups/*"))
    assert kept and {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    monkeypatch.undo()
    assert call("resume", "--yes", "--dry-run", "--simulate", fails, "--state-dir", str(tmp_path))[0] == 0


def test_the_demo_needs_no_checkout_and_says_what_to_try_next(tmp_path: Path) -> None:
    code, said = call("demo", "--pace", "999999x", "--state-dir", str(tmp_path / "here"))
    assert code == 0, said
    assert "upgrade:ctm-2" in said and "What to try next" in said and "rm -r" not in said
    fixture_ = tmp_path / "here" / "demo-cluster"
    assert sorted(file.name for file in fixture_.iterdir()) == ["cluster.yaml", "world.yaml"]
    code, said = call("report", "--simulate", str(fixture_), "--state-dir", str(tmp_path / "here"))
    assert code == 0 and "done" in said


def test_the_demo_in_json_has_nothing_but_json(tmp_path: Path) -> None:
    code, said = call("demo", "--format", "json", "--pace", "999999x", "--state-dir", str(tmp_path))
    lines = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and lines[-1]["outcome"] == "done"
    assert _typed("demo", "--simulate", str(tmp_path))[0] == 2


# -- odd clusters ----------------------------------------------------------------------------------

ODD: dict[str, dict[str, Any]] = {
    "a node is away": {"faults": [{"kind": "unreachable", "node": "ctm-2"}]},
    "a shell is away": {"faults": [{"kind": "refused", "node": "ctm-2", "what": "shell", "peers": False}]},
    "a control plane is away": {"faults": [{"kind": "refused", "node": "ctm-1", "what": "control"}]},
    "a node is in no cluster": {"clustered": True, "ctm-3": {"cluster": "", "node_id": ""}},
    "a host key has changed": {"faults": [{"kind": "host_key_changed", "node": "ctm-1"}]},
    "a login is refused": {"faults": [{"kind": "auth_refused", "node": "ctm-3"}]},
    "answers are huge": {"ctm-1": {"alarms": ["x" * 200_000], "users": ["u" * 300_000]}},
    "answers are garbage": {"faults": [{"kind": "garbage", "node": "ctm-2", "command": "", "times": 0}]},
    "names are odd": {"ctm-1": {"system_name": "  my node: \"a\" #1\n\u202e{x} "}, "ctm-2": {"system_name": ""}},
    "services are odd": {"ctm-1": {"says": {"ksctl services status": {"status": "odd", "services": [{"name": "a b", "status": "resting"}]}}}},
    "versions are odd": {"ctm-1": {"version": "2.20.0-beta7"}, "ctm-2": {"version": "Development"}},
    "a disk is full": {"ctm-1": {"free_gib": 0}},
    "a clock is years away": {"ctm-2": {"clock_offset": 3e8}},
    "no backup can be opened": {"backup": {}},
    "twins": {"ctm-2": {"host": "10.0.0.11"}},
}  # fmt: skip


def odd(folder: Path, case: dict[str, Any]) -> Path:
    nodes = [{"name": f"ctm-{n}", "host": f"10.0.0.1{n}", **case.get(f"ctm-{n}", {})} for n in (1, 2, 3)]
    world = {"nodes": nodes} | {key: case[key] for key in ("faults", "clustered") if key in case}
    rows = [{"name": node["name"], "host": node["host"]} for node in nodes]
    for node, row in zip(nodes, rows, strict=True):
        if sum(one["host"] == row["host"] for one in rows) > 1:  # other ports of one address
            row |= {
                "port": 2200 + int(row["name"][-1]),
                "url": f"https://{row['host']}:844{row['name'][-1]}",
                "cluster_host": f"{row['name']}.lan",
            }
            node |= {"host": f"10.1.0.{row['name'][-1]}", "cluster_host": f"{row['name']}.lan"}
    cluster = {
        "cluster": "odd", "target": {"archive": f"./{ARCHIVE}", "signer": SIGNER},
        "backup": case.get("backup", {"key_password_env": "CTM_BACKUP_KEY_PASSWORD"}), "nodes": rows,
    }  # fmt: skip
    folder.mkdir()
    (folder / "world.yaml").write_text(json.dumps(world))
    (folder / "cluster.yaml").write_text(json.dumps(cluster))
    return folder


@pytest.mark.parametrize("name", ODD)
def test_an_odd_cluster_is_recorded_and_its_rehearsal_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    """No answer of a node makes anything but a finding of it, and its rehearsal ends as its check does."""
    lab, rec = odd(tmp_path / "a lab", ODD[name]), tmp_path / "a recording"
    code, said = call("record", str(rec), "--simulate", str(lab))
    assert code in (0, 4), said
    live, said = call("check", "--format", "json", *place(lab))
    verdicts = {(f["check"], f["node"], f["verdict"]) for f in json.loads(said)["findings"]}
    code, said = call("check", "--format", "json", *place(rec))
    assert code == live
    assert {(f["check"], f["node"], f["verdict"]) for f in json.loads(said)["findings"]} == verdicts
    code, said = call("run", *place(rec))
    assert code == live, said
    # what its check finds may be waived; then it runs to its end, or pauses with what is to be done
    with opened(rec) as made:
        assert not made.world.problem
        made.world.begin()
        assert check.check(made).facts.nodes.keys() == {"ctm-1", "ctm-2", "ctm-3"}


# -- how long a check takes ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["2.21.0", "2.22.0"])
def test_twenty_nodes_take_little_longer_than_the_slowest_alone(target: str, tmp_path: Path) -> None:
    """The whole catalogue; 2.22 also asks every node for port 2380 of every other. Counted in virtual time."""
    rows = [
        {
            "name": f"ctm-{n}",
            "version": "2.20.0+15016",
            "times": {"shell_s": 0.2, "ksctl_s": 2.0 if n == 7 else 0.5},
        }
        for n in range(1, 21)
    ]
    spans = {}
    for names in (["ctm-7"], [row["name"] for row in rows]):
        drive = Drive(make_world(nodes=rows, archive={"version": f"{target}+1"}), tmp_path / str(len(names)))
        made, clock = drive.setup(), drive.world.clock
        nodes = tuple(node for node in made.cluster.nodes if node.name in names)
        tools = replace(made.tools, gather=VirtuallySideBySide(clock))
        found = check.check(Setup(made.request, replace(made.cluster, nodes=nodes), tools))
        assert len({f.check for f in found.findings}) > len(CHECKS) - 5
        spans[len(names)] = clock.elapsed
    assert spans[20] <= 1.5 * spans[1], spans
