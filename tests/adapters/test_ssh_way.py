"""The way to a node through real servers: jump hosts of their own, commands, and how many connections they bear."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.ssh import handshake
from ctmupgrade.adapters.ssh.carriers import DroppedError, Gate
from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.core import manual_commands
from ctmupgrade.core.jumps import JumpSettings
from ctmupgrade.errors import AuthenticationError, HostKeyError, UnreachableError
from tests.adapters.conftest import Sshd, StartSshd, agent, free_port, keygen, public
from tests.adapters.test_ssh_connect import answers, blob

pytestmark = pytest.mark.usefixtures("home")
ME = getpass.getuser()


@pytest.fixture
def config(home: Path) -> Path:
    file = home / ".ssh" / "config"
    file.touch(0o600)
    return file


@pytest.fixture
def bastion(start_sshd: StartSshd, keys: Path, tmp_path: Path) -> Sshd:
    """A jump host that knows another key than the nodes."""
    server = start_sshd("LogLevel VERBOSE")
    key = keygen(tmp_path / "bastion_key")
    (server.folder / "authorized_keys").write_text(f"{public(key)}\n")
    return server


def key_of(bastion: Sshd) -> Path:
    return bastion.folder.parent / "bastion_key"


def known_at_home(home: Path, *servers: Sshd) -> None:
    with (home / ".ssh" / "known_hosts").open("a") as file:
        for server in servers:
            assert server.settings.known_hosts
            file.write(server.settings.known_hosts.read_text())


def block(bastion: Sshd) -> str:
    return f"Host bastion\n  HostName 127.0.0.1\n  Port {bastion.port}\n  User {ME}\n"


# -- jump hosts with settings of their own ---------------------------------------------------------


def test_a_jump_host_with_its_own_key_and_known_hosts(
    start_sshd: StartSshd, bastion: Sshd, config: Path, home: Path
) -> None:
    target = start_sshd()
    known_at_home(home, bastion)
    config.write_text(f"{block(bastion)}  IdentityFile {key_of(bastion)}\n")
    assert (
        answers(target, proxy_jump="bastion") == "hello\n"
    )  # with identity_file and known_hosts of the node
    assert f"{fingerprint(blob(target.settings.identity_file))}" not in (bastion.folder / "log").read_text()  # type: ignore[arg-type]


def test_a_jump_host_with_its_key_in_the_agent(
    start_sshd: StartSshd, bastion: Sshd, config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = start_sshd()
    known_at_home(home, bastion)
    config.write_text(block(bastion))
    with agent(key_of(bastion)) as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(target, proxy_jump="bastion") == "hello\n"


def test_a_jump_host_of_cluster_yaml(start_sshd: StartSshd, bastion: Sshd) -> None:
    target = start_sshd()
    own = JumpSettings(ME, bastion.port, key_of(bastion), None, bastion.settings.known_hosts)
    assert answers(target, proxy_jump="127.0.0.1", jump=own) == "hello\n"
    with pytest.raises(AuthenticationError, match="jump host") as caught:
        answers(
            target, proxy_jump="127.0.0.1", jump=replace(own, identity_file=target.settings.identity_file)
        )
    assert "ssh.jump.identity_file" in caught.value.remedy


@pytest.mark.parametrize("spec", ["127.0.0.1", f"{ME}@127.0.0.1", "ssh://127.0.0.1/"])
def test_the_printed_command_goes_the_same_way(start_sshd: StartSshd, bastion: Sshd, spec: str) -> None:
    target = start_sshd()
    own = JumpSettings(ME, bastion.port, key_of(bastion), None, bastion.settings.known_hosts)
    node = target.node(proxy_jump=spec, jump=own, config=Path(os.devnull))
    line = manual_commands.shell(node, "echo", "hello")
    done = subprocess.run(
        line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout == "hello\n", done.stderr
    assert bastion.logins() == 1


@pytest.mark.parametrize("known", [False, True])
def test_the_printed_command_goes_through_several(
    start_sshd: StartSshd, bastion: Sshd, tmp_path: Path, known: bool
) -> None:
    """With keys of the jump hosts' own, or a configuration with a blank in its name, which ``-J`` loses."""
    target, inner = start_sshd(), start_sshd()
    folder = tmp_path / "a folder"
    folder.mkdir()
    hosts = folder / "known"
    hosts.write_text("".join(s.settings.known_hosts.read_text() for s in (bastion, inner)))  # type: ignore[union-attr]
    specs = f"{ME}@127.0.0.1:{bastion.port}, {ME}@127.0.0.1:{inner.port}"
    (inner.folder / "authorized_keys").write_text(f"{public(key_of(bastion))}\n")
    (folder / "config").write_text(
        "" if known else f'UserKnownHostsFile "{hosts}"\nIdentityFile {key_of(bastion)}\n'
    )
    own = JumpSettings(None, None, key_of(bastion), None, hosts) if known else JumpSettings()
    node = target.node(proxy_jump=specs, jump=own, config=folder / "config")
    line = manual_commands.shell(node, "echo", "hello")
    done = subprocess.run(
        line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout == "hello\n", done.stderr
    assert (bastion.logins(), inner.logins()) == (1, 1)
    assert answers(target, proxy_jump=specs, jump=own, config=folder / "config") == "hello\n"


def test_the_jump_host_of_a_jump_host(start_sshd: StartSshd, bastion: Sshd, config: Path, home: Path) -> None:
    target, inner = start_sshd(), start_sshd()
    known_at_home(home, bastion, inner)
    config.write_text(
        f"{block(bastion)}  IdentityFile {key_of(bastion)}\n"
        f"Host inner\n  HostName 127.0.0.1\n  Port {inner.port}\n  User {ME}\n  ProxyJump bastion\n"
    )
    assert answers(target, proxy_jump="inner") == "hello\n"
    assert bastion.logins() == 1
    assert inner.logins() == 1


def test_an_unknown_jump_host_is_never_pinned_for_the_node(
    start_sshd: StartSshd, bastion: Sshd, home: Path
) -> None:
    target = start_sshd()
    with pytest.raises(HostKeyError, match="jump host") as caught:
        answers(target, proxy_jump=f"{ME}@127.0.0.1:{bastion.port}")
    assert "host_key" not in caught.value.remedy
    assert "appliance" not in caught.value.remedy
    assert str(home / ".ssh" / "known_hosts") in caught.value.remedy


def test_lists_of_revoked_keys(sshd: Sshd, config: Path, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    config.write_text(f"RevokedHostKeys {revoked}\nKnownHostsCommand /bin/true\n")
    with pytest.raises(HostKeyError, match="RevokedHostKeys"):
        answers(sshd)  # as for OpenSSH: a list that is not there lets nobody be trusted
    revoked.write_text("# none\n")
    assert answers(sshd) == "hello\n"
    revoked.write_text(f"{public(sshd.host_keys['host_ed25519'])}\n")
    with pytest.raises(HostKeyError, match="revoked"):
        answers(sshd)
    revoked.write_bytes(b"SSHKRL\n\0\0\0\0\1")
    with pytest.raises(HostKeyError, match="KRL"):
        answers(sshd)
    revoked.write_text("")
    with pytest.raises(HostKeyError, match="unknown") as caught:
        answers(sshd, known_hosts=tmp_path / "nothing")
    assert "KnownHostsCommand" in caught.value.details.replace("knownhostscommand", "KnownHostsCommand")


# -- second factors --------------------------------------------------------------------------------


def test_a_jump_host_that_asks_more_than_a_key(start_sshd: StartSshd, home: Path) -> None:
    target = start_sshd()
    asks = start_sshd("PasswordAuthentication yes", "AuthenticationMethods publickey,password")
    known_at_home(home, asks)
    with pytest.raises(AuthenticationError, match="requires password") as caught:
        answers(target, proxy_jump=f"{ME}@127.0.0.1:{asks.port}")
    assert "authorized_keys" not in caught.value.remedy
    assert "ProxyCommand ssh -S" in caught.value.remedy


def test_a_node_that_asks_more_than_a_key(start_sshd: StartSshd) -> None:
    for methods in ("publickey,password", "password"):
        asks = start_sshd("PasswordAuthentication yes", f"AuthenticationMethods {methods}")
        with pytest.raises(AuthenticationError, match="requires password") as caught:
            answers(asks)
        assert "AuthenticationMethods publickey" in caught.value.remedy


def test_the_way_through_a_connection_that_the_operator_has_opened(
    start_sshd: StartSshd, bastion: Sshd, config: Path, tmp_path: Path
) -> None:
    target = start_sshd()
    path = tmp_path / "m"
    known = f"UserKnownHostsFile={bastion.settings.known_hosts}"
    at = ["-p", str(bastion.port), f"{ME}@127.0.0.1"]
    argv = ["ssh", "-F", "none", "-NM", "-S", str(path), "-i", str(key_of(bastion)), "-o", known, *at]
    master = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        config.write_text(f"Host 127.0.0.1\n  ProxyCommand ssh -F none -S {path} -W %h:%p {' '.join(at)}\n")
        assert answers(target) == "hello\n"
    finally:
        master.kill()
        master.wait()


# -- ProxyCommand ----------------------------------------------------------------------------------


@pytest.fixture
def relay(bastion: Sshd) -> str:
    """A ProxyCommand that leads through the jump host."""
    options = f"-F none -i {key_of(bastion)} -o UserKnownHostsFile={bastion.settings.known_hosts}"
    return f"ssh {options} -p {bastion.port} {ME}@127.0.0.1 -W %h:%p"


def test_a_proxy_command_carries_looks_uploads_and_terminals(
    start_sshd: StartSshd, bastion: Sshd, config: Path, tmp_path: Path, relay: str
) -> None:
    target = start_sshd()
    config.write_text(f"Host 127.0.0.*\n  ProxyCommand {relay}\n")
    said: list[str] = []
    shell = SshShell(target.node(), log=said.append)
    assert shell.read("echo", "hello").out == "hello\n"
    assert bastion.logins() == 1
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    assert list(shell.upload(source, str(tmp_path / "target")))[-1].way == "the ssh program", said
    terminal = shell.terminal("true")
    assert any("held by process" in line for line in said), said
    deadline = time.monotonic() + 20
    while not terminal.look().ended and time.monotonic() < deadline:
        time.sleep(0.02)
    terminal.close()
    shell.disconnect()
    mine = [child for child in psutil.Process().children(recursive=True) if _is_relay(child, bastion.port)]
    psutil.wait_procs(mine, timeout=10)
    assert not [child for child in mine if child.is_running()]  # the command ends with its connection


def _is_relay(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return "-W" in process.cmdline() and str(port) in process.cmdline()
    return False


def test_a_proxy_command_of_a_jump_host(
    start_sshd: StartSshd, bastion: Sshd, config: Path, home: Path, relay: str
) -> None:
    target, inner = start_sshd(), start_sshd()
    known_at_home(home, inner)
    config.write_text(
        f"Host inner\n  HostName 127.0.0.1\n  Port {inner.port}\n  User {ME}\n  ProxyCommand {relay}\n"
    )
    assert answers(target, proxy_jump="inner") == "hello\n"
    assert bastion.logins() == 1
    assert inner.logins() == 1


def test_why_a_proxy_command_fails_is_said(sshd: Sshd, config: Path) -> None:
    config.write_text("ProxyCommand sh -c 'echo the tunnel is closed >&2; exit 3'\n")
    with pytest.raises(UnreachableError, match="the tunnel is closed"):
        answers(sshd)
    config.write_text("ProxyCommand /no/such/program %h\n")
    with pytest.raises(UnreachableError, match="/no/such/program"):
        answers(sshd)


def test_a_proxy_command_that_hangs(sshd: Sshd, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "BANNER_TIMEOUT", 1)
    monkeypatch.setattr(handshake, "KEX_TIMEOUT", 2)
    config.write_text("ProxyCommand sleep 61\n")
    with pytest.raises(UnreachableError, match="no answer in time"):
        answers(sshd)
    left = [child for child in psutil.Process().children(recursive=True) if _sleeps(child)]
    psutil.wait_procs(left, timeout=10)
    assert not [child for child in left if child.is_running()]


def _sleeps(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.cmdline()[-1:] == ["61"]
    return False


# -- how many connections a jump host bears --------------------------------------------------------


@contextmanager
def narrow(port: int, most: int) -> Iterator[int]:
    """A way to ``port`` that takes ``most`` connections at a time and drops the others."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        room = threading.Semaphore(most)

        def pump(one: socket.socket, other: socket.socket) -> None:
            with suppress(OSError):
                while data := one.recv(65536):
                    other.sendall(data)
            for end in (one, other):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        def carry(client: socket.socket) -> None:
            with client, socket.create_connection(("127.0.0.1", port)) as target:
                back = threading.Thread(target=pump, args=(target, client), daemon=True)
                back.start()
                pump(client, target)
                back.join()
            room.release()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    if room.acquire(blocking=False):
                        threading.Thread(target=carry, args=(client,), daemon=True).start()
                    else:
                        client.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_jump_host_that_takes_one_connection_carries_every_node(
    start_sshd: StartSshd, tmp_path: Path
) -> None:
    targets, jump = [start_sshd(), start_sshd()], start_sshd()
    said: list[str] = []
    with narrow(jump.port, 1) as port:
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{port} {public(jump.host_keys['host_ed25519'])}\n")
        own = JumpSettings(ME, port, jump.settings.identity_file, None, known)
        shells = [
            SshShell(target.node(proxy_jump="127.0.0.1", jump=own), log=said.append) for target in targets
        ]
        for shell in shells:
            assert shell.read("echo", "hello").out == "hello\n"
        source = tmp_path / "source"
        source.write_bytes(b"x" * 100_000)
        sent = list(shells[0].upload(source, str(tmp_path / "target")))
        assert sent[-1].done == 100_000
        shells[0].disconnect()
        assert shells[1].read("echo", "still").out == "still\n"  # its connection outlives the first's
        shells[1].disconnect()
    assert any("using the existing connection" in line for line in said)
    assert jump.logins() == 1


def test_a_jump_host_that_takes_one_login_at_a_time(start_sshd: StartSshd, home: Path) -> None:
    target, jump = start_sshd("MaxStartups 100"), start_sshd("MaxStartups 1:100:1")
    known_at_home(home, jump)
    spec = f"{ME}@127.0.0.1:{jump.port}"

    def look(_number: int) -> str:
        return answers(target, proxy_jump=spec)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, range(8))) == ["hello\n"] * 8


def test_a_jump_host_that_is_down_is_not_knocked_at_again(start_sshd: StartSshd) -> None:
    target = start_sshd()
    with pytest.raises(UnreachableError, match="TCP"):
        answers(target, proxy_jump=f"{ME}@127.0.0.1:{free_port()}")


def test_a_node_that_takes_one_connection(start_sshd: StartSshd, tmp_path: Path) -> None:
    target = start_sshd()
    said: list[str] = []
    with narrow(target.port, 1) as port:
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{port} {public(target.host_keys['host_ed25519'])}\n")
        shell = SshShell(target.node(port=port, known_hosts=known), log=said.append)
        assert shell.read("echo", "hello").out == "hello\n"
        source = tmp_path / "source"
        source.write_bytes(b"x" * 100_000)
        assert list(shell.upload(source, str(tmp_path / "target")))[-1].done == 100_000
        assert shell.read("echo", "hello").out == "hello\n"
        terminal = shell.terminal("echo", "there")
        deadline = time.monotonic() + 20
        while not terminal.look().ended and time.monotonic() < deadline:
            time.sleep(0.02)
        terminal.close()
        shell.disconnect()
    assert any("closing the connection for probes" in line for line in said)


class _Thing:
    alive = True
    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_jump_host_that_takes_one_login_at_a_time_and_long_for_it() -> None:
    """A login of some seconds (a directory is asked, or the machine is busy): who is dropped waits for who is let in."""
    gate: Gate[_Thing] = Gate()
    slot = threading.Lock()

    def login() -> _Thing:
        if not slot.acquire(blocking=False):
            raise DroppedError("dropped before the login")
        try:
            time.sleep(5.5)
            return _Thing()
        finally:
            slot.release()

    def look(_number: int) -> None:
        gate.board(login, lambda line: None).leave()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))


def test_a_jump_host_that_counts_a_login_for_a_while_after_it() -> None:
    """sshd counts a login until it has ended the process that made it, which is after the client was told "success"."""
    gate: Gate[_Thing] = Gate()
    slot = threading.Lock()
    everyone = threading.Barrier(12)

    def login() -> _Thing:
        if not slot.acquire(blocking=False):
            raise DroppedError("dropped before the login")
        timer = threading.Timer(0.1, slot.release)
        timer.daemon = True
        timer.start()
        return _Thing()

    def look(_number: int) -> None:
        everyone.wait()
        gate.board(login, lambda line: None).leave()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(look, range(12)))


def test_a_jump_host_that_lets_nobody_in_is_given_up_soon() -> None:
    gate: Gate[_Thing] = Gate()
    tries: list[int] = []

    def look(number: int) -> None:
        def login() -> _Thing:
            tries.append(number)
            raise DroppedError("dropped before the login")

        with pytest.raises(DroppedError):
            gate.board(login, lambda line: None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    assert max(tries.count(number) for number in range(4)) <= 5


def test_the_last_one_ends_what_is_shared() -> None:
    gate: Gate[_Thing] = Gate()
    thing = _Thing()

    def refused() -> _Thing:
        raise UnreachableError("no more")

    first = gate.board(lambda: thing, lambda line: None)
    second = gate.board(refused, lambda line: None)
    assert second.link is thing
    first.leave()
    assert not thing.closed
    second.leave()
    assert thing.closed
    with pytest.raises(UnreachableError):
        gate.board(refused, lambda line: None)
