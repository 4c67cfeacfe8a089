"""What a server may make us do before we know who it is: sizes, algorithms, and which lines are known hosts."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest

from ctmupgrade.adapters.ssh.patterns import matches
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.adapters.ssh.transport import LARGEST_PACKET
from ctmupgrade.adapters.ssh.trust import known_keys, revoked_keys
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostKeyError,
    IncompatibleError,
    UnreachableError,
)
from tests.adapters.conftest import Sshd, StartSshd, public
from tests.adapters.test_ssh_connect import answers

pytestmark = pytest.mark.usefixtures("home")


# -- sizes -----------------------------------------------------------------------------------------


@contextmanager
def endless(*talk: bytes) -> Iterator[int]:
    """A server that says ``talk``, and then zeros for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    for piece in talk:
                        client.sendall(piece)
                    while True:
                        client.sendall(bytes(65536))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        ((b"SSH-2.0-x\r\n", (0x3FFFFFFC).to_bytes(4, "big")), "packet"),
        ((b"SSH-2.0-x\r\n", (LARGEST_PACKET + 2048 + 4).to_bytes(4, "big")), "packet"),
        ((b"SSH-2.0-x\r\n", b"\xff\xff\xff\xfc"), "packet"),
        ((), "greeting does not end"),
        ((b"hello\r\n" * 20, b"x"), "greeting does not end"),
    ],
)
def test_nobody_makes_us_keep_more_than_a_packet(sshd: Sshd, talk: tuple[bytes, ...], says: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with endless(*talk) as port, pytest.raises(UnreachableError, match=says):
        answers(sshd, port=port)
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB


def test_what_a_server_says_before_it_hangs_up_is_said(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                client.sendall(b"Not allowed at this time\r\n")
                client.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(UnreachableError, match="Not allowed at this time"):
            answers(sshd, port=server.getsockname()[1])


# -- algorithms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "what", "example"),
    [
        (("Ciphers chacha20-poly1305@openssh.com",), "cipher", "Ciphers +aes128-ctr"),
        (("Ciphers aes128-cbc",), "cipher", "Ciphers +aes128-ctr"),
        (
            ("Ciphers aes128-ctr", "MACs umac-64@openssh.com,umac-128-etm@openssh.com"),
            "MAC",
            "MACs +hmac-sha2-256",
        ),
        (("Ciphers aes128-ctr", "MACs hmac-md5"), "MAC", "MACs +hmac-sha2-256"),
        (("Ciphers aes128-ctr", "MACs hmac-sha1-96,hmac-md5-96"), "MAC", "MACs +hmac-sha2-256"),
        (("KexAlgorithms diffie-hellman-group14-sha1",), "key exchange", "KexAlgorithms +ecdh-sha2-nistp256"),
    ],
)
def test_a_server_without_an_algorithm_of_ours_is_named_and_is_no_node_that_is_away(
    start_sshd: StartSshd, lines: tuple[str, ...], what: str, example: str
) -> None:
    server = start_sshd(*lines)
    shell = SshShell(server.node())
    with pytest.raises(IncompatibleError, match=f"no {what} algorithm in common") as caught:
        shell.read("true")
    assert lines[-1].split()[1].split(",", maxsplit=1)[0] in caught.value.brief  # what it has
    assert "kex-strict" not in caught.value.brief  # no algorithm
    # What a server does not know keeps its sshd from starting: all since OpenSSH 7.2 know these.
    assert f"{example}. Try the file" in caught.value.remedy
    fact = ask(shell, shell_probes.BOOT)
    assert isinstance(fact, Unknown)


def test_a_server_with_sha1_host_key_signatures_only(start_sshd: StartSshd) -> None:
    server = start_sshd("HostKeyAlgorithms ssh-rsa", hosts=("host_rsa",))
    with pytest.raises(IncompatibleError, match="host key"):
        answers(server)


# -- known_hosts as OpenSSH reads it ---------------------------------------------------------------

HOST = "10.0.0.1"


def found_by_openssh(file: Path) -> bool:
    argv = ["ssh-keygen", "-F", HOST, "-f", str(file)]
    done = subprocess.run(argv, capture_output=True, check=False)
    return done.returncode == 0 and HOST.encode() in done.stdout


@pytest.mark.parametrize(
    "form",
    [
        b"other KEY comment\x0b10.0.0.1 KEY",
        b"other KEY comment\x0c10.0.0.1 KEY",
        b"other KEY comment\x1c10.0.0.1 KEY",
        b"other KEY comment\xc2\x8510.0.0.1 KEY",
        b"other KEY comment\xe2\x80\xa810.0.0.1 KEY",
        b"other KEY comment\xe2\x80\xa910.0.0.1 KEY",
        b"other KEY comment\r10.0.0.1 KEY",
        b"# comment\x0b10.0.0.1 KEY",
        b"other\x0b10.0.0.1 KEY",
        b"10.0.0.1\xc2\xa0KEY",
        b"10.0.0.1\x0bKEY",
        b"\x0b10.0.0.1 KEY",
        b"\xef\xbb\xbf10.0.0.1 KEY",
        b"10.0.0.1 KEY",
        b"10.0.0.1\tKEY",
        b" \t10.0.0.1 \t KEY comment",
        b"10.0.0.1 KEY\r",
        b"other,10.0.0.1 KEY",
        b"10.0.0.* KEY",
        b"10.0.0.*,!10.0.0.1 KEY",
        b"10.0.0.1, KEY",
    ],
)
def test_lines_and_fields_are_openssh_s(tmp_path: Path, keys: Path, form: bytes) -> None:
    key = b" ".join(public(keys / "user").encode().split()[:2])
    file = tmp_path / "known"
    file.write_bytes(form.replace(b"KEY", key) + b"\n")
    assert bool(known_keys([file], HOST, 22)) is found_by_openssh(file)


@pytest.mark.parametrize(
    "form", [b"10.0.0.1 KIND \0BLOB", b"x\0 10.0.0.1 KEY", b"10.0.0.1 ssh-rsa BLOB", b"10.0.0.1 KIND B!OB"]
)
def test_keys_that_openssh_does_not_read(tmp_path: Path, keys: Path, form: bytes) -> None:
    kind, data = public(keys / "user").encode().split()[:2]
    text = form.replace(b"KEY", kind + b" " + data).replace(b"KIND", kind)
    text = text.replace(b"BLOB", data).replace(b"B!OB", data[:20] + b"!" + data[20:])
    file = tmp_path / "known"
    file.write_bytes(text + b"\n")
    assert not known_keys([file], HOST, 22)


def test_a_list_that_is_a_pipe_or_too_long(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert known_keys([tmp_path / "pipe", tmp_path / "none", Path(os.devnull)], HOST, 22) == ()
    with pytest.raises(HostKeyError, match="it is no regular file"):
        revoked_keys(tmp_path / "pipe")
    with (tmp_path / "long").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(HostKeyError, match="is longer than"):
        known_keys([tmp_path / "long"], HOST, 22)
    with pytest.raises(HostKeyError, match="is longer than"):
        revoked_keys(tmp_path / "long")


def test_patterns_take_linear_time() -> None:
    assert matches("a*b?d", "axxbcd")
    assert not matches("a*b", "axxbc")
    assert matches("*", "")
    began = time.monotonic()
    assert not matches("*a" * 200 + "b", "a" * 5000)
    assert time.monotonic() - began < 5


# -- what a library raises -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [BrokenPipeError, ValueError, RecursionError, MemoryError, KeyError, UnicodeError]
)
def test_no_error_of_a_library_is_a_bug_of_ours(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fails(*_given: object, **_named: object) -> object:
        raise kind("odd")

    source = tmp_path / "source"
    source.write_bytes(b"x")
    for name in ("auth_publickey", "start_client", "open_session"):
        with monkeypatch.context() as patch:
            patch.setattr(paramiko.Transport, name, fails)
            shell = SshShell(sshd.node())
            with pytest.raises((UnreachableError, ConnectionLostError)):
                shell.read("true")
            with pytest.raises((UnreachableError, ConnectionLostError)):
                shell.terminal("true")
            with pytest.raises((UnreachableError, ConnectionLostError)):
                list(shell.upload(source, str(tmp_path / "target")))
            with pytest.raises((UnreachableError, ConnectionLostError)):
                list(shell.stream("true"))


def test_a_name_that_is_not_utf_8_is_sent_as_it_is(start_sshd: StartSshd, home: Path) -> None:
    target, jump = start_sshd(), start_sshd("LogLevel VERBOSE")
    config = home / ".ssh" / "config"
    config.touch(0o600)
    text = (
        b"Host bastion\n  HostName 127.0.0.1\n  Port %d\n  User f\xfcr\n  IdentityFile /no/s\xfcch\n"
        % jump.port
    )
    config.write_bytes(text)
    assert jump.settings.known_hosts
    (home / ".ssh" / "known_hosts").write_bytes(jump.settings.known_hosts.read_bytes())
    with pytest.raises(AuthenticationError):
        answers(target, proxy_jump="bastion")
    assert "f\\374r" in (jump.folder / "log").read_text()
