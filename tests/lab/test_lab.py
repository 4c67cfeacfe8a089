"""The lab itself: its nodes do what a real appliance does, as far as that is known."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import TARGET, Lab

_OK, _WHY = Lab.available()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}")]
SCRIPT = "/opt/keysecure/ks_upgrade.sh"
QUICK = {"reboot_seconds": 0.5, "start_seconds": 0.5, "upgrade_seconds": 2.0, "join_seconds": 0.5}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes, for all tests of this file; each test uses a node of its own or leaves it as it was."""
    with Lab.up(3, tmp_path_factory.mktemp("lab"), behave=QUICK) as running:
        yield running


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Lab]:
    """One unclustered node of its own."""
    with Lab.up(1, tmp_path, clustered=False, behave=QUICK) as running:
        yield running


def boot_id(lab: Lab, name: str) -> str:
    return lab.ssh(name, "cat /proc/sys/kernel/random/boot_id").stdout.strip()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def ksctl(lab: Lab, name: str, *argv: str) -> dict[str, Any]:
    done = lab.ksctl(name, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kinds(lab: Lab, name: str) -> list[str]:
    return [line["kind"] for line in lab.audit(name)]


def staged(lab: Lab, name: str) -> str:
    """The archive in ksadmin's home. Returns its name."""
    archive = next(lab.directory.glob("610-*.gpg"))
    copied = lab.ssh(name, f"cat >{archive.name}", stdin=archive.open("rb"))
    assert copied.returncode == 0, copied.stderr
    return archive.name


def rebooted(lab: Lab, name: str) -> None:
    before = boot_id(lab, name)
    lab.ssh(name, "sudo reboot")
    until(lambda: boot_id(lab, name) not in ("", before))
    lab.wait_ready(name)


def upgrade(lab: Lab, name: str, *, terminal: bool = True) -> subprocess.CompletedProcess[str]:
    options = ["-tt"] if terminal else []
    return lab.ssh(name, f"sudo {SCRIPT} -f {staged(lab, name)}", options=options, env={"TERM": "xterm"})


def test_a_reboot_over_ssh_changes_the_boot_id_and_closes_the_port(lab: Lab) -> None:
    before = boot_id(lab, "ctm-3")
    assert len(before) == 36
    assert lab.ssh("ctm-3", "sudo -n reboot").returncode in (0, 255)
    until(lambda: lab.ssh("ctm-3", "true").returncode == 255)  # refused meanwhile
    until(lambda: boot_id(lab, "ctm-3") not in ("", before))
    assert lab.ssh("ctm-3", "systemctl is-active keysecure").stdout == "active\n"
    lab.wait_ready("ctm-3")
    assert "reboot" in kinds(lab, "ctm-3")


def test_nothing_of_this_machine_shows(lab: Lab) -> None:
    assert lab.ssh("ctm-1", "id -gn; hostname; pwd").stdout.split() == ["staff", "ctm-1", "/home/ksadmin"]
    assert lab.ssh("ctm-1", "ls /home").stdout.split() == ["ksadmin"]
    assert lab.ssh("ctm-1", "cat /etc/resolv.conf; ls /root; find / -maxdepth 1 -type f").stdout == ""
    denied = lab.ssh("ctm-1", "sudo -n id")
    assert denied.returncode == 1 and "password is required" in denied.stderr
    # sudo looks its host's name up: it stands here, and no name server could be waited for
    assert "hosts: files\n" in lab.ssh("ctm-1", "cat /etc/nsswitch.conf").stdout
    assert " ctm-1\n" in lab.ssh("ctm-1", "cat /etc/hosts").stdout
    sudo = lab.ssh("ctm-1", "sudo -n -l").stdout
    assert SCRIPT in sudo and "reboot" in sudo and "ALL : ALL" not in sudo


def test_node_runs_as_root_inside(lab: Lab) -> None:
    assert lab.node("ctm-2", "sh", "-c", "id -u; hostname").stdout.split() == ["0", "ctm-2"]


def test_a_power_failure_boots_again(lab: Lab) -> None:
    before = boot_id(lab, "ctm-3")
    lab.crash("ctm-3")
    until(lambda: boot_id(lab, "ctm-3") not in ("", before))
    lab.wait_ready("ctm-3")


def test_upgrade_by_hand_end_to_end(single: Lab) -> None:
    done = upgrade(single, "ctm-1")
    for words in ("IMPORTANT: Do not restart", "launching a screen session", "[screen is terminating]"):
        assert words in done.stdout
    listing = single.ssh("ctm-1", "ls -l ks_upgrade_*.log; cat ks_upgrade_*.log").stdout
    assert listing.startswith("-rw-r--r-- 1 root root ")
    assert listing.count("status: error") == 11
    assert f"Upgrade to {TARGET} succeeded" in listing
    assert (
        ksctl(single, "ctm-1", "system", "info", "get")["version"] == "2.20.0+15016"
    )  # not before the reboot
    rebooted(single, "ctm-1")
    assert ksctl(single, "ctm-1", "version")["server_version"] == TARGET
    assert TARGET in single.ssh("ctm-1", options=["-tt"], input="exit\n").stdout  # the banner of a login
    wanted = ["upgrade-call", "upgrade-start", "upgrade-end", "reboot"]
    assert [k for k in kinds(single, "ctm-1") if k in wanted] == wanted
    calls = [line["command"] for line in single.audit("ctm-1") if line["kind"] == "shell"]
    assert any(call.startswith(f"sudo {SCRIPT} -f 610-") for call in calls)


def test_a_lost_connection_leaves_the_upgrade_in_screen_running(single: Lab) -> None:
    single.behave("ctm-1", upgrade_seconds=4)
    name = staged(single, "ctm-1")
    words = [*single.ssh_words("ctm-1", "-tt"), f"sudo {SCRIPT} -f {name}"]
    with single.popen(words, {"TERM": "xterm"}, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as client:
        until(lambda: "upgrade-start" in kinds(single, "ctm-1"))
        assert single.kill_sessions("ctm-1") > 0
        client.communicate(timeout=10)
        assert client.returncode == 255
    assert "ks_upgrade" in single.ssh("ctm-1", "ps -eo args | grep -v grep | grep -i screen").stdout
    again = single.ssh("ctm-1", f"sudo {SCRIPT} -f {name}")
    assert again.returncode == 1 and "already running" in again.stderr
    until(lambda: "upgrade-end" in kinds(single, "ctm-1"))
    assert "succeeded" in single.ssh("ctm-1", "cat ks_upgrade_*.log").stdout


def test_a_reboot_during_the_upgrade_breaks_the_node(single: Lab) -> None:
    single.behave("ctm-1", notty="returns", upgrade_seconds=20)
    assert upgrade(single, "ctm-1", terminal=False).returncode == 0
    until(lambda: "upgrade-start" in kinds(single, "ctm-1"))
    before = boot_id(single, "ctm-1")
    single.ssh("ctm-1", "sudo reboot")
    until(lambda: boot_id(single, "ctm-1") not in ("", before))
    until(lambda: single.ksctl("ctm-1", "services", "status").returncode == 0)
    assert kinds(single, "ctm-1").count("PREMATURE-REBOOT") == 1
    assert ksctl(single, "ctm-1", "services", "status")["status"] == "error"


def test_knobs_of_the_upgrade(single: Lab) -> None:
    single.behave("ctm-1", fail="middle", exit_code=7)
    failed = upgrade(single, "ctm-1", terminal=False)
    assert failed.returncode == 7 and "failed" in failed.stdout and "succeeded" not in failed.stdout
    single.behave(
        "ctm-1", fail="old_version_after_reboot", exit_code="", log_dir="/var/log", notty="survives"
    )
    with single.popen([*single.ssh_words("ctm-1"), f"sudo {SCRIPT} -f {staged(single, 'ctm-1')}"]) as client:
        until(lambda: kinds(single, "ctm-1").count("upgrade-start") == 2)
        single.kill_sessions("ctm-1")
        client.wait(10)
    until(lambda: kinds(single, "ctm-1").count("upgrade-end") == 2)
    assert "succeeded" in single.ssh("ctm-1", "cat /var/log/ks_upgrade_*.log").stdout
    single.behave("ctm-1", tty="background", fail="no_verdict", log_dir="")
    assert "background" in upgrade(single, "ctm-1").stdout
    until(lambda: kinds(single, "ctm-1").count("upgrade-end") == 3)
    assert "REPEATED-UPGRADE" in kinds(single, "ctm-1")


def test_success_that_is_none_after_the_reboot(single: Lab) -> None:
    single.behave("ctm-1", fail="old_version_after_reboot", tty="foreground")
    assert "succeeded" in upgrade(single, "ctm-1").stdout
    single.behave("ctm-1", reboot="new_host_key")
    single.ssh("ctm-1", "sudo reboot")
    until(lambda: "IDENTIFICATION HAS CHANGED" in single.ssh("ctm-1", "true").stderr)
    single.wait_ready()
    assert ksctl(single, "ctm-1", "system", "info", "get")["version"] == "2.20.0+15016"


def test_archives_that_are_refused(single: Lab) -> None:
    archive = next(single.directory.glob("610-*.gpg"))
    spoilt = bytearray(archive.read_bytes())
    spoilt[-100_000] ^= 1
    (single.directory / "spoilt").write_bytes(spoilt)
    with (single.directory / "spoilt").open("rb") as content:
        single.ssh("ctm-1", "cat >spoilt", stdin=content)
    assert "signature" in single.ssh("ctm-1", f"sudo {SCRIPT} -f spoilt").stderr
    single.archive("1M", "2.19.0+14195")
    old = single.ssh("ctm-1", f"sudo {SCRIPT} -f {staged(single, 'ctm-1')}")
    assert "downgrade" in old.stderr and old.returncode == 1


def sftp(lab: Lab, name: str) -> subprocess.CompletedProcess[str]:
    words = lab.ssh_words(name)
    return lab.run(["sftp", "-b", "-", *words[1:]], input="pwd\n")


def test_programs_can_be_missing(lab: Lab) -> None:
    assert sftp(lab, "ctm-2").returncode == 0
    assert lab.ssh("ctm-2", "sha256sum /etc/hosts").returncode == 0
    lab.behave("ctm-2", shell_without=["sha256sum", "sftp"])
    until(
        lambda: lab.ssh("ctm-2", "sha256sum /etc/hosts").returncode == 127
    )  # sshd reloads, away for an instant
    until(lambda: "subsystem request failed" in sftp(lab, "ctm-2").stderr)
    lab.behave("ctm-2", shell_without=[])
    until(lambda: sftp(lab, "ctm-2").returncode == 0)


def test_restricted_shell(lab: Lab) -> None:
    lab.behave("ctm-2", restricted=True)
    assert "restricted" in lab.ssh("ctm-2", "cd /tmp").stderr
    assert lab.ssh("ctm-2", "sudo -n -l").returncode == 0
    lab.behave("ctm-2", restricted=False)


def test_dropped_packets_are_silence(lab: Lab) -> None:
    lab.drop("ctm-2")
    silent = lab.ssh("ctm-2", "true", options=["-o", "ConnectTimeout=1"])
    assert silent.returncode == 255 and "timed out" in silent.stderr
    lab.undrop("ctm-2")
    assert lab.ssh("ctm-2", "true").returncode == 0


def test_unknown_knobs_are_refused(lab: Lab) -> None:
    with pytest.raises(ValueError, match="no knob"):
        lab.behave("ctm-1", colour="red")
    with pytest.raises(ValueError, match="none, at_once"):
        lab.behave("ctm-1", fail="sometimes")


def connected(lab: Lab, asked: str, reporter: str, peer: str) -> object:
    ids = {m["host"]: m["nodeID"] for m in ksctl(lab, asked, "cluster", "nodes", "list")["resources"]}
    report = ksctl(lab, asked, "cluster", "summary")["resources"][ids[lab.address(reporter)]]
    return report["clusterSummary"][ids[lab.address(peer)]]["nodeInfo"]["connected"]


def codes(lab: Lab, asked: str) -> dict[str, str]:
    rows = ksctl(lab, asked, "cluster", "nodes", "list")["resources"]
    return {row["host"]: row["status"]["code"] for row in rows}


def test_a_cut_shows_as_not_connected(lab: Lab) -> None:
    lab.wait_ready()
    lab.cut("ctm-1", "ctm-2")
    until(lambda: connected(lab, "ctm-3", "ctm-1", "ctm-2") is False)
    until(lambda: connected(lab, "ctm-3", "ctm-2", "ctm-1") is False)
    assert connected(lab, "ctm-3", "ctm-1", "ctm-3") is True
    lab.heal("ctm-1", "ctm-2")
    until(lambda: connected(lab, "ctm-3", "ctm-1", "ctm-2") is True)
    lab.wait_ready()


def test_a_node_that_is_away_keeps_its_last_report(lab: Lab) -> None:
    lab.wait_ready()
    ksctl(lab, "ctm-1", "cluster", "summary")
    lab.behave("ctm-3", reboot="never")
    lab.ssh("ctm-3", "sudo reboot")
    until(lambda: codes(lab, "ctm-1")[lab.address("ctm-3")] == "d")
    assert connected(lab, "ctm-1", "ctm-1", "ctm-3") is False
    assert connected(lab, "ctm-1", "ctm-3", "ctm-1") is True  # its own last word
    lab.behave("ctm-3", reboot="normal")
    lab.wait_ready()


def test_remove_reset_and_join(lab: Lab, tmp_path: Path) -> None:
    lab.wait_ready()
    rows = ksctl(lab, "ctm-1", "cluster", "nodes", "list")["resources"]
    gone = next(row["nodeID"] for row in rows if row["host"] == lab.address("ctm-3"))
    assert lab.ksctl("ctm-1", "cluster", "nodes", "delete", "--id", gone, "-y").returncode == 0
    assert '"code": 14' in lab.ksctl("ctm-1", "cluster", "nodes", "get", "--id", gone).stdout
    assert ksctl(lab, "ctm-3", "cluster", "info")["status"]["code"] == "d"
    config = tmp_path / "joiner.yaml"
    config.write_text(f"KSCTL_URL: https://{lab.address('ctm-3')}\n" + 'KSCTL_PASSWORD: "Lab-Password-1!"\n')
    join = ["cluster", "fulljoin", "--member", lab.address("ctm-1"), "--newnodehost", lab.address("ctm-3")]
    join += ["--newnodeconfig", str(config), "-y"]
    assert "already part" in lab.ksctl("ctm-1", *join).stdout
    assert lab.ksctl("ctm-3", "cluster", "delete", "-y").returncode == 0
    assert ksctl(lab, "ctm-3", "cluster", "info")["status"]["code"] == "none"
    lab.ksctl("ctm-3", "services", "reset", "-y")
    until(lambda: ksctl(lab, "ctm-3", "services", "status")["status"] == "started")
    assert lab.state("ctm-3")["data"] == {}
    joined = lab.ksctl("ctm-1", *join)
    assert joined.returncode == 0, joined.stdout + joined.stderr
    until(lambda: codes(lab, "ctm-2").get(lab.address("ctm-3")) == "r")
    assert lab.state("ctm-3")["data"] == lab.state("ctm-1")["data"]
    lab.wait_ready()


def test_backup_and_its_key(lab: Lab, tmp_path: Path) -> None:
    made = ksctl(lab, "ctm-1", "backup", "create", "--scope", "system")
    assert made["status"] == "in progress"
    until(lambda: ksctl(lab, "ctm-1", "backup", "status")["status"] == "completed")
    file, key = tmp_path / "b", tmp_path / "k"
    assert lab.ksctl("ctm-1", "backup", "download", "--id", made["id"], "--file", str(file)).returncode == 0
    words = ["backupkeys", "download", "--id", made["backupKey"], "--file", str(key)]
    unasked = lab.ksctl("ctm-1", *words)
    assert unasked.returncode == 1 and "password" in unasked.stdout
    assert lab.ksctl("ctm-1", *words, "--bkpassword", "x").returncode == 0
    assert file.stat().st_size > 100 and key.stat().st_size > 100
    assert any("--bkpassword" in call["argv"] for call in lab.ksctl_audit())
    assert "POST /v1/backups" in [line["command"] for line in lab.audit("ctm-1") if line["kind"] == "api"]


def test_two_labs_at_once(lab: Lab, tmp_path: Path) -> None:
    with Lab.up(2, tmp_path / "other", behave=QUICK) as other:
        assert other.layout.hub != lab.layout.hub
        assert boot_id(other, "ctm-1") != boot_id(lab, "ctm-1")
        assert (
            other.ssh("ctm-1", "cat /etc/machine-id").stdout != lab.ssh("ctm-1", "cat /etc/machine-id").stdout
        )
    assert not (tmp_path / "other").exists()
    lab.wait_ready()  # the end of one is not felt by the other


def test_a_start_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "killed"
    program = Path(__file__).parents[2] / "scripts" / "lab"
    with subprocess.Popen([program, "up", "--dir", place, "-n", "2"], stdout=subprocess.DEVNULL) as starting:
        until((place / "nodes" / "ctm-2" / "pid").exists)
        starting.kill()
    subprocess.run([program, "down", "--dir", place], check=True)
    ident = Lab(place, ()).layout.ident
    assert not place.exists()
    assert ident not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"ctmlab-{ident}" not in processes and str(place) not in processes


@pytest.mark.slow
def test_twenty_nodes(tmp_path: Path) -> None:
    with Lab.up(20, tmp_path, behave=QUICK) as many:
        assert len(ksctl(many, "ctm-20", "cluster", "summary")["resources"]) == 20
        asked = [many.popen([*many.ssh_words(n), "systemctl is-active keysecure"]) for n in many.names]
        assert [client.wait(60) for client in asked] == [0] * 20
        before = {name: boot_id(many, name) for name in many.names}
        for client in [many.popen([*many.ssh_words(n), "sudo reboot"]) for n in many.names]:
            client.wait(60)
        many.wait_ready()
        until(lambda: all(boot_id(many, name) not in ("", old) for name, old in before.items()), 60)
