"""Host keys, keys, jump hosts, and connections that fail half-way, each with its own error."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import signal
import socket
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ctmupgrade.adapters.ssh import connect, dialler, handshake
from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.prompt_socket import PromptSocket
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.adapters.ssh.trust import known_keys
from ctmupgrade.errors import AuthenticationError, HostKeyError, UnreachableError, UsageError
from tests.adapters.conftest import Sshd, StartSshd, agent, free_port, public

pytestmark = pytest.mark.usefixtures("home")


def blob(path: Path) -> bytes:
    return base64.b64decode(public(path).split()[1])


def answers(server: Sshd, **changes: object) -> str:
    shell = SshShell(server.node(**changes))
    try:
        return shell.read("echo", "hello").out
    finally:
        shell.disconnect()


# -- host keys -------------------------------------------------------------------------------------


def test_unknown_host_is_refused_with_what_was_seen(sshd: Sshd, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(HostKeyError, match="is unknown") as caught:
        answers(sshd, known_hosts=empty)
    seen = fingerprint(blob(sshd.host_keys["host_ed25519"]))
    for text in (caught.value.brief, caught.value.remedy):
        assert seen in text
    assert f"[127.0.0.1]:{sshd.port}" in caught.value.details
    assert "console" in caught.value.remedy
    line = f"[127.0.0.1]:{sshd.port} {' '.join(public(sshd.host_keys['host_ed25519']).split()[:2])}"
    assert line in caught.value.remedy
    empty.write_text(line)
    assert answers(sshd, known_hosts=empty) == "hello\n"


def test_changed_key_is_refused(sshd: Sshd, keys: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {public(keys / 'other_ed25519')}\n")
    with pytest.raises(HostKeyError, match="CHANGED") as caught:
        answers(sshd, known_hosts=known)
    assert fingerprint(blob(keys / "other_ed25519")) in caught.value.details
    assert f"{known}:1" in caught.value.details


def test_only_another_type_known_is_said(sshd: Sshd, keys: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {public(keys / 'host_rsa')}\n")
    with pytest.raises(HostKeyError, match="another key type"):
        answers(sshd, known_hosts=known)


def test_known_type_is_negotiated(start_sshd: StartSshd, keys: Path, tmp_path: Path) -> None:
    server = start_sshd(hosts=("host_ed25519", "host_rsa"))
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {public(keys / 'host_rsa')}\n")
    assert answers(server, known_hosts=known) == "hello\n"


@pytest.mark.parametrize("name", ["host_ed25519", "host_rsa"])
def test_pinned_key_of_any_type_wins_over_known_hosts(start_sshd: StartSshd, keys: Path, name: str) -> None:
    server = start_sshd(hosts=("host_ed25519", "host_rsa"))
    nothing = Path(os.devnull)
    assert answers(server, known_hosts=nothing, host_key=fingerprint(blob(keys / name))) == "hello\n"


def test_pinned_key_that_differs_is_refused_even_if_known(start_sshd: StartSshd, keys: Path) -> None:
    server = start_sshd(hosts=("host_ed25519", "host_rsa"))
    pinned = fingerprint(blob(keys / "other_ed25519"))
    with pytest.raises(HostKeyError, match="not the pinned one") as caught:
        answers(server, host_key=pinned)
    assert pinned in caught.value.details
    for name in ("host_ed25519", "host_rsa"):  # every type was looked at
        assert fingerprint(blob(keys / name)) in caught.value.details


def test_revoked_key_is_refused_even_if_pinned(sshd: Sshd, tmp_path: Path) -> None:
    key = sshd.host_keys["host_ed25519"]
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {public(key)}\n@revoked * {public(key)}\n")
    for pinned in (None, fingerprint(blob(key))):
        with pytest.raises(HostKeyError, match="revoked"):
            answers(sshd, known_hosts=known, host_key=pinned)


def test_known_hosts_forms(keys: Path, tmp_path: Path) -> None:
    key = public(keys / "user")
    salt = b"12345678901234567890"
    digest = hmac.new(salt, b"[10.0.0.1]:2222", hashlib.sha1).digest()
    hashed = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    forms = {
        hashed: True,
        "[10.0.0.1]:2222": True,
        "10.0.0.1": True,  # OpenSSH falls back to the name without its port
        "[10.0.0.*]:2222": True,
        "a,[10.0.0.1]:2222,b": True,
        "!10.0.0.1,10.0.0.*": False,
        "[10.0.0.1]:22": False,
        "10.0.0.11": False,
        "|1|broken": False,
    }
    for form, expected in forms.items():
        file = tmp_path / "known"
        file.write_text(f"# comment\n\n{form} {key}\n@cert-authority 10.0.0.1 {key}\nshort\n")
        assert bool(known_keys([file, tmp_path / "absent"], "10.0.0.1", 2222)) is expected, form


# -- keys ------------------------------------------------------------------------------------------


def test_rejected_key(sshd: Sshd, keys: Path) -> None:
    with pytest.raises(AuthenticationError, match="refuses the SSH key") as caught:
        answers(sshd, identity_file=keys / "stranger")
    assert fingerprint(blob(keys / "stranger")) in caught.value.details
    assert public(keys / "stranger").split()[1] in caught.value.remedy


def test_missing_key_file(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match="No such file"):
        answers(sshd, identity_file=tmp_path / "absent")


@pytest.mark.parametrize("content", ["", "garbage", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END"])
def test_key_file_that_is_none(sshd: Sshd, tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(AuthenticationError, match="not a private key"):
        answers(sshd, identity_file=tmp_path / "key")


def test_passphrase_from_the_environment(sshd: Sshd, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = {"identity_file": keys / "locked", "passphrase_env": "KEY_PW"}
    with pytest.raises(AuthenticationError, match="needs a passphrase"):
        answers(sshd, **locked)
    monkeypatch.setenv("KEY_PW", "wrong horse 0815")
    with pytest.raises(AuthenticationError, match="does not open") as caught:
        answers(sshd, **locked)
    assert "0815" not in str(vars(caught.value))
    monkeypatch.setenv("KEY_PW", "open sesame 4711")
    assert answers(sshd, **locked) == "hello\n"


def test_agent_holds_the_key(sshd: Sshd, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with agent(keys / "stranger", keys / "locked", passphrase="open sesame 4711") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(sshd, identity_file=None) == "hello\n"
        assert answers(sshd, identity_file=keys / "locked") == "hello\n"


def test_accepted_key_goes_first_the_next_time(
    start_sshd: StartSshd, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd = start_sshd("LogLevel VERBOSE")
    lines: list[str] = []
    with agent(keys / "stranger", keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        shell = SshShell(sshd.node(identity_file=None), log=lines.append)
        for _ in range(3):
            shell.read("true")
            shell.disconnect()
    log = (sshd.folder / "log").read_text()
    assert log.count("Accepted publickey") == 3
    assert (
        log.count(fingerprint(blob(keys / "stranger"))) == 1
    )  # refused the first time, not offered after it
    assert any("agent key" in line for line in lines)


def test_no_key_at_all(sshd: Sshd) -> None:
    with pytest.raises(AuthenticationError, match="no SSH key to offer"):
        answers(sshd, identity_file=None)


def test_default_key_and_config_key(sshd: Sshd, keys: Path, home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host 127.0.0.1\n  IdentityFile {keys / 'user'}\n  User nobody\n  Port 1\n"
    )
    assert answers(sshd, identity_file=None) == "hello\n"
    (home / ".ssh" / "config").unlink()
    (home / ".ssh" / "id_ed25519").touch(0o600)
    (home / ".ssh" / "id_ed25519").write_bytes((keys / "user").read_bytes())
    assert answers(sshd, identity_file=None) == "hello\n"


def test_config_names_host_and_known_hosts(sshd: Sshd, home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host appliance\n  HostName 127.0.0.1\n  UserKnownHostsFile {sshd.settings.known_hosts}\n"
    )
    node = sshd.node(known_hosts=None)
    shell = SshShell(type(node)(node.name, "appliance", node.url, node.cluster_host, node.ssh, node.ksctl))
    assert shell.read("echo", "hi").out == "hi\n"
    shell.disconnect()


def test_config_that_is_not_understood(sshd: Sshd, home: Path) -> None:
    (home / ".ssh" / "config").write_text("nonsense\n")
    with pytest.raises(UsageError, match="config"):
        answers(sshd)


# -- jump hosts ------------------------------------------------------------------------------------


def _both_known(*servers: Sshd, folder: Path) -> Path:
    file = folder / "both"
    file.write_text(
        "".join(server.settings.known_hosts.read_text() for server in servers if server.settings.known_hosts)
    )
    return file


def test_jump_hosts(start_sshd: StartSshd, tmp_path: Path) -> None:
    target, first, second = start_sshd(), start_sshd(), start_sshd()
    known = _both_known(target, first, second, folder=tmp_path)
    user = target.settings.user
    one = f"{user}@127.0.0.1:{first.port}"
    assert answers(target, known_hosts=known, proxy_jump=one) == "hello\n"
    assert "Accepted publickey" in (first.folder / "log").read_text()
    assert "Accepted publickey" not in (second.folder / "log").read_text()
    two = f"{one},{user}@127.0.0.1:{second.port}"
    assert answers(target, known_hosts=known, proxy_jump=two) == "hello\n"
    assert "Accepted publickey" in (second.folder / "log").read_text()


def test_jump_host_is_trusted_as_little(start_sshd: StartSshd) -> None:
    target, jump = start_sshd(), start_sshd()
    spec = f"{target.settings.user}@127.0.0.1:{jump.port}"
    with pytest.raises(
        HostKeyError, match=rf"jump host 127.0.0.1\): the host key of 127.0.0.1:{jump.port} is unknown"
    ):
        answers(target, proxy_jump=spec)
    # a pinned key is the node's, not the jump host's
    with pytest.raises(HostKeyError, match="jump host"):
        answers(target, proxy_jump=spec, host_key=fingerprint(blob(target.host_keys["host_ed25519"])))


def test_jump_host_that_cannot_reach_the_node(start_sshd: StartSshd) -> None:
    jump = start_sshd()
    with pytest.raises(UnreachableError, match="forwarding by the jump host") as error:
        answers(jump, port=free_port(), proxy_jump=f"{jump.settings.user}@127.0.0.1:{jump.port}")
    assert "Exception" not in error.value.brief and "on the jump host: nc -vz 127.0.0.1" in error.value.remedy


@pytest.mark.parametrize("line", ["AllowTcpForwarding no", "PermitOpen 127.0.0.1:9"])
def test_a_jump_host_that_forbids_forwarding_is_named(start_sshd: StartSshd, line: str) -> None:
    target, jump = start_sshd(), start_sshd(line)
    known = target.settings.known_hosts
    assert known
    known.write_text(known.read_text() + (jump.settings.known_hosts or known).read_text())
    with pytest.raises(UnreachableError, match=r"forwarding by the jump host .*: it forbids that") as error:
        answers(target, known_hosts=known, proxy_jump=f"{jump.settings.user}@127.0.0.1:{jump.port}")
    assert "AllowTcpForwarding, PermitOpen" in error.value.remedy


def test_jump_host_of_the_config(start_sshd: StartSshd, tmp_path: Path, home: Path) -> None:
    target, jump = start_sshd(), start_sshd()
    known = _both_known(target, jump, folder=tmp_path)
    (home / ".ssh" / "config").write_text(
        f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {target.settings.user}\n"
        "Host 127.0.0.1\n  ProxyJump bastion\n"
    )
    assert answers(target, known_hosts=known) == "hello\n"


def test_jump_that_is_not_understood(sshd: Sshd) -> None:
    with pytest.raises(UsageError, match="proxy_jump"):
        answers(sshd, proxy_jump="a@b@c:x")


# -- servers that break ----------------------------------------------------------------------------


@contextmanager
def tcp_server(*talk: bytes, hold: bool = False) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    sock, _ = server.accept()
                    for piece in talk:
                        sock.sendall(piece)
                    held.append(sock) if hold else sock.close()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for sock in held:
            sock.close()


@pytest.mark.parametrize(
    "talk", [(), (b"Exceeded MaxStartups\r\n",), (b"HTTP/1.1 400\r\n\r\n",), (b"SSH-2.0-x\r\n",)]
)
def test_closed_before_the_host_key(sshd: Sshd, talk: tuple[bytes, ...]) -> None:
    with tcp_server(*talk) as port, pytest.raises(UnreachableError, match="banner or key exchange"):
        answers(sshd, port=port)


@pytest.mark.parametrize("talk", [(), (b"SSH-2.0-x\r\n",)])
def test_silence_before_the_host_key(
    sshd: Sshd, talk: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "BANNER_TIMEOUT", 1)
    monkeypatch.setattr(handshake, "KEX_TIMEOUT", 2)
    with tcp_server(*talk, hold=True) as port, pytest.raises(UnreachableError, match="no answer in time"):
        answers(sshd, port=port)


def test_a_node_that_did_not_answer_is_dialled_anew_soon(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel repeats a SYN ever more seldom: one attempt of ten seconds would notice late that it is back."""
    monkeypatch.setattr(dialler, "CONNECT_TIMEOUT", 3.0)
    monkeypatch.setattr(dialler, "AGAIN_TIMEOUT", 0.5)
    monkeypatch.setattr(dialler, "LONG_EVERY", 3)
    with socket.socket() as full, ExitStack() as queue:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # nobody accepts: from here on the kernel drops what comes, as a dead host does
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        shell, said = SshShell(sshd.node(port=full.getsockname()[1])), []
        for _ in range(5):
            with pytest.raises(UnreachableError) as caught:
                shell.read("true")
            said.append(caught.value.brief.split("TCP: ")[1])
    assert said == [f"no answer within {s} s" for s in ("3", "0.5", "0.5", "3", "0.5")]


def test_no_such_host(sshd: Sshd) -> None:
    node = sshd.node()
    shell = SshShell(
        type(node)(node.name, "no-such-host.invalid", node.url, node.cluster_host, node.ssh, node.ksctl)
    )
    with pytest.raises(UnreachableError, match="name resolution"):
        shell.read("true")


def test_hang_up_in_authentication_is_a_node_that_boots(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    real = connect._authenticate

    def cut_first(*args: object) -> object:
        sshd.cut()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(connect, "_authenticate", cut_first)
    with pytest.raises(UnreachableError) as caught:
        answers(sshd)
    assert not isinstance(caught.value, AuthenticationError)
    assert "nologin" in caught.value.remedy


def test_stall_in_authentication(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "AUTH_TIMEOUT", 1)
    real = connect._authenticate

    def stop_first(*args: object) -> object:
        sshd.cut(signal.SIGSTOP)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(connect, "_authenticate", stop_first)
    with pytest.raises(UnreachableError) as caught:
        answers(sshd)
    assert not isinstance(caught.value, AuthenticationError)


def test_failed_connects_leave_nothing_behind(sshd: Sshd, keys: Path) -> None:
    def left() -> int:
        return sum(
            "Thread" in type(thread).__name__ or "Transport" in type(thread).__name__
            for thread in threading.enumerate()
        )

    before = left()
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            answers(sshd, identity_file=keys / "stranger")
    for thread in threading.enumerate():
        if "Transport" in type(thread).__name__:
            thread.join(5)
    assert left() <= before


# -- the first session's 40 ms ---------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="a kernel that cannot be told to acknowledge")
def test_what_is_read_is_acknowledged_at_once() -> None:
    # A server that has something unacknowledged holds its next few bytes back (Nagle's algorithm).
    with socket.create_server(("127.0.0.1", 0)) as listening, PromptSocket() as ours:
        ours.connect(listening.getsockname())
        theirs, _ = listening.accept()
        with theirs:
            for _ in range(20):  # a conversation: the kernel would wait, so that the next question carries it
                ours.sendall(b"question")
                theirs.recv(100)
                theirs.sendall(b"answer")
                assert ours.recv(100) == b"answer"
                waiting = fcntl.ioctl(theirs, termios.TIOCOUTQ, bytes(4))
                assert int.from_bytes(waiting, sys.byteorder) == 0
