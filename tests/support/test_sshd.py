"""The test servers themselves, seen by a plain paramiko client and by the fake ksctl's caller."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from ctmupgrade.sim import Fault, World
from tests.support.sshd import SshFleet, start_fleet

SPEED = 600.0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[SshFleet]:
    world = World.from_dict(
        {
            "archive": {"size": 300_000, "generated": True, "name": "a.tar.gz.gpg"},
            "nodes": [{"name": "ctm-1"}, {"name": "ctm-2"}],
        }
    )
    started = start_fleet(world, tmp_path / "fleet", SPEED)
    yield started
    started.close()


def client(fleet: SshFleet, name: str = "ctm-1") -> paramiko.SSHClient:
    made = paramiko.SSHClient()
    made.load_host_keys(str(fleet.known_hosts))
    made.connect(
        "127.0.0.1", fleet.ports[name], "ksadmin", key_filename=str(fleet.client_key_path), allow_agent=False,
        look_for_keys=False, timeout=5,
    )  # fmt: skip
    return made


def ask(
    ssh: paramiko.SSHClient, command: str, stdin: bytes = b"", *, pty: bool = False
) -> tuple[int, str, str]:
    given, out, err = ssh.exec_command(command, timeout=20, get_pty=pty)
    if stdin:
        given.write(stdin)
    with suppress(OSError, EOFError):  # a reboot may have ended the connection by now
        given.channel.shutdown_write()
    said = out.read().decode(), err.read().decode()
    return out.channel.recv_exit_status(), *said


def ksctl(fleet: SshFleet, name: str, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "KSCTL_URL": fleet.urls[name], "KSCTL_PASSWORD": "x", **environ}
    return subprocess.run([str(fleet.ksctl), *argv], env=env, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)  # fmt: skip


def test_commands_answer(fleet: SshFleet) -> None:
    with client(fleet) as ssh:
        assert ask(ssh, "systemctl is-active keysecure") == (0, "active\n", "")
        code, _, err = ask(ssh, "frobnicate")
        assert (code, "not found" in err) == (127, True)
        assert abs(float(ask(ssh, "date +%s.%N")[1]) - time.time()) < 1


@pytest.mark.parametrize("way", ["sftp", "dd"])
def test_files_arrive(fleet: SshFleet, way: str, tmp_path: Path) -> None:
    payload = fleet.world.archive.content()
    (tmp_path / "p").write_bytes(payload)
    with client(fleet) as ssh:
        if way == "sftp":
            ssh.open_sftp().put(str(tmp_path / "p"), "a.tar.gz.gpg")
        else:
            ask(ssh, "dd of=a.tar.gz.gpg bs=1048576 seek=0", payload)
        assert fleet.world.archive.sha256 in ask(ssh, "sha256sum a.tar.gz.gpg")[1]


def test_no_sftp_where_the_node_has_none(fleet: SshFleet) -> None:
    fleet.world.nodes["ctm-1"].shell.sftp = False
    with client(fleet) as ssh, pytest.raises(paramiko.SSHException):
        ssh.open_sftp()


def back(fleet: SshFleet) -> bool:
    """Whether ctm-1 answers, its services too."""
    with suppress(paramiko.SSHException, OSError, EOFError), client(fleet) as ssh:
        return ask(ssh, "ls")[0] == 0 and ksctl(fleet, "ctm-1", "system", "info", "get").returncode == 0
    return False


def test_an_upgrade_and_its_reboot(fleet: SshFleet) -> None:
    fleet.world.nodes["ctm-1"].times = replace(fleet.world.nodes["ctm-1"].times, reboot_s=5 * SPEED)
    with client(fleet) as ssh:
        ask(ssh, "dd of=a.tar.gz.gpg bs=1048576 seek=0", fleet.world.archive.content())
        command = "sudo -n /opt/keysecure/ks_upgrade.sh -f a.tar.gz.gpg"
        code, text, _ = ask(ssh, command, pty=True)
        assert (code, "Upgrade to 2.21.0+15451 succeeded" in text) == (0, True)
        assert ask(ssh, "sudo -n reboot")[0] == -1
    time.sleep(0.3)  # the old boot lingers, for two milliseconds of ours
    with pytest.raises((paramiko.SSHException, OSError, EOFError)):
        client(fleet)
    end = time.monotonic() + 60
    while not back(fleet):
        assert time.monotonic() < end
    assert json.loads(ksctl(fleet, "ctm-1", "system", "info", "get").stdout)["version"] == "2.21.0+15451"


def test_a_strange_key_and_a_changed_host_key(fleet: SshFleet) -> None:
    fleet.world.inject(Fault("auth_refused", "ctm-1"), Fault("host_key_changed", "ctm-2"))
    with pytest.raises(paramiko.AuthenticationException):
        client(fleet)
    with pytest.raises(paramiko.BadHostKeyException):
        client(fleet, "ctm-2")


def test_a_dropped_connection_gives_no_status(fleet: SshFleet) -> None:
    fleet.world.inject(Fault("drop", "ctm-1", "command df"))
    with client(fleet) as ssh:
        assert ask(ssh, "df -k /")[0] == -1


def test_ksctl_answers_and_asks_for_a_password(fleet: SshFleet) -> None:
    good = ksctl(fleet, "ctm-2", "cluster", "info")
    assert json.loads(good.stdout)["nodeCount"] == 2
    assert "password:" in ksctl(fleet, "ctm-2", "cluster", "info", KSCTL_PASSWORD="").stdout
    fleet.world.inject(Fault("refused", "ctm-2"))
    assert "connection refused" in ksctl(fleet, "ctm-2", "cluster", "info").stderr
