"""Terminals that outlive the process that wanted them, after the kill -9 of it too: here and over a real sshd."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters import own_program
from ctmupgrade.adapters.disk import private_folder
from ctmupgrade.adapters.local.held_terminal import HeldTerminal
from ctmupgrade.adapters.local.shell import LocalShell
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.core.looks.parse_shell import upgrade_processes
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Terminal
from tests.adapters.conftest import Sshd, StartSshd

pytestmark = pytest.mark.usefixtures("home")
PATIENCE = 30.0
SECRET = "ksctl-Passw0rd-8d31"
# A terminal is asked for before and after somebody else dies: "tty" and /dev/tty fail where it has gone.
WORK = (
    ": /opt/keysecure/ks_upgrade.sh -f archive; stty size > {0}/begun; until [ -e {0}/go ]; do sleep 0.05; done; "
    "seq 1 60000; "
    "stty size < /dev/tty > {0}/done; echo said > /dev/tty && echo whole >> {0}/done"
)
STARTER = """
import json, signal, sys
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)  # who runs the tests in the background of a script has them ignored
sys.path.insert(0, {root!r})
from tests.adapters.test_held_terminal import start
start(json.load(open(sys.argv[1])))
"""


def until(seen: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


HERE = Node("ctm-1", "local", "https://x", "x", SshSettings("u", 22, None, None, None), KsctlSettings())


def start(wish: dict[str, str]) -> None:
    """What the process does that will be killed: starts a terminal, and lives on."""
    if wish["port"]:
        known, identity = Path(wish["known"]), Path(wish["identity"])
        ssh = SshSettings(wish["user"], int(wish["port"]), identity, None, known)
        shell = SshShell(Node("ctm-1", "127.0.0.1", "https://x", "x", ssh, KsctlSettings()), log=print)
        terminal: Terminal = shell.terminal("sh", "-c", wish["work"])
    else:
        terminal = LocalShell(HERE).terminal("sh", "-c", wish["work"])
    while True:
        print(terminal.look().text, end="", flush=True)
        time.sleep(0.02)


class Starter:
    """A process of its own that starts WORK on a terminal."""

    def __init__(self, folder: Path, sshd: Sshd | None, *, path: Path | None = None) -> None:
        wish = {"port": "", "work": WORK.format(folder)}
        if sshd:
            have = sshd.settings
            wish |= {"port": str(sshd.port), "known": str(have.known_hosts)}
            wish |= {"identity": str(have.identity_file), "user": have.user}
        (folder / "wish").write_text(
            json.dumps(wish)
        )  # not on a command line: that would look like the script
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER.format(root=str(Path.cwd())), str(folder / "wish")],
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "A_PASSWORD": SECRET,
                "TMPDIR": str(self.temp),
                "PATH": f"{path}:{os.environ['PATH']}",
            },
        )

    def ours(self) -> list[psutil.Process]:
        """The processes of it that are there, ours to hold the terminal too."""
        mark, found = f"TMPDIR={self.temp}", []
        for one in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if mark in Path(f"/proc/{one.pid}/environ").read_text("utf-8", "replace").split("\0"):
                    found.append(one)
        return found

    def command_lines(self) -> list[list[str]]:
        """Theirs; one that has just ended, as a shell's ``sleep``, has none."""
        found = []
        for one in self.ours():
            with suppress(psutil.NoSuchProcess):
                found.append(one.cmdline())
        return found

    def close(self) -> None:
        """Ends what a failed test has left."""
        self.process.kill()
        self.process.wait()
        for left in self.ours():
            with suppress(psutil.NoSuchProcess):
                left.kill()

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)
        self.process.wait(PATIENCE)


@pytest.fixture(params=["local", "ssh"])
def starter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starter]:
    sshd = request.getfixturevalue("sshd") if request.param == "ssh" else None
    made = Starter(tmp_path, sshd)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_what_runs_on_it_outlives_us(starter: Starter, tmp_path: Path, number: int) -> None:
    until((tmp_path / "begun").exists, "the start")
    starter.kill(number)
    (tmp_path / "go").touch()
    until(lambda: (tmp_path / "done").exists() and "whole" in (tmp_path / "done").read_text(), "the work")
    assert (tmp_path / "done").read_text() == "50 200\nwhole\n"
    until(lambda: not starter.ours(), "the end of what held the terminal")


def test_who_lives_on_has_no_password_of_ours(starter: Starter, tmp_path: Path) -> None:
    until((tmp_path / "begun").exists, "the start")
    others = [one for one in starter.ours() if one.pid != starter.process.pid]
    assert len(others) >= 2, "the holder and what it holds"
    assert [one.cmdline() for one in others if "A_PASSWORD" in one.environ()] == []


def test_who_waits_for_our_output_is_not_kept_waiting(starter: Starter, tmp_path: Path) -> None:
    until((tmp_path / "begun").exists, "the start")
    starter.process.kill()
    starter.process.communicate(timeout=PATIENCE)  # our standard output is closed though the terminal lives
    assert starter.ours()


DYING: dict[str, tuple[str, ...]] = {
    "we": (),
    "we and the holder": (own_program.HOLD_TERMINAL,),
    "all, and nobody removes the keys": (own_program.HOLD_TERMINAL, own_program.REMOVE_AFTER_US),
}


@pytest.mark.parametrize("dies", DYING)
def test_killed_on_the_way_in_nothing_is_started(
    sshd: Sshd, tmp_path: Path, request: pytest.FixtureRequest, dies: str
) -> None:
    """Whoever goes on after us looks, sees nothing, and starts it: one that is still under way would be the second."""
    slow = tmp_path / "bin" / "ssh"
    slow.parent.mkdir()
    wait = f"trap '' HUP; : > {tmp_path}/asked; until [ -e {tmp_path}/on ]; do sleep 0.05; done"
    slow.write_text(f'#!/bin/sh\n{wait}\nexec {shutil.which("ssh")} "$@"\n')
    slow.chmod(0o755)
    made = Starter(tmp_path, sshd, path=slow.parent)
    request.addfinalizer(made.close)
    until((tmp_path / "asked").exists, "the client's start")
    lines = "\n".join(shlex.join(words) for words in made.command_lines())
    assert "ks_upgrade.sh" in lines
    assert upgrade_processes(lines) == (), "upgrading others from an appliance: none runs on itself"
    [gate] = [Path(word) for words in made.command_lines() for word in words if word.endswith("/gate")]
    made.process.send_signal(signal.SIGSTOP)  # all at once: it must not see that the others end
    for one in (*made.ours(), *psutil.Process(made.process.pid).children()):
        with suppress(psutil.NoSuchProcess):
            if any(word in one.cmdline() for word in DYING[dies]):
                one.kill()
    made.process.kill()
    made.process.wait()
    gate.unlink(missing_ok=True)  # the next run removes the folder, and may be met while it does
    (tmp_path / "on").touch()
    until(lambda: not made.ours(), "the end of the client")
    time.sleep(0.5)
    assert not (tmp_path / "begun").exists()
    shutil.rmtree(gate.parent, ignore_errors=True)


# -- over ssh ------------------------------------------------------------------------------------------------------


def screen(terminal: Terminal) -> tuple[str, int | None]:
    said = []

    def ended() -> bool:
        look = terminal.look()
        said.append(look.text)
        return look.ended

    until(ended, "the end of the terminal")
    return "".join(said), terminal.look().code


@pytest.mark.parametrize("code", [0, 1, 7, 127, 254, 255])
def test_exit_status_is_the_commands(sshd: Sshd, code: int) -> None:
    terminal = SshShell(sshd.node()).terminal("sh", "-c", f"echo one; exit {code}")
    assert isinstance(terminal, HeldTerminal)
    assert screen(terminal) == ("one\n", code)


def test_a_lost_connection_has_no_exit_status(sshd: Sshd) -> None:
    terminal = SshShell(sshd.node()).terminal("sleep", "30")
    sshd.cut()
    assert screen(terminal)[1] is None


def test_nothing_is_left_in_the_temporary_folder(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = tmp_path / "a b%c"  # ssh takes options apart at blanks, and expands %
    temp.mkdir()
    monkeypatch.setattr(private_folder, "_LONGEST", 500)
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    terminal = SshShell(sshd.node()).terminal("sleep", "30")
    assert isinstance(terminal, HeldTerminal)
    assert list(temp.iterdir()) == []
    terminal.close()


def test_a_closed_one_leaves_no_client_behind(sshd: Sshd) -> None:
    terminal = SshShell(sshd.node()).terminal("sleep", "30")
    assert isinstance(terminal, HeldTerminal)
    [client] = psutil.Process(terminal.process.pid).children()
    assert client.name() == "ssh"
    terminal.close()
    until(lambda: not client.is_running() and not sshd.sessions(), "the end of the client and its session")


def test_through_a_jump_host(start_sshd: StartSshd, tmp_path: Path) -> None:
    target, jump = start_sshd(), start_sshd()
    known = tmp_path / "known"
    files = (one.settings.known_hosts for one in (target, jump))
    known.write_text("".join(file.read_text() for file in files if file))
    node = target.node(known_hosts=known, proxy_jump=f"{target.settings.user}@127.0.0.1:{jump.port}")
    terminal = SshShell(node).terminal("sh", "-c", "stty size; exit 3")
    assert isinstance(terminal, HeldTerminal)
    assert screen(terminal) == ("50 200\n", 3)


def test_without_an_ssh_program_it_is_our_own_and_said(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    lines: list[str] = []
    terminal = SshShell(sshd.node(), log=lines.append).terminal("sh", "-c", "stty size; exit 3")
    assert screen(terminal) == ("50 200\n", 3)
    assert "ctm-1: the terminal would end with this process (no ssh program here)" in lines


def test_a_client_that_does_not_get_in_has_started_nothing(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here one that does not know our options, and one that only fails."""
    for number, text in enumerate(("exit 64", "echo bad configuration option >&2; exit 255")):
        program = tmp_path / f"bin{number}" / "ssh"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda name, at=str(program): at)
        counted = tmp_path / f"count{number}"
        terminal = SshShell(sshd.node()).terminal("sh", "-c", f"echo once >> {counted}")
        assert not isinstance(terminal, HeldTerminal)
        assert screen(terminal)[1] == 0
        assert counted.read_text() == "once\n"


def test_a_refused_terminal_runs_nothing(start_sshd: StartSshd, tmp_path: Path) -> None:
    """An OpenSSH client would go on without one."""
    with pytest.raises(NodeError, match="refuses a pseudo-terminal"):
        SshShell(start_sshd("PermitTTY no").node()).terminal("touch", str(tmp_path / "ran"))
    time.sleep(0.5)
    assert not (tmp_path / "ran").exists()


# -- the holder itself ---------------------------------------------------------------------------------------------


def holder(*words: str) -> subprocess.Popen[bytes]:
    command = own_program.helper(own_program.HOLD_TERMINAL, *words)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def test_a_slow_reader_gets_the_end_and_holds_nothing_up(tmp_path: Path) -> None:
    lines = f"seq 1 200000; : > {tmp_path}/over"
    with holder("", "sh", "-c", lines) as process:
        until((tmp_path / "over").exists, "the end of the work though nobody reads")
        out, _ = process.communicate(timeout=PATIENCE)
    assert len(out) < 400_000
    assert out.endswith(b"\r\n199999\r\n200000\r\n")
    _, _, kept = out.partition(b"[... earlier output was dropped ...]\r\n")
    numbers = [int(line) for line in kept.split()]
    assert numbers == list(range(numbers[0], 200_001)), "cut between lines"


def test_the_end_by_a_signal_is_passed_on() -> None:
    with holder("", "sh", "-c", "kill -9 $$") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_gated_program_dies_with_its_starter_until_it_is_released(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    work = ("sh", "-c", f"read -r go < {gate}; echo $go > {tmp_path}/went; sleep 30")
    with holder(str(gate), *work) as process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert not (tmp_path / "went").exists()
    with holder(str(gate), *work) as process:
        assert process.stdin
        process.stdin.write(b"yes")
        process.stdin.close()
        until(lambda: (tmp_path / "went").exists() and (tmp_path / "went").read_text(), "the release")
        time.sleep(0.3)
        assert process.poll() is None
        process.terminate()
    assert (tmp_path / "went").read_text() == "go\n"
