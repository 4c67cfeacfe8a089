"""``host: local``: the appliance's own shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.local.shell import LocalShell, disk_free, processes
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from ctmupgrade.errors import ConnectionLostError, NodeError, SilentError, TooMuchError, UsageError
from ctmupgrade.ports import MOST_ANSWER, Shell, Terminal
from tests.adapters.conftest import left_running

pytestmark = pytest.mark.usefixtures("home")

NODE = Node("ctm-1", "local", "https://localhost", "127.0.0.1", SshSettings(), KsctlSettings())


@pytest.fixture
def shell() -> LocalShell:
    return LocalShell(NODE)


def screen(terminal: Terminal, wanted: str = "") -> tuple[str, int | None, bool]:
    text, deadline = "", time.monotonic() + 10
    while time.monotonic() < deadline:
        look = terminal.look()
        text += look.text
        if look.ended or (wanted and wanted in text):
            return text, look.code, look.ended
        time.sleep(0.02)
    raise AssertionError(text)


def test_it_is_a_shell(shell: LocalShell) -> None:
    it: Shell = shell
    assert it.read("true").ok


def test_status_streams_and_folder(shell: LocalShell, home: Path) -> None:
    reply = shell.read("sh", "-c", "pwd; echo $LC_ALL; echo err >&2; exit 5")
    assert (reply.code, reply.out, reply.err) == (5, f"{home}\nC\n", "err\n")


def test_missing_and_forbidden_programs(shell: LocalShell, home: Path) -> None:
    (home / "plain").write_text("")
    assert shell.read("no-such-program").code == 127
    assert shell.read(str(home / "plain")).code == 126


def test_both_streams_and_stdin(shell: LocalShell) -> None:
    size = MOST_ANSWER
    reply = shell.read(
        "sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x >&2 & head -c {size} /dev/zero | tr '\\0' x; wait"
    )
    assert (len(reply.out), len(reply.err)) == (size, size)
    size = 5 << 20
    assert shell.change("wc", "-c", stdin=b"x" * size).out.strip() == str(size)
    assert shell.read("cat").out == ""
    assert shell.change("true", stdin=b"x" * size).ok


@pytest.mark.parametrize("where", ["", " >&2"])
def test_an_answer_without_an_end_is_stopped(shell: LocalShell, where: str) -> None:
    with pytest.raises(TooMuchError, match="longer than"):
        shell.read("sh", "-c", f"exec cat /dev/zero{where}")
    with pytest.raises(ConnectionLostError, match="longer than"):
        shell.change("sh", "-c", f"exec cat /dev/zero{where}")


DRIPS = "import time\nfor n in range(240): print(flush=True); time.sleep(0.05)"  # for 12 s at least


def test_an_answer_that_drips_has_an_end(shell: LocalShell) -> None:
    with pytest.raises(TooMuchError, match="did not end within 4 s"):
        shell.read(sys.executable, "-c", DRIPS, timeout=2.0)


def test_silence_is_lost_and_ended(shell: LocalShell) -> None:
    with pytest.raises(SilentError, match="silence"):
        shell.read("sh", "-c", "sleep 3131 & sleep 3131", timeout=0.5)
    time.sleep(0.2)
    assert not [argv for argv in processes() if argv[-2:] == ("sleep", "3131")]


def test_a_child_that_is_left_behind_holds_nobody_up(shell: LocalShell) -> None:
    begun = time.monotonic()
    said = shell.read("sh", "-c", "sleep 60 & echo done", timeout=50.0)
    assert (said.code, said.out) == (0, "done\n")
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("session", ["", "setsid "])
def test_a_child_that_prints_without_an_end_is_ended(shell: LocalShell, session: str) -> None:
    with pytest.raises(TooMuchError, match="longer than"):
        shell.read("sh", "-c", f"{session}yes 4712 & exit 0", timeout=50.0)
    assert not left_running("yes", "4712")


def test_killed_is_lost(shell: LocalShell) -> None:
    with pytest.raises(ConnectionLostError, match="signal 9"):
        shell.read("sh", "-c", "kill -9 $$")


def test_stream(shell: LocalShell) -> None:
    assert sum(map(len, shell.stream("head", "-c", "3000000", "/dev/zero"))) == 3_000_000
    with pytest.raises(NodeError, match="ended with 3") as caught:
        list(shell.stream("sh", "-c", "echo why >&2; exit 3"))
    assert caught.value.details == "why"
    with pytest.raises(NodeError, match="cannot be started"):
        list(shell.stream("no-such-program"))


def test_ctrl_c_does_not_reach_a_change(tmp_path: Path) -> None:
    work = f"echo $$ > {tmp_path}/pid; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo whole > {tmp_path}/done"
    script = (
        f"import signal, sys; sys.path.insert(0, {str(Path.cwd())!r})\n"
        # Whoever runs the tests in the background of a script has them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tests.adapters.test_local import NODE\n"
        "from ctmupgrade.adapters.local.shell import LocalShell\n"
        f"LocalShell(NODE).change('sh', '-c', {work!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    _appears(tmp_path / "pid")
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    assert process.wait(timeout=30) != 0
    (tmp_path / "go").touch()
    _appears(tmp_path / "done")
    assert (tmp_path / "done").read_text() == "whole\n"


def _appears(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert file.exists(), f"{file.name} never came"


def test_terminal_is_the_controlling_one(shell: LocalShell) -> None:
    code = "stty size; echo $TERM; echo to-tty > /dev/tty; exit 3"
    text, status, ended = screen(shell.terminal("sh", "-c", code))
    assert "50 200" in text
    assert "xterm" in text
    assert "to-tty" in text
    assert (status, ended) == (3, True)


def test_terminal_of_a_missing_program_ends(shell: LocalShell) -> None:
    text, status, _ = screen(shell.terminal("no-such-program"))
    assert status == 127
    assert "No such file" in text


def test_closed_terminal_does_not_stop_the_work(shell: LocalShell, tmp_path: Path) -> None:
    done = tmp_path / "done"
    terminal = shell.terminal(
        "sh", "-c", f"echo begin; sleep 0.5; head -c 300000 /dev/zero; echo whole > {done}"
    )
    screen(terminal, "begin")
    terminal.close()
    deadline = time.monotonic() + 5
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert done.exists()


def test_upload_copies_goes_on_and_knows_itself(shell: LocalShell, home: Path) -> None:
    source = home / "source"
    source.write_bytes(os.urandom(3_500_000))
    assert [sent.done for sent in shell.upload(source, "copy")][-1] == 3_500_000
    (home / "copy").write_bytes(source.read_bytes()[:1234] + b"x" * 5_000_000)
    assert next(iter(shell.upload(source, "copy", offset=1234))).done == 1234
    list(shell.upload(source, "copy", offset=1234))
    assert (home / "copy").read_bytes() == source.read_bytes()
    (home / "link").symlink_to(source)
    assert [sent.done for sent in shell.upload(source, "link")] == [3_500_000]
    assert source.stat().st_size == 3_500_000


def test_upload_says_no(shell: LocalShell, home: Path) -> None:
    source = home / "source"
    source.write_bytes(b"x")
    with pytest.raises(NodeError, match="No such file"):
        list(shell.upload(source, "absent/copy"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(shell.upload(home / "absent", "copy"))
    with pytest.raises(NodeError, match="shorter"):
        list(shell.upload(source, "copy", offset=1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system needs root and mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_upload_to_a_full_disk(shell: LocalShell, home: Path, small_disk: Path) -> None:
    source = home / "source"
    source.write_bytes(bytes(3_000_000))
    with pytest.raises(NodeError, match="No space left") as caught:
        list(shell.upload(source, str(small_disk / "copy")))
    assert caught.value.details == "0 bytes are free there"


def test_disk_free_of_what_is_not_there_yet(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "a" / "b") > 0
    assert disk_free(tmp_path) == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.1)


def test_processes_shows_command_lines() -> None:
    process = subprocess.Popen(["sleep", "4141"])
    try:
        assert ("sleep", "4141") in processes()
    finally:
        process.kill()
        process.wait()


def test_commands_do_not_pile_up_threads(shell: LocalShell) -> None:
    before = threading.active_count()
    for _ in range(20):
        shell.read("echo", "x")
    time.sleep(0.3)
    assert threading.active_count() <= before + 2


def test_what_needs_no_program_is_known_without_one(
    shell: LocalShell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disk, processes, boot and clock, in the form that the programs' parsers read, with no program in PATH."""
    monkeypatch.setenv("PATH", str(home))
    mounts = ask(shell, shell_probes.MOUNTS)
    assert isinstance(mounts, tuple) and mounts[0].mount == "/"
    assert all(mount.total > mount.free > 0 for mount in mounts)
    assert isinstance(ask(shell, shell_probes.PROCESSES), tuple)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert ask(shell, shell_probes.BOOT) == BootMark(boot_id=boot)
    since = ask(shell, shell_probes.BOOT_TIME)
    assert isinstance(since, BootMark) and 0 < since.since < time.time()
    clock = ask(shell, shell_probes.CLOCK)
    assert isinstance(clock, tuple) and abs(clock[0] - time.time()) < 60


def test_an_upgrade_is_seen_in_the_process_list(shell: LocalShell, home: Path) -> None:
    script = home / "ks_upgrade.sh"
    script.write_text("#!/bin/sh\nread wait\n")
    script.chmod(0o755)
    with subprocess.Popen([str(script), "-f", "a.gpg"], stdin=subprocess.PIPE) as running:
        end, found = time.monotonic() + 10, ask(shell, shell_probes.PROCESSES)
        while found == () and time.monotonic() < end:  # one that is being loaded has no words yet
            found = ask(shell, shell_probes.PROCESSES)
        assert isinstance(found, tuple) and any("ks_upgrade.sh -f a.gpg" in line for line in found)
        running.communicate(b"\n")
