"""The simulator itself: what it does in virtual time, and what its faults do."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import pytest

from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.collect import all_health, collect_nodes
from ctmupgrade.core.checks import health
from ctmupgrade.core.looks import parse_ksctl, shell_probes
from ctmupgrade.core.looks.excerpt import NotUnderstoodError
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog
from ctmupgrade.core.model import BackupSettings, Cluster, KsctlSettings, Node, Secret, SshSettings, Target
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.version import Version
from ctmupgrade.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostKeyError,
    NodeError,
    SignatureError,
    UnreachableError,
)
from ctmupgrade.ports import Fleet, Terminal, Verifier
from ctmupgrade.sim import KINDS, Fault, SimFleet, SimVerifier, World, timeline
from ctmupgrade.sim.faults import fault_from, parse_when
from ctmupgrade.sim.shell import SimShell
from tests.support.promises import check_promises

UPGRADE = ("sudo", "-n", "/opt/keysecure/ks_upgrade.sh", "-f")


def make(count: int = 3, **world: object) -> World:
    nodes = [{"name": f"ctm-{i + 1}"} for i in range(count)]
    return World.from_dict({"strict": True, "nodes": nodes, "defaults": {"archive_present": True}, **world})


def cluster_of(world: World) -> Cluster:
    nodes = tuple(
        Node(n.name, n.host, f"https://{n.host}", n.cluster_host, SshSettings(), KsctlSettings())
        for n in world.nodes.values()
    )
    target = Target(Path(world.archive.name), Version.parse("2.21.0"), world.archive.signer)
    return Cluster("test", StrategyName.IN_PLACE, target, nodes, BackupSettings(Path("/nowhere")))


def problems(world: World, fleet: SimFleet) -> list[str]:
    cluster = cluster_of(world)
    facts = all_health(fleet, cluster, world.clock, one_by_one)
    return [str(p) for p in health.cluster_problems(facts, cluster, world.clock.now())]


def start(world: World, shell: SimShell) -> Terminal:
    return shell.terminal(*UPGRADE, world.archive.name)


def reboot(shell: SimShell) -> None:
    with pytest.raises(ConnectionLostError):
        shell.change("sudo", "-n", "reboot")


def log_of(shell: SimShell) -> UpgradeLog | None:
    names = ask(shell, shell_probes.LOG_LIST)
    assert not isinstance(names, Unknown)
    if not names:
        return None
    found = ask(shell, shell_probes.log_tail(names[-1]))
    assert isinstance(found, UpgradeLog)
    return found


def test_it_satisfies_the_ports() -> None:
    world = make()
    fleet: Fleet = SimFleet(world)
    verifier: Verifier = SimVerifier(world)
    assert (fleet.control("ctm-1").read("version").ok, verifier is not None) == (True, True)


def test_every_probe_of_a_healthy_cluster_is_answered() -> None:
    world = make()
    cluster = cluster_of(world)
    facts = collect_nodes(SimFleet(world), cluster, world.clock, one_by_one)
    for node in facts.values():
        unknown = [name for name in node.__slots__ if isinstance(getattr(node, name), Unknown)]
        assert not unknown
    assert not health.cluster_problems(facts, cluster, world.clock.now())
    assert not check_promises(world, changes_expected=False)


def test_a_node_is_upgraded_by_its_reboot() -> None:
    world = make()
    fleet = SimFleet(world)
    shell = fleet.shell("ctm-1")
    terminal = start(world, shell)
    assert "Detected a terminal" in terminal.look().text
    world.clock.advance(1100)
    assert any('ctm-1: is reported as "down" (d) by ctm-2' in p for p in problems(world, fleet))
    world.clock.advance(200)
    screen = terminal.look()
    assert "Upgrade to 2.21.0+15451 succeeded" in screen.text
    assert (screen.ended, screen.code) == (True, 0)
    log = log_of(shell)
    assert log is not None and log.verdict is LogVerdict.SUCCEEDED
    assert world.nodes["ctm-1"].version == "2.20.0+15016"
    before = shell.read("cat", "/proc/sys/kernel/random/boot_id").out
    reboot(shell)
    world.clock.advance(2)
    with pytest.raises(UnreachableError):
        shell.read("ls")
    assert "connection refused" in fleet.control("ctm-1").read("system", "info", "get").err
    world.clock.advance(300)
    assert shell.read("cat", "/proc/sys/kernel/random/boot_id").out != before
    assert any("services are starting" in p for p in problems(world, fleet))
    world.clock.advance(120)
    assert not problems(world, fleet)
    assert '"2.21.0+15451"' in fleet.control("ctm-1").read("system", "info", "get").out


def test_a_silent_member_keeps_its_last_good_report() -> None:
    world = make()
    world.clock.advance(100)
    world.inject(Fault("unreachable", "ctm-3"))
    world.clock.advance(600)
    body = json.loads(SimFleet(world).control("ctm-1").read("cluster", "summary").out)
    one, three = world.nodes["ctm-1"].node_id, world.nodes["ctm-3"].node_id
    old, new = body["resources"][three], body["resources"][one]
    assert {peer["summary"] for peer in old["clusterSummary"].values()} == {"GOOD"}
    assert old["lastUpdated"] < new["lastUpdated"]
    assert new["clusterSummary"][three]["nodeInfo"]["connected"] is False


def test_the_first_upgrade_locks_the_database_of_all() -> None:
    world = make()
    fleet = SimFleet(world)
    start(world, fleet.shell("ctm-1"))
    world.clock.advance(485)
    assert "database is locked" in fleet.control("ctm-3").read("system", "info", "get").out
    world.clock.advance(20)
    assert "codeDesc" not in fleet.control("ctm-3").read("system", "info", "get").out


def test_a_premature_reboot_breaks_the_node() -> None:
    world = make()
    fleet = SimFleet(world)
    start(world, fleet.shell("ctm-1"))
    world.clock.advance(600)
    reboot(fleet.shell("ctm-1"))
    world.clock.advance(3600)
    assert any("services are error" in p for p in problems(world, fleet))
    assert any("promise 7" in p for p in check_promises(world, changes_expected=True))


def test_a_repeated_upgrade_is_written_down() -> None:
    world = make()
    shell = SimFleet(world).shell("ctm-1")
    start(world, shell)
    world.clock.advance(60)
    assert "another upgrade is running" in start(world, shell).look().text
    assert any("promise 6" in p for p in check_promises(world, changes_expected=True))


def test_starting_a_node_while_another_is_away_breaks_a_promise() -> None:
    world = make()
    world.inject(Fault("unreachable", "ctm-3"))
    start(world, SimFleet(world).shell("ctm-1"))
    assert any("promise 2" in p and "ctm-3" in p for p in check_promises(world, changes_expected=True))


def test_state_survives_a_round_trip_in_the_middle_of_an_upgrade() -> None:
    world = make(faults=[{"kind": "power_loss", "node": "ctm-2", "when": "upgrade_started:ctm-1 + 1300s"}])
    start(world, SimFleet(world).shell("ctm-1"))
    world.clock.advance(700)
    timeline.catch_up(world)
    again = World.from_dict(json.loads(json.dumps(world.to_dict())))
    for one in (world, world.copy(), again):
        one.clock.advance(700)
        timeline.catch_up(one)
        assert one.nodes["ctm-1"].pending == "2.21.0+15451"
        assert one.nodes["ctm-2"].boot == 2
    assert again.to_dict() == world.to_dict()


# -- uploads ---------------------------------------------------------------------------------------


def send(world: World, shell: SimShell, offset: int = 0) -> float:
    for sent in shell.upload(Path(world.archive.name), "part", offset=offset):
        world.clock.advance(sent.pause)
    return world.now


def test_an_upload_takes_its_time_and_hashes_like_the_archive() -> None:
    world = make()
    shell = SimFleet(world).shell("ctm-1")
    assert send(world, shell) == pytest.approx(152.8, abs=1)
    assert world.archive.sha256 in shell.read("sha256sum", "part").out


def test_an_interrupted_upload_goes_on_where_it_was_cut() -> None:
    world = make(faults=[{"kind": "upload_drop", "node": "ctm-1", "at_byte": 2_000_000_000}])
    shell = SimFleet(world).shell("ctm-1")
    with pytest.raises(ConnectionLostError):
        send(world, shell)
    size = int(shell.read("ls", "-ln", "part").out.split()[4])
    assert 1_000_000_000 < size <= 2_000_000_000
    shell.change("truncate", "-s", str(size // 2**20 * 2**20), "part")
    length = size // 2**20 * 2**20
    assert SimVerifier(world).prefix_hash(length) in shell.read("openssl", "dgst", "-sha256", "part").out
    send(world, shell, length)
    assert world.archive.sha256 in shell.read("openssl", "dgst", "-sha256", "part").out


@pytest.mark.parametrize("kind", ["upload_full", "upload_hole"])
def test_a_hole_has_the_right_size_and_the_wrong_hash(kind: str) -> None:
    world = make()
    world.inject(Fault(kind, "ctm-1", params={"at_byte": 3_000_000_000}))
    shell = SimFleet(world).shell("ctm-1")
    if kind == "upload_full":
        with pytest.raises(NodeError, match="No space left"):
            send(world, shell)
    else:
        send(world, shell)
        assert f" {world.archive.size} " in shell.read("ls", "-l", "part").out
    assert world.archive.sha256 not in shell.read("sha256sum", "part").out


def test_a_disk_that_is_really_full() -> None:
    world = make(1, defaults={"free_gib": 2})
    with pytest.raises(NodeError, match="No space left"):
        send(world, SimFleet(world).shell("ctm-1"))


def test_small_real_files_keep_their_bytes(tmp_path: Path) -> None:
    world, payload = make(1), bytes(range(256)) * 2000
    (tmp_path / "payload").write_bytes(payload)
    shell = SimFleet(world).shell("ctm-1")
    list(shell.upload(tmp_path / "payload", "p"))
    assert b"".join(shell.stream("cat", "p")) == payload
    assert shell.change("tee", "marker", stdin=b"hello\n").ok
    assert shell.read("cat", "marker").out == "hello\n"


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refused", UnreachableError),
        ("unreachable", UnreachableError),
        ("auth_refused", AuthenticationError),
        ("host_key_changed", HostKeyError),
        ("session_limit", UnreachableError),
    ],
)
def test_connections_fail_for_a_while(kind: str, error: type[Exception]) -> None:
    world = make(faults=[{"kind": kind, "node": "ctm-1", "when": "at 10s", "for_s": 30}])
    shell = SimFleet(world).shell("ctm-1")
    assert shell.read("ls").ok
    world.clock.advance(11)
    with pytest.raises(error):
        shell.read("ls")
    world.clock.advance(30)
    assert shell.read("ls").ok


@pytest.mark.parametrize("ran", [True, False])
@pytest.mark.parametrize("kind", ["drop", "silence"])
def test_a_lost_answer_says_nothing_about_the_command(kind: str, ran: bool) -> None:
    world = make()
    world.inject(Fault(kind, "ctm-1", "command tee #2", params={"ran": ran}))
    shell = SimFleet(world).shell("ctm-1")
    assert shell.change("tee", "a", stdin=b"1").ok
    with pytest.raises(ConnectionLostError):
        shell.change("tee", "b", stdin=b"2")
    assert shell.read("cat", "b").ok is ran
    assert shell.change("tee", "c", stdin=b"3").ok


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "error", "text": "NCERRInternalServerError: unexpected error"}, "codeDesc"),
        ({"kind": "garbage"}, "502"),
        ({"kind": "half", "chars": 30}, '{"nodeID"'),
        ({"kind": "password_prompt"}, "password:"),
        ({"kind": "unauthorized"}, "401"),
        ({"kind": "timeout_but_done"}, "deadline exceeded"),
        ({"kind": "drop"}, "EOF"),
        ({"kind": "reply", "out": "hm", "code": 7}, "hm"),
    ],
)
def test_ksctl_answers_badly_once(fault: dict[str, object], said: str) -> None:
    world = make()
    world.inject(fault_from({**fault, "node": "ctm-2", "when": "command ksctl cluster info"}, "fault"))
    control = SimFleet(world).control("ctm-2")
    reply = control.read("cluster", "info")
    assert said in reply.out + reply.err
    with pytest.raises(NotUnderstoodError):
        parse_ksctl.membership(reply.out)
    assert json.loads(control.read("cluster", "info").out)["status"]["code"] == "r"


OUTCOMES = {
    "upgrade_fails": ("failed", True),
    "upgrade_no_verdict": ("status: starting", True),
    "upgrade_hangs": ("Installing", False),
}


@pytest.mark.parametrize("kind", OUTCOMES)
def test_upgrades_end_badly(kind: str) -> None:
    world = make()
    world.inject(Fault(kind, "ctm-1"))
    shell = SimFleet(world).shell("ctm-1")
    terminal = start(world, shell)
    world.clock.advance(7200)
    words, ended = OUTCOMES[kind]
    assert terminal.look().ended is ended
    log = log_of(shell)
    assert log is not None and words in log.last_line
    assert (ask(shell, shell_probes.PROCESSES) == ()) is ended
    assert not world.nodes["ctm-1"].pending


def test_an_upgrade_that_does_not_take() -> None:
    world = make()
    world.inject(Fault("upgrade_old_version", "ctm-1"))
    shell = SimFleet(world).shell("ctm-1")
    terminal = start(world, shell)
    world.clock.advance(1300)
    assert "succeeded" in terminal.look().text
    reboot(shell)
    world.clock.advance(500)
    assert "2.20.0" in SimFleet(world).control("ctm-1").read("version").out


def test_logs_hide() -> None:
    world = make()
    world.inject(
        Fault("log_missing", "ctm-1"),
        Fault("log_truncated", "ctm-2", params={"lines": 3}),
        Fault("log_folder", "ctm-3", params={"folder": "/opt/keysecure/logs"}),
    )
    fleet = SimFleet(world)
    for name in world.nodes:
        start(world, fleet.shell(name))
    world.clock.advance(1300)
    assert log_of(fleet.shell("ctm-1")) is None
    two, three = log_of(fleet.shell("ctm-2")), log_of(fleet.shell("ctm-3"))
    assert two is not None and two.verdict is LogVerdict.NONE
    assert three is not None and three.path.startswith("/opt/keysecure/logs/")


@pytest.mark.parametrize(
    ("mode", "survives"), [("screen", True), ("foreground", False), ("background", True)]
)
def test_a_cut_ends_the_script_only_in_the_foreground(mode: str, survives: bool) -> None:
    world = make(faults=[{"kind": "tty_mode", "node": "ctm-1", "mode": mode},
                         {"kind": "cut", "node": "ctm-1", "when": "upgrade_started:ctm-1 + 300s"}])  # fmt: skip
    terminal = start(world, SimFleet(world).shell("ctm-1"))
    assert terminal.look().ended is (mode == "background")
    world.clock.advance(1300)
    screen = terminal.look()
    assert screen.ended and screen.code is None
    assert bool(world.nodes["ctm-1"].pending) is survives


@pytest.mark.parametrize(
    "kind", ["reboot_never_ends", "reboot_ignored", "new_host_key", "services_after_reboot"]
)
def test_reboots_go_wrong(kind: str) -> None:
    world = make()
    world.inject(Fault(kind, "ctm-1"))
    fleet = SimFleet(world)
    shell = fleet.shell("ctm-1")
    if kind == "reboot_ignored":
        assert shell.change("sudo", "-n", "reboot").ok
    else:
        reboot(shell)
    world.clock.advance(1000)
    match kind:
        case "reboot_never_ends":
            with pytest.raises(UnreachableError):
                shell.read("ls")
        case "new_host_key":
            with pytest.raises(HostKeyError):
                shell.read("ls")
        case "reboot_ignored":
            assert world.nodes["ctm-1"].boot == 1
        case _:
            assert any("services are error" in p for p in problems(world, fleet))


def test_restricted_shells_and_sudo() -> None:
    world = make(
        1, defaults={"shell": {"missing": ["openssl"], "restricted": True}, "sudo": {"reboot": False}}
    )
    shell = SimFleet(world).shell("ctm-1")
    assert shell.read("openssl", "version").code == 127
    assert shell.read("python3", "-c", "1").code == 126
    rights = ask(shell, shell_probes.RIGHTS)
    assert not isinstance(rights, Unknown) and (rights.upgrade, rights.reboot) == (True, False)
    assert "password is required" in shell.change("sudo", "-n", "reboot").err


@pytest.mark.parametrize(
    ("granted", "upgrade", "reboot"),
    [
        ("(ALL : ALL) NOPASSWD: ALL", True, True),
        ("(ALL) ALL", True, True),
        ("(root) NOPASSWD: /opt/keysecure/*\n    (root) NOPASSWD: /sbin/reboot", True, True),
        # sudo 1.9.13 with a socket as its output, as sshd gives a session without a terminal
        (
            "(root) NOPASSWD: /opt/keysecure/ks_upgrade.sh, /bin/systemctl restart\n"
            "        keysecure, /usr/bin/timedatectl set-timezone *, /sbin/reboot,\n        /sbin/shutdown",
            True,
            True,
        ),
        ("(root) NOPASSWD: /usr/bin/id,\n        /opt/keysecure/ks_upgrade.sh -f *", True, False),
        ("(ALL) NOPASSWD: ALL, !/bin/bash, !/bin/su", True, True),
        ("(ALL, !root) NOPASSWD: ALL", True, True),
        ("(ALL) NOPASSWD: ALL, !/sbin/reboot", True, False),
        ("(root) NOPASSWD: /usr/bin/id, !/opt/keysecure/ks_upgrade.sh, /sbin/reboot", False, True),
        ("(root) NOPASSWD: /usr/local/bin/CALL", False, False),
    ],
)
def test_what_a_list_of_rights_grants(granted: str, upgrade: bool, reboot: bool) -> None:
    listing = f"""Matching Defaults entries for ksadmin on ctm:
    env_reset, mail_badpass, use_pty,
    secure_path=/usr/local/sbin\\:/usr/sbin\\:/sbin

User ksadmin may run the following commands on ctm:
    {granted}
"""
    for way in shell_probes.RIGHTS.ways:
        rights = way.parse(0, listing, "")
        assert (rights.upgrade, rights.reboot) == (upgrade, reboot)


def test_every_kind_of_fault_can_be_declared() -> None:
    for kind in KINDS:
        world = make(faults=[{"kind": kind, "when": "at 5s"}])
        world.clock.advance(6)
        timeline.catch_up(world)
        World.from_dict(world.to_dict())


@pytest.mark.parametrize("when", ["at", "at x", "command", "Event!", "a:b + c"])
def test_a_wrong_when_is_refused(when: str) -> None:
    if when in ("at", "command"):
        assert parse_when(when).kind == "event"  # an event of that name; it never comes
        return
    with pytest.raises(ValueError, match="when"):
        parse_when(when)


# -- the control plane -----------------------------------------------------------------------------


def test_backups_are_made_paged_and_downloaded(tmp_path: Path) -> None:
    old = [{"id": f"b{i}", "created": -1000.0 * (20 - i)} for i in range(12)]
    world = make(1, nodes=[{"name": "ctm-1", "backups": old}])
    control = SimFleet(world).control("ctm-1")
    assert control.change("backup", "create", "--scope", "system").ok
    first = json.loads(control.read("backup", "list").out)
    assert (len(first["resources"]), first["total"]) == (10, 13)
    rest = json.loads(control.read("backup", "list", "--limit", "100", "--skip", "10").out)["resources"]
    assert rest[-1]["status"] == "in progress"
    world.clock.advance(61)
    assert json.loads(control.read("backup", "status").out)["status"] == "completed"
    for what, answer in (("backup", None), ("backupkeys", Secret("s"))):
        identity = rest[-1]["id"] if what == "backup" else rest[-1]["backupKey"]
        reply = control.change(
            what, "download", "--id", identity, "--file", str(tmp_path / what), answer=answer
        )
        assert reply.ok and (tmp_path / what).stat().st_size > 0
    assert world.of_kind("backup_downloaded") and world.of_kind("key_downloaded")


def test_a_node_is_removed_reset_and_joined_again() -> None:
    world = make(3)
    fleet = SimFleet(world)
    one, two = fleet.control("ctm-1"), fleet.control("ctm-2")
    gone = world.nodes["ctm-2"].node_id
    assert one.change("cluster", "nodes", "delete", "--id", gone, "-y").ok
    assert json.loads(two.read("cluster", "info").out)["status"]["code"] == "d"
    world.clock.advance(40)
    assert json.loads(two.read("cluster", "info").out)["status"]["code"] == "none"
    assert two.change("cluster", "delete", "-y").ok
    assert two.change("services", "reset", "-y").ok
    world.clock.advance(200)
    join = (
        "cluster",
        "fulljoin",
        "--member",
        "10.0.0.11",
        "--newnodehost",
        "10.0.0.12",
        "--newnodeconfig",
        "{c}",
    )
    assert "y/N" in one.change(*join, timeout=5.0).out
    assert one.change(*join, "-y").ok
    codes = []
    for _ in range(19):
        codes.append(json.loads(two.read("cluster", "info").out)["status"]["code"])
        world.clock.advance(100)
    assert list(dict.fromkeys(codes)) == ["creating", "b", "i", "c", "o", "r"]
    assert world.nodes["ctm-2"].data == world.nodes["ctm-1"].data
    assert not problems(world, fleet)
    assert [e.node for e in world.of_kind("data_erased")] == ["ctm-2", "ctm-2"]


def test_two_joins_at_once_break_the_consensus() -> None:
    world = World.from_dict(
        {"nodes": [{"name": "a", "cluster": "main"}, {"name": "b"}, {"name": "c"}], "clustered": False}
    )
    control = SimFleet(world).control("a")
    for node in ("b", "c"):
        control.change("cluster", "fulljoin", "--member", "a", "--newnodehost", world.nodes[node].host, "-y")
    assert world.consensus_broken
    assert any("promise 5" in p for p in check_promises(world, changes_expected=True))


def test_a_restart_during_a_join_makes_the_node_disappear() -> None:
    world = World.from_dict({"nodes": [{"name": "a", "cluster": "main"}, {"name": "b"}], "clustered": False})
    fleet = SimFleet(world)
    fleet.control("a").change("cluster", "fulljoin", "--member", "a", "--newnodehost", "10.0.0.12", "-y")
    world.clock.advance(60)
    assert World.from_dict(world.to_dict()).to_dict() == world.to_dict()
    reboot(fleet.shell("b"))
    world.clock.advance(3600)
    assert json.loads(fleet.control("a").read("cluster", "nodes", "list").out)["total"] == 1
    assert world.nodes["b"].data == ""


# -- the verifier, impossible worlds, speed --------------------------------------------------------


@pytest.mark.parametrize(
    "problem", ["wrong_signer", "unsigned", "tampered", "truncated", "expired", "revoked", "encrypted"]
)
def test_bad_archives_are_refused(problem: str) -> None:
    world = make(archive={"problem": problem})
    with pytest.raises(SignatureError):
        SimVerifier(world).verify(Path("x"), world.archive.signer, None)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"nodes": []}, "nodes"),
        ({"nodes": [{"name": f"n{i}"} for i in range(21)]}, "at most 20"),
        ({"nodes": [{"name": "a", "node_id": "1"}, {"name": "b", "node_id": "1"}]}, r"nodes\[1\].node_id"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, r"nodes\[1\].name"),
        ({"nodes": [{"name": "a", "colour": "red"}]}, "colour"),
        ({"nodes": [{"name": "a", "node_id": "1"}]}, "not clustered"),
        ({"nodes": [{"name": "a", "version": "new"}]}, "version"),
        ({"nodes": [{"name": "a", "times": {"reboot_s": "long"}}]}, "reboot_s"),
        ({"nodes": [{"name": "a"}], "faults": [{"kind": "gremlin"}]}, r"faults\[0\]"),
        ({"nodes": [{"name": "a"}], "archive": {"problem": "ugly"}}, "archive.problem"),
        ({"nodes": [{"name": "a"}], "weather": "bad"}, "weather"),
    ],
)
def test_impossible_worlds_are_refused(value: dict[str, object], place: str) -> None:
    with pytest.raises(ValueError, match=place):
        World.from_dict(value)


def test_strict_worlds_refuse_unknown_commands_and_changing_looks() -> None:
    shell = SimFleet(make()).shell("ctm-1")
    with pytest.raises(AssertionError, match="frobnicate"):
        shell.read("frobnicate")
    with pytest.raises(AssertionError, match="must not change"):
        shell.read("rm", "-f", "x")


def calls_of_polls(nodes: int) -> list[int]:
    """How many functions are called, Python's and C's, by each of 40 polls of all nodes."""
    world, counts = make(nodes), list[int]()
    fleet = SimFleet(world)

    def count(_frame: object, event: str, _arg: object) -> None:
        counts[-1] += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # what other tests left would be cleaned up, and counted, in one of the polls
    try:
        for _ in range(40):
            counts.append(0)
            sys.setprofile(count)
            try:
                poll(world, fleet)
            finally:
                sys.setprofile(None)
    finally:
        gc.enable()
    return counts


def poll(world: World, fleet: SimFleet) -> None:
    world.clock.advance(5)
    for name in world.nodes:
        control = fleet.control(name)
        for argv in (
            ("cluster", "info"),
            ("cluster", "nodes", "list"),
            ("cluster", "summary"),
            ("services", "status"),
        ):
            control.read(*argv)


def test_twenty_nodes_are_no_more_work_each_than_ten() -> None:
    """Each look is as much work as any other one, however many nodes there are and however long it goes on:
    a simulated run of twenty nodes makes thousands. Calls are counted, for time is the machine's."""
    few, many = calls_of_polls(10), calls_of_polls(20)
    for counts in (few, many):
        assert max(counts[1:]) <= 1.02 * min(counts[1:]), "it grows with time"
    assert sum(many) <= 2.1 * sum(few)
    assert sum(many) <= 80 * (40 * 20 * 4)
