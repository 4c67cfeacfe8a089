"""Every way of uploading, on nodes that offer only some of them, and uploads that break."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.ssh import channel_writer, node_file, openssh, upload
from ctmupgrade.adapters.ssh.rate_limit import Limiter
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import ConnectionLostError, NodeError, UsageError
from tests.adapters.conftest import Sshd, StartSshd, public
from tests.support.virtual_time import limits_in_virtual_time

pytestmark = pytest.mark.usefixtures("home")

WAYS = ("the ssh program", "an SSH channel", "SFTP", "scp")
SIZE = 9_000_001  # neither a multiple of a packet nor of a block


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(os.urandom(SIZE))
    return path


def only(shell: SshShell, way: str) -> SshShell:
    shell._uploads._ways = [pair for pair in shell._uploads._ways if pair[0] == way]
    assert shell._uploads._ways
    return shell


def sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress(shell: SshShell, source: Path, target: Path, offset: int = 0) -> list[int]:
    done = [sent.done for sent in shell.upload(source, str(target), offset=offset)]
    assert done == sorted(done)
    assert done[-1] == source.stat().st_size
    assert sha(source) == sha(target)
    return done


@pytest.mark.parametrize("way", WAYS)
def test_whole_file(sshd: Sshd, source: Path, tmp_path: Path, way: str) -> None:
    target = tmp_path / "a target's name"
    target.write_bytes(b"old and longer" * 1_000_000)
    assert progress(only(SshShell(sshd.node()), way), source, target)[0] == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("offset", [1, 1 << 20, 3_333_333, SIZE])
def test_going_on_at_an_offset(sshd: Sshd, source: Path, tmp_path: Path, way: str, offset: int) -> None:
    target = tmp_path / "target"
    # what is behind the offset is rubbish of an earlier try, longer than the whole
    target.write_bytes(source.read_bytes()[:offset] + b"rubbish" * 2_000_000)
    assert progress(only(SshShell(sshd.node()), way), source, target, offset)[0] == offset


@pytest.mark.parametrize("way", WAYS)
def test_empty_file(sshd: Sshd, tmp_path: Path, way: str) -> None:
    (tmp_path / "empty").touch()
    progress(only(SshShell(sshd.node()), way), tmp_path / "empty", tmp_path / "target")


def test_a_hole_is_never_made(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"short")
    with pytest.raises(NodeError, match="has only 5 bytes"):
        list(SshShell(sshd.node()).upload(source, str(target), offset=1 << 20))
    assert target.read_bytes() == b"short"


def test_source_that_cannot_be_read(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    shell = SshShell(sshd.node())
    with pytest.raises(UsageError, match="cannot be read"):
        list(shell.upload(tmp_path / "absent", "x"))
    with pytest.raises(UsageError, match="only"):
        list(shell.upload(source, "x", offset=SIZE + 1))


def test_fastest_way_is_chosen_remembered_and_said(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    shell = SshShell(sshd.node(), log=lines.append)
    progress(shell, source, tmp_path / "one")
    progress(shell, source, tmp_path / "two")
    assert [line for line in lines if "uploads go by" in line] == ["ctm-1: uploads go by the ssh program"]


def test_key_with_a_passphrase_goes_by_the_ssh_program_too(
    sshd: Sshd, keys: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PW", "open sesame 4711")
    lines: list[str] = []
    shell = SshShell(sshd.node(identity_file=keys / "locked", passphrase_env="KEY_PW"), log=lines.append)
    progress(shell, source, tmp_path / "target")
    assert "ctm-1: uploads go by the ssh program" in lines


def test_no_ssh_program(sshd: Sshd, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    lines: list[str] = []
    progress(SshShell(sshd.node(), log=lines.append), source, tmp_path / "target")
    assert "ctm-1: uploads go by an SSH channel" in lines


def test_through_jump_hosts(start_sshd: StartSshd, source: Path, tmp_path: Path) -> None:
    target, first, second = start_sshd(), start_sshd(), start_sshd()
    known = tmp_path / "known"
    servers = (target, first, second)
    known.write_text(
        "".join(one.settings.known_hosts.read_text() for one in servers if one.settings.known_hosts)
    )
    user = target.settings.user
    jumps = f"{user}@127.0.0.1:{first.port},{user}@127.0.0.1:{second.port}"
    shell = SshShell(target.node(known_hosts=known, proxy_jump=jumps))
    progress(only(shell, "the ssh program"), source, tmp_path / "target")


def test_pinned_host_needs_no_known_hosts_for_the_child(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    from ctmupgrade.adapters.ssh.fingerprint import fingerprint
    from tests.adapters.test_ssh_connect import blob

    pin = fingerprint(blob(sshd.host_keys["host_ed25519"]))
    shell = SshShell(sshd.node(known_hosts=Path(os.devnull), host_key=pin))
    progress(only(shell, "the ssh program"), source, tmp_path / "target")


def test_child_refuses_another_host_key(
    sshd: Sshd, keys: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = openssh._options

    def forged(login: object, folder: Path, number: int) -> list[str]:
        options = real(login, folder, number)  # type: ignore[arg-type]
        (folder / f"known_hosts_{number}").write_text(
            f"ctmupgrade-{number} {public(keys / 'other_ed25519')}\n"
        )
        return options

    monkeypatch.setattr(openssh, "_options", forged)
    with pytest.raises(NodeError, match="no way") as caught:
        list(only(SshShell(sshd.node()), "the ssh program").upload(source, str(tmp_path / "target")))
    assert "Host key verification failed" in caught.value.details


# -- restricted nodes ------------------------------------------------------------------------------


@pytest.fixture
def jail(start_sshd: StartSshd, tmp_path: Path) -> Callable[..., Sshd]:
    """A node whose login shell is bash -r (no ``>``, no ``/`` in commands) with few programs."""

    def make(*programs: str) -> Sshd:
        folder = tmp_path / "jail"
        folder.mkdir()
        for program in programs:
            (folder / program).symlink_to(subprocess.check_output(["which", program], text=True).strip())
        shell = tmp_path / "rbash"
        shell.write_text(f'#!/bin/sh\nPATH={folder} exec /bin/bash -r -c "$SSH_ORIGINAL_COMMAND"\n')
        shell.chmod(0o755)
        return start_sshd(f"ForceCommand {shell}")

    return make


@pytest.mark.parametrize(
    ("programs", "way"),
    [
        (("ls", "dd"), "the ssh program"),
        (("dd",), "the ssh program"),  # nothing tells the size
        (("ls", "sh", "cat"), "the ssh program"),
        (("ls", "tee"), "the ssh program"),
        (("ls", "scp"), "scp"),
    ],
)
@pytest.mark.parametrize("offset", [0, 3_333_333])
def test_restricted_shell(
    jail: Callable[..., Sshd], source: Path, tmp_path: Path, programs: tuple[str, ...], way: str, offset: int
) -> None:
    lines: list[str] = []
    target = tmp_path / "target"
    if offset:
        target.write_bytes(source.read_bytes()[:offset])
    done = progress(SshShell(jail(*programs).node(), log=lines.append), source, target, offset)
    assert done[0] == offset
    assert f"ctm-1: uploads go by {way}" in lines


def test_tee_by_channel_is_drained(jail: Callable[..., Sshd], source: Path, tmp_path: Path) -> None:
    shell = only(SshShell(jail("ls", "tee").node()), "an SSH channel")
    progress(shell, source, tmp_path / "target")


def test_sftp_only(start_sshd: StartSshd, source: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    shell = only(SshShell(start_sshd("ForceCommand internal-sftp").node(), log=lines.append), "SFTP")
    progress(shell, source, tmp_path / "target")


def test_nothing_is_offered(jail: Callable[..., Sshd], source: Path, tmp_path: Path) -> None:
    server = jail("ls")
    node = server.node()
    with pytest.raises(NodeError, match="no way to write") as caught:
        list(SshShell(node).upload(source, str(tmp_path / "target")))
    for name in WAYS:
        assert name in caught.value.details
    words = shlex.split(caught.value.remedy.splitlines()[-1])
    assert words[0] == "scp" and words[words.index("-P") + 1] == str(node.ssh.port)
    assert words[-1].startswith(f"{node.ssh.user}@{node.host}:"), "the node's name is in no DNS"


# -- uploads that break ----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=False
        ).returncode
    ):
        pytest.skip("a small file system needs root and mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("way", WAYS)
def test_full_disk(sshd: Sshd, source: Path, small_disk: Path, way: str) -> None:
    with pytest.raises(NodeError, match="its disk is full") as caught:
        list(only(SshShell(sshd.node()), way).upload(source, str(small_disk / "target")))
    assert "100%" in caught.value.details or "No space" in caught.value.details
    part = (small_disk / "target").read_bytes()
    assert source.read_bytes().startswith(part)  # no holes


@pytest.mark.parametrize("way", WAYS)
def test_missing_folder(sshd: Sshd, source: Path, tmp_path: Path, way: str) -> None:
    with pytest.raises(NodeError):
        list(only(SshShell(sshd.node()), way).upload(source, str(tmp_path / "absent" / "target")))


def _cut_once_begun(sshd: Sshd, target: Path, number: signal.Signals = signal.SIGKILL) -> None:
    for _ in range(6000):
        if target.exists() and target.stat().st_size:
            break
        time.sleep(0.01)
    sshd.cut(number)


@pytest.mark.parametrize("way", WAYS)
def test_killed_in_the_middle_then_going_on(sshd: Sshd, tmp_path: Path, way: str) -> None:
    source, target = tmp_path / "archive", tmp_path / "target"
    source.write_bytes(os.urandom(40 << 20))
    shell = only(SshShell(sshd.node(), rate_limit=10 << 20), way)
    cutter = threading.Thread(target=_cut_once_begun, args=(sshd, target))
    cutter.start()
    with pytest.raises(ConnectionLostError, match="ctm-1"):
        list(shell.upload(source, str(target)))
    cutter.join()
    time.sleep(0.3)
    part = target.read_bytes()
    assert 0 < len(part) < source.stat().st_size
    assert source.read_bytes().startswith(part)
    progress(only(SshShell(sshd.node()), way), source, target, len(part))


@pytest.mark.parametrize("way", WAYS)
def test_stopped_server_is_lost(
    sshd: Sshd, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (channel_writer, upload):
        monkeypatch.setattr(module, "SILENCE", 2.0)
    monkeypatch.setattr(openssh, "_STALLED", 2.0)
    monkeypatch.setattr(node_file, "_SIZE_TIMEOUT", 2.0)
    source, target = tmp_path / "archive", tmp_path / "target"
    source.write_bytes(os.urandom(60 << 20))
    shell = only(SshShell(sshd.node(), rate_limit=10 << 20), way)
    stopper = threading.Thread(target=_cut_once_begun, args=(sshd, target, signal.SIGSTOP))
    stopper.start()
    with pytest.raises(ConnectionLostError):
        list(shell.upload(source, str(target)))
    stopper.join()


def test_left_early_ends_the_child(sshd: Sshd, tmp_path: Path) -> None:
    source = tmp_path / "archive"
    source.write_bytes(bytes(60 << 20))
    pieces = only(SshShell(sshd.node(), rate_limit=5 << 20), "the ssh program").upload(
        source, str(tmp_path / "t")
    )
    next(pieces)
    next(pieces)
    child = [one for one in psutil.Process().children() if one.name() == "ssh"]
    assert child
    pieces.close()  # type: ignore[attr-defined]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in child)


@pytest.mark.parametrize("descriptors", [True, False], ids=["told by the kernel", "looked for"])
def test_end_of_the_child_is_noticed(descriptors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not descriptors:

        def refused(_pid: int, _flags: int = 0) -> int:
            raise PermissionError  # a sandbox that lets nobody have one

        monkeypatch.setattr(os, "pidfd_open", refused)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert not openssh._ends_within(child, 0.05)
        child.communicate()
        assert openssh._ends_within(child, 60)  # it has been waited for already
    with subprocess.Popen(["sh", "-c", "exit 7"]) as child:
        assert openssh._ends_within(child, 60)
        assert child.returncode == 7


def test_rate_limit_holds(sshd: Sshd, source: Path, tmp_path: Path) -> None:
    """In real time, never faster than was asked for. That it is not slower is the next test's, in virtual time."""
    for way in WAYS:
        began = time.monotonic()
        list(only(SshShell(sshd.node(), rate_limit=6_000_000), way).upload(source, str(tmp_path / "target")))
        assert time.monotonic() - began > 1.0, way


@pytest.mark.parametrize("way", WAYS)
def test_rate_limit_is_used_up(
    sshd: Sshd, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """It takes what its bytes take at that rate, but for the last piece, after which nobody waits."""
    virtual = limits_in_virtual_time(monkeypatch)
    progress(only(SshShell(sshd.node(), rate_limit=100_000), way), source, tmp_path / "target")
    last_piece = SIZE % 262_144 if way == "the ssh program" else 32_768
    assert (SIZE - last_piece) / 100_000 - 0.001 <= virtual.now < SIZE / 100_000


def test_limiter_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    virtual = limits_in_virtual_time(monkeypatch)
    limiter = Limiter(1000)
    assert [limiter.reserve(500) for _ in range(3)] == [0, 0.5, 1.0]
    virtual.sleep(100)
    assert [limiter.reserve(500) for _ in range(2)] == [0, 0.5], "what nobody used is not saved up"


def test_no_secret_in_any_command_line(
    sshd: Sshd, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PW", "open sesame 4711")
    source = tmp_path / "archive"
    source.write_bytes(bytes(20 << 20))
    seen: set[str] = set()
    for changes in ({}, {"identity_file": keys / "locked", "passphrase_env": "KEY_PW"}):
        shell = SshShell(sshd.node(**changes), rate_limit=10 << 20)
        for _ in shell.upload(source, str(tmp_path / "target")):
            for process in psutil.Process().children(recursive=True):
                try:
                    seen |= set(process.cmdline())
                except psutil.Error:
                    continue
    secret = (keys / "user").read_text().splitlines()[1]
    assert any("StrictHostKeyChecking=yes" in word for word in seen)
    assert not any("sesame" in word or secret in word for word in seen)
