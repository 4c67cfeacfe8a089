"""Commands and terminals over a real sshd, and what is said when the connection breaks."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctmupgrade.adapters.local.held_terminal import HeldTerminal
from ctmupgrade.adapters.ssh.channel import start
from ctmupgrade.adapters.ssh.connect import connect
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import ConnectionLostError, NodeError, TooMuchError, UnreachableError
from ctmupgrade.ports import MOST_ANSWER, Shell, Terminal
from tests.adapters.conftest import Sshd, StartSshd, free_port

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def shell(sshd: Sshd) -> Iterator[SshShell]:
    it = SshShell(sshd.node())
    yield it
    it.disconnect()


def screen(
    terminal: Terminal, enough: Callable[[str], bool] = lambda text: False
) -> tuple[str, int | None, bool]:
    text, deadline = "", time.monotonic() + 10
    while time.monotonic() < deadline:
        look = terminal.look()
        text += look.text
        if look.ended or enough(text):
            return text, look.code, look.ended
        time.sleep(0.02)
    raise AssertionError(f"the terminal did not get there: {text!r}")


def after(seconds: float, do: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def test_it_is_a_shell(shell: SshShell) -> None:
    it: Shell = shell
    assert it.read("true").ok


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_exit_status_is_reported(shell: SshShell, code: int) -> None:
    assert shell.read("sh", "-c", f"exit {code}").code == code


def test_missing_program_is_missing(shell: SshShell) -> None:
    reply = shell.read("no-such-program")
    assert reply.code == 127
    assert reply.missing


def test_arguments_arrive_as_they_are(shell: SshShell) -> None:
    argv = ("a b", "'", '"', "$HOME", "*", "", "ä;rm -rf x", "line\nline")
    assert shell.read("printf", "%s|", *argv).out == "".join(f"{word}|" for word in argv)


def test_output_is_not_stripped_and_never_undecodable(shell: SshShell) -> None:
    reply = shell.read("printf", r"  a\377b \n\n")
    assert reply.out == "  a\ufffdb \n\n"


def test_stdin_is_closed(shell: SshShell) -> None:
    assert shell.read("cat", timeout=5).out == ""


def test_stdin_is_given(shell: SshShell) -> None:
    data = b"x" * 3_000_000
    assert shell.change("wc", "-c", stdin=data).out.strip() == str(len(data))


def test_stdin_that_nobody_reads_does_no_harm(shell: SshShell) -> None:
    assert shell.change("true", stdin=b"x" * 5_000_000).code == 0


def test_both_streams_larger_than_the_window(shell: SshShell) -> None:
    size = 5 << 20
    command = f"head -c {size} /dev/zero >&2 & head -c {size} /dev/zero; wait"
    assert sum(map(len, shell.stream("sh", "-c", command))) == size
    size = MOST_ANSWER
    command = f"head -c {size} /dev/zero | tr '\\0' x >&2 & head -c {size} /dev/zero | tr '\\0' x; wait"
    reply = shell.read("sh", "-c", command)
    assert (len(reply.out), len(reply.err)) == (size, size)


@pytest.mark.parametrize("where", ["", " >&2"])
def test_an_answer_without_an_end_is_stopped(shell: SshShell, where: str) -> None:
    with pytest.raises(TooMuchError, match="longer than"):
        shell.read("sh", "-c", f"exec cat /dev/zero{where}")
    with pytest.raises(ConnectionLostError, match="longer than"):
        shell.change("sh", "-c", f"exec cat /dev/zero{where}")
    assert shell.read("echo", "still there").out == "still there\n"


DRIPS = "import time\nfor n in range(240): print(flush=True); time.sleep(0.05)"  # for 12 s at least


def test_an_answer_that_drips_has_an_end(shell: SshShell) -> None:
    with pytest.raises(TooMuchError, match="did not end within 4 s"):
        shell.read(sys.executable, "-c", DRIPS, timeout=2.0)


def test_stream_yields_pieces_and_says_no_at_the_end(shell: SshShell) -> None:
    assert sum(len(piece) for piece in shell.stream("head", "-c", "3000000", "/dev/zero")) == 3_000_000
    seen = []
    with pytest.raises(NodeError, match="ended with 3") as caught:
        for piece in shell.stream("sh", "-c", "echo out; echo reason >&2; exit 3"):
            seen.append(piece)
    assert b"".join(seen) == b"out\n"
    assert "reason" in caught.value.details


def test_stream_can_be_left_early(shell: SshShell) -> None:
    pieces = shell.stream("cat", "/dev/zero")
    assert isinstance(pieces, Iterator)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert shell.read("echo", "fine").out == "fine\n"


def test_connection_is_reused_and_reopened(shell: SshShell, sshd: Sshd) -> None:
    shell.read("true")
    before = {process.pid for process in sshd.sessions()}
    shell.read("true")
    assert {process.pid for process in sshd.sessions()} >= before
    assert sshd.logins() == 1
    shell.disconnect()
    assert shell.read("echo", "again").out == "again\n"
    assert sshd.logins() == 2


def test_killed_connection_is_lost_not_an_answer(shell: SshShell, sshd: Sshd) -> None:
    after(0.7, sshd.cut)
    with pytest.raises(ConnectionLostError, match="ctm-1") as caught:
        shell.read("sh", "-c", "echo half; sleep 20")
    assert "check the node" in caught.value.remedy
    assert shell.read("echo", "back").out == "back\n"


def test_killed_idle_connection_is_replaced_without_a_word(shell: SshShell, sshd: Sshd) -> None:
    shell.read("true")
    sshd.cut()
    assert shell.read("echo", "back").out == "back\n"


def test_killed_command_has_no_status(shell: SshShell) -> None:
    with pytest.raises(ConnectionLostError, match="without a status"):
        # The login shell, too: some (dash) stay, and say 137 of what was killed.
        shell.read("exec", "sh", "-c", "kill -9 $$")


def test_silence_is_lost(shell: SshShell, tmp_path: Path) -> None:
    over = tmp_path / "over"
    with pytest.raises(ConnectionLostError, match="silence for 1 s"):
        shell.read("sh", "-c", 'sleep 20; : >"$1"', "sh", str(over), timeout=1)
    assert not over.exists(), "it waited for the command's own end"
    assert shell.read("echo", "back").out == "back\n"


def test_a_command_that_talks_on_is_not_silent(shell: SshShell) -> None:
    script = "for i in 1 2 3 4 5; do echo $i >&2; sleep 1; done; echo done"
    assert shell.read("sh", "-c", script, timeout=4).out == "done\n"


def test_stopped_server_is_lost(shell: SshShell, sshd: Sshd) -> None:
    after(0.5, lambda: sshd.cut(signal.SIGSTOP))
    with pytest.raises(ConnectionLostError):
        shell.read("sh", "-c", "while :; do echo x; sleep 0.1; done", timeout=2)


def test_one_silent_command_does_not_cut_off_another(shell: SshShell) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(shell.read, "sh", "-c", "sleep 2; echo whole", timeout=10)
        time.sleep(0.5)
        with pytest.raises(ConnectionLostError):
            shell.read("sleep", "20", timeout=0.5)
        assert slow.result().out == "whole\n"


def test_many_at_once(shell: SshShell) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: shell.read("sh", "-c", f"sleep 0.2; echo {n}"), range(24)))
    assert [reply.out for reply in replies] == [f"{n}\n" for n in range(24)]


def test_session_limit_opens_another_connection(start_sshd: StartSshd) -> None:
    shell = SshShell(start_sshd("MaxSessions 2").node())
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda n: shell.read("sh", "-c", f"sleep 0.5; echo {n}"), range(5)))
    assert [reply.out for reply in replies] == [f"{n}\n" for n in range(5)]
    shell.disconnect()


def test_no_sessions_at_all_is_the_nodes_no(start_sshd: StartSshd) -> None:
    with pytest.raises(NodeError, match="refuses a session"):
        SshShell(start_sshd("MaxSessions 0").node()).read("true")


def test_refused_connection_says_place_and_remedy(sshd: Sshd) -> None:
    port = free_port()
    with pytest.raises(
        UnreachableError, match=rf"ctm-1: no SSH connection to 127.0.0.1:{port}: TCP: Connection"
    ) as it:
        SshShell(sshd.node(port=port)).read("true")
    assert str(port) in it.value.remedy


# -- terminals -------------------------------------------------------------------------------------


def test_terminal_is_one(shell: SshShell) -> None:
    terminal = shell.terminal("sh", "-c", "tty; stty size; echo $TERM; echo err >&2; exit 4")
    text, code, ended = screen(terminal)
    assert "/dev/pts/" in text
    assert "50 200" in text
    assert "xterm" in text
    assert "err" in text
    assert (code, ended) == (4, True)
    assert terminal.look().ended


def test_terminal_is_looked_at_while_it_goes_on(shell: SshShell) -> None:
    terminal = shell.terminal("sh", "-c", "echo first; sleep 30")
    screen(terminal, lambda text: "first" in text)
    look = terminal.look()
    assert (look.text, look.ended) == ("", False)
    shell.disconnect()  # looks' connection is another one
    assert not terminal.look().ended
    terminal.close()


def test_terminal_keeps_only_the_end(shell: SshShell) -> None:
    terminal = shell.terminal("sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' x; echo; echo the end")
    deadline = time.monotonic() + 20
    assert isinstance(terminal, HeldTerminal)
    while not terminal.screen.done and time.monotonic() < deadline:
        time.sleep(0.05)
    look = terminal.look()
    assert look.ended
    assert "the end" in look.text
    assert "dropped" in look.text
    assert len(look.text) < 300_000


def test_lost_terminal_ends_without_a_code(shell: SshShell, sshd: Sshd) -> None:
    terminal = shell.terminal("sh", "-c", "echo first; sleep 30")
    screen(terminal, lambda text: "first" in text)
    sshd.cut()
    _, code, ended = screen(terminal)
    assert (code, ended) == (None, True)
    terminal.close()


def test_closed_terminal_can_be_looked_at(shell: SshShell) -> None:
    terminal = shell.terminal("sleep", "30")
    terminal.close()
    assert screen(terminal)[2]


def test_refused_terminal_is_the_nodes_no(start_sshd: StartSshd) -> None:
    shell = SshShell(start_sshd("PermitTTY no").node())
    with pytest.raises(NodeError, match="pseudo-terminal"):
        shell.terminal("true")


def test_connection_that_dies_at_the_request_is_lost_not_a_no(start_sshd: StartSshd) -> None:
    """A dying connection closes its channels first, and says that it is dead after that."""
    sshd, usual = start_sshd("MaxSessions 1000"), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that the moment between is met
    try:
        for _ in range(3):
            link = connect(sshd.node())
            channel = link.transport.open_session(timeout=5)
            others = [
                link.transport.open_session(timeout=5) for _ in range(300)
            ]  # closing them takes a while
            sshd.cut(signal.SIGSTOP)  # the request is sent, and never answered
            after(0.05, sshd.cut)
            with pytest.raises(ConnectionLostError):
                start(channel, "node", "true")
            assert others
            link.close()
    finally:
        sys.setswitchinterval(usual)
