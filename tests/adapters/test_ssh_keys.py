"""Which keys are offered, from files of every form and from agents of every mood, to real servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctmupgrade.adapters.ssh import agent as agent_client
from ctmupgrade.adapters.ssh.fingerprint import fingerprint
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.errors import AuthenticationError
from tests.adapters.conftest import Sshd, StartSshd, agent, keygen, public
from tests.adapters.test_ssh_connect import answers, blob
from tests.support.other_user import as_user

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def config(home: Path) -> Path:
    file = home / ".ssh" / "config"
    file.touch(0o600)
    return file


def copied(key: Path, folder: Path, *, private: bool = True) -> Path:
    """The key pair under a folder of its own."""
    folder.mkdir(exist_ok=True)
    if private:
        shutil.copy2(key, folder / key.name)
    shutil.copy2(f"{key}.pub", folder / f"{key.name}.pub")
    return folder / key.name


def logged(server: Sshd) -> str:
    return (server.folder / "log").read_text()


# -- forms of files --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("locked", [False, True])
def test_a_pkcs8_key(
    start_sshd: StartSshd, tmp_path: Path, kind: str, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = keygen(tmp_path / "k", kind, bits="2048" if kind == "rsa" else "")
    loaded = serialization.load_ssh_private_key(key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"open") if locked else serialization.NoEncryption()
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))
    server = start_sshd()
    with (server.folder / "authorized_keys").open("a") as file:
        file.write(f"{public(key)}\n")
    if locked:
        with pytest.raises(AuthenticationError, match="needs a passphrase"):
            answers(server, identity_file=key, passphrase_env="KEY_PW")
        monkeypatch.setenv("KEY_PW", "open")
    assert answers(server, identity_file=key, passphrase_env="KEY_PW") == "hello\n"


@pytest.mark.parametrize(
    ("content", "says", "type_this"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", ".ppk", "puttygen"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "SSH2", "ssh-keygen -i"),
        (
            "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n",
            "DSA",
            "ssh-keygen -t ed25519",
        ),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PKCS#8", "ssh-keygen -p -m PEM"),
        ("-----BEGIN RSA PRIVATE KEY-----\n\u0663\n-----END RSA PRIVATE KEY-----\n", "not a private key", ""),
    ],
)
def test_a_form_that_is_not_read_says_what_to_type(
    sshd: Sshd, tmp_path: Path, content: str, says: str, type_this: str
) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(content)
    with pytest.raises(AuthenticationError) as caught:
        answers(sshd, identity_file=key)
    assert says in caught.value.brief
    assert type_this in caught.value.remedy


def test_a_fifo_is_no_key(sshd: Sshd, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(AuthenticationError, match="not a file"):
        answers(sshd, identity_file=tmp_path / "fifo")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(sshd: Sshd, keys: Path, tmp_path: Path, mode: int) -> None:
    key = copied(keys / "user", tmp_path / "open")
    key.chmod(mode)
    with pytest.raises(AuthenticationError, match=f"mode {mode:04o}") as caught:
        answers(sshd, identity_file=key)
    assert caught.value.remedy == f"chmod 600 {key}"


def test_a_default_key_that_others_can_read_is_left_out_by_name(sshd: Sshd, keys: Path, home: Path) -> None:
    shutil.copy(keys / "user", home / ".ssh" / "id_ed25519")
    (home / ".ssh" / "id_ed25519").chmod(0o644)
    with pytest.raises(AuthenticationError, match="no SSH key") as caught:
        answers(sshd, identity_file=None)
    assert "id_ed25519 is left out: mode 0644" in caught.value.details


# -- public halves and certificates ----------------------------------------------------------------


def test_a_public_half_names_a_key_of_the_agent(
    start_sshd: StartSshd, keys: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_sshd("MaxAuthTries 2")
    others = [keygen(tmp_path / f"k{i}") for i in range(7)]
    half = Path(f"{copied(keys / 'user', tmp_path / 'half', private=False)}.pub")
    with pytest.raises(AuthenticationError, match="public key") as caught:
        answers(server, identity_file=half)
    assert "there is no ssh-agent" in caught.value.details
    with agent(*others, keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(server, identity_file=half) == "hello\n"
        assert answers(server, identity_file=half.with_suffix("")) == "hello\n"
        config.write_text(f"IdentityFile {half}\nIdentitiesOnly yes\n")
        assert answers(server, identity_file=None) == "hello\n"
        config.write_text(f"IdentityFile {half}\n")
        assert answers(server, identity_file=None) == "hello\n"  # what is named goes first


@pytest.mark.parametrize("before", ["# my key\n", "\n", "  \t", "\r\n# a\n\n"])
def test_a_public_half_stands_where_ssh_finds_it(
    sshd: Sshd, keys: Path, before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "half.pub"
    half.write_text(before + Path(f"{keys / 'user'}.pub").read_text())
    with agent(keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(sshd, identity_file=half) == "hello\n"


@pytest.fixture
def signed(start_sshd: StartSshd, keys: Path, tmp_path: Path) -> tuple[Sshd, Path, Path]:
    """A server that takes certificates only, a key, and the authority."""
    authority = keygen(tmp_path / "ca")
    server = start_sshd(f"TrustedUserCAKeys {authority}.pub")
    (server.folder / "authorized_keys").write_text("")
    return server, copied(keys / "user", tmp_path / "own"), authority


def certify(key: Path, authority: Path, user: str, *more: str) -> Path:
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", user, *more, f"{key}.pub"]
    subprocess.run(argv, check=True)
    return Path(f"{key}-cert.pub")


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_beside_the_key(
    signed: tuple[Sshd, Path, Path], kind: str, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, authority = signed
    key = keygen(tmp_path / kind, kind, bits="2048" if kind == "rsa" else "")
    with pytest.raises(AuthenticationError, match="refuses"):
        answers(server, identity_file=key)
    made = certify(key, authority, server.settings.user)
    assert answers(server, identity_file=key) == "hello\n"
    config.write_text(f"IdentityFile {key}\n")
    assert answers(server, identity_file=None) == "hello\n"
    with agent(key) as sock:  # ssh-add takes the certificate beside it too
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        config.write_text("")
        assert answers(server, identity_file=None) == "hello\n"
        assert answers(server, identity_file=made) == "hello\n"
    elsewhere = made.rename(tmp_path / "elsewhere.pub")
    config.write_text(f"IdentityFile {key}\nCertificateFile {elsewhere}\n")
    assert answers(server, identity_file=None) == "hello\n"


def test_a_certificate_for_a_key_that_only_the_agent_has(
    signed: tuple[Sshd, Path, Path], tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, key, authority = signed
    with agent(key) as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        certify(key, authority, server.settings.user)
        key.unlink()
        assert answers(server, identity_file=Path(f"{key}.pub")) == "hello\n"
        config.write_text(f"CertificateFile {key}-cert.pub\n")
        assert answers(server, identity_file=None) == "hello\n"


@pytest.mark.parametrize(
    ("more", "says"), [(("-V", "20200101:20200102"), "ended on 2020-01-0"), ((), "is for somebody, not for")]
)
def test_what_is_wrong_with_a_refused_certificate_is_said(
    signed: tuple[Sshd, Path, Path], more: tuple[str, ...], says: str
) -> None:
    server, key, authority = signed
    certify(key, authority, server.settings.user if more else "somebody", *more)
    with pytest.raises(AuthenticationError) as caught:
        answers(server, identity_file=key)
    assert says in caught.value.details
    assert "with user-cert.pub" in caught.value.details


@pytest.mark.parametrize("what", ["damaged", "another key's", "a host's"])
def test_a_certificate_that_is_left_out_is_named(
    signed: tuple[Sshd, Path, Path], what: str, tmp_path: Path
) -> None:
    server, key, authority = signed
    made = certify(key, authority, server.settings.user, *(["-h"] if what == "a host's" else []))
    if what == "damaged":
        made.write_text(made.read_text().replace("AAAA", "AAAB", 1))
    if what == "another key's":
        made.write_text(certify(keygen(tmp_path / "x"), authority, server.settings.user).read_text())
    with pytest.raises(AuthenticationError) as caught:
        answers(server, identity_file=key)
    says = "is for another key" if what == "another key's" else "is no user certificate that can be read"
    assert f"{made} is left out: it {says}" in caught.value.details


# -- agents ----------------------------------------------------------------------------------------


def test_a_comment_that_is_not_utf_8(
    sshd: Sshd, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsencode(tmp_path / "odd")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", b"schl\xfcssel", "-f", odd], check=True
    )
    with agent(tmp_path / "odd", keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(sshd) == "hello\n"
        assert answers(sshd, identity_file=None) == "hello\n"
        with (sshd.folder / "authorized_keys").open("a") as file:
            file.write(f"{b' '.join((tmp_path / 'odd.pub').read_bytes().split()[:2]).decode()}\n")
        assert answers(sshd, identity_file=tmp_path / "odd.pub") == "hello\n"


@pytest.mark.parametrize("only", [False, True])
def test_a_dozen_keys_with_the_right_one_last(
    start_sshd: StartSshd,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    only: bool,
) -> None:
    server = start_sshd()
    others = [keygen(tmp_path / f"k{i}") for i in range(11)]
    with agent(*others, keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        if only:
            config.write_text(f"IdentityFile {keys / 'user'}.pub\nIdentitiesOnly yes\n")
            assert answers(server, identity_file=None) == "hello\n"
            return
        with pytest.raises(AuthenticationError, match="refuses") as caught:
            answers(server, identity_file=None)
    details = caught.value.details
    assert details.count("not offered") == 7
    right = next(line for line in details.splitlines() if fingerprint(blob(keys / "user")) in line)
    assert right.startswith("not offered")
    assert "authorized_keys" not in caught.value.remedy  # nobody is told to authorise a key that is not his
    assert "ssh-add -L" in caught.value.remedy


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_server_that_takes_fewer_tries(
    start_sshd: StartSshd, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    server = start_sshd(f"MaxAuthTries {tries}")
    others = [keygen(tmp_path / f"k{i}") for i in range(4)]
    with agent(*others, keys / "user") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        with pytest.raises(AuthenticationError, match="refuses the SSH key") as caught:
            answers(server, identity_file=None)
    assert "Too many authentication failures" in caught.value.brief
    assert f"{'not offered'}" in caught.value.details


@contextmanager
def broken_agent(folder: Path, *answers: bytes, hold: bool = True) -> Iterator[str]:
    """A socket that answers each question with the next of ``answers``, and then with nothing."""
    path = folder / "broken"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        held: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    client, _ = server.accept()
                    for one in answers:
                        client.recv(65536)
                        client.sendall(one)
                    held.append(client) if hold else client.close()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield str(path)
        server.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()
        path.unlink()


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("talk", "hold", "says"),
    [
        ((), True, "no answer within"),
        ((), False, "closed the connection"),
        ((b"\xff\xff\xff\xff",), True, "too long"),
        ((_framed(b"\x05"),), True, "does not list"),
        ((_framed(b"\x0c\x00\x00\x00\x09\x00\x00"),), True, "cut off"),
        ((_framed(b"\x0c" + b"\xff" * 4 + b"\xff" * 100),), True, "cut off"),
    ],
)
def test_an_agent_that_is_broken(
    sshd: Sshd,
    keys: Path,
    home: Path,
    talk: tuple[bytes, ...],
    hold: bool,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_client, "LIMIT", 0.3)
    monkeypatch.chdir(home)
    with broken_agent(Path(), *talk, hold=hold) as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        assert answers(sshd) == "hello\n"  # a key that is named: nobody asks the agent
        began = time.monotonic()
        with pytest.raises(AuthenticationError, match="no SSH key") as caught:
            answers(sshd, identity_file=None)
        assert says in caught.value.details
        assert time.monotonic() - began < 15
        shutil.copy2(keys / "user", home / ".ssh" / "id_ed25519")
        assert answers(sshd, identity_file=None) == "hello\n"


def test_an_agent_that_does_not_sign(
    sshd: Sshd, keys: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = blob(keys / "user")
    listed = b"\x0c\x00\x00\x00\x01" + _framed(key) + _framed(b"mine")
    monkeypatch.setattr(agent_client, "SIGN_LIMIT", 0.3)
    monkeypatch.chdir(home)
    for answer in (_framed(b"\x05"), b""):
        with broken_agent(Path(), _framed(listed), answer) as sock:
            monkeypatch.setenv("SSH_AUTH_SOCK", sock)
            with pytest.raises(AuthenticationError) as caught:
                answers(sshd, identity_file=None)
            assert "the ssh-agent at" in caught.value.details


def test_the_agent_of_the_configuration(
    sshd: Sshd, keys: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(keys / "user") as good, agent(keys / "stranger") as other:
        monkeypatch.setenv("SSH_AUTH_SOCK", other)
        config.write_text(f"Host *\n  IdentityAgent {good}\n")
        assert answers(sshd, identity_file=None) == "hello\n"
        monkeypatch.setenv("MY_AGENT", good)
        config.write_text("Host *\n  IdentityAgent $MY_AGENT\n")
        assert answers(sshd, identity_file=None) == "hello\n"
        config.write_text("Host *\n  IdentityAgent none\n")
        with pytest.raises(AuthenticationError, match="no SSH key"):
            answers(sshd, identity_file=None)


# -- what only we can read serves the ssh program too ----------------------------------------------


def test_a_key_whose_passphrase_only_we_know_holds_a_terminal_that_outlives_us(
    sshd: Sshd, keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEY_PW", "open sesame 4711")
    said: list[str] = []
    shell = SshShell(sshd.node(identity_file=keys / "locked", passphrase_env="KEY_PW"), log=said.append)
    terminal = shell.terminal("echo", "there")
    assert terminal.ends_with_us == ""
    text = ""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        screen = terminal.look()
        text += screen.text
        if screen.ended:
            assert screen.code == 0
            break
        time.sleep(0.02)
    assert "there" in text
    assert any("held by process" in line for line in said), said
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    sent = list(shell.upload(source, str(tmp_path / "target")))
    assert sent[-1].way == "the ssh program", said
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    shell.disconnect()


def test_a_terminal_that_ends_with_us_says_why(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell = SshShell(sshd.node(config=Path(os.devnull)))
    monkeypatch.setenv("PATH", str(tmp_path))
    terminal = shell.terminal("true")
    assert terminal.ends_with_us == "no ssh program here"
    terminal.close()
    shell.disconnect()


# -- users without a name --------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name(tmp_path: Path) -> None:
    shown = "print([hop.user for hop in route(node)], state_dir(CommandRequest(Path('x'))).name)"
    script = f"""
from pathlib import Path
from ctmupgrade.adapters.ssh.way import route
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.wiring import state_dir
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
node = Node("n", "h", "https://h", "h", SshSettings("me", proxy_jump="bastion"), KsctlSettings())
{shown}
"""
    argv = [*as_user(12345), sys.executable, "-c", script]
    root = Path(__file__).parents[2]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    done = subprocess.run(argv, env=environ, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "['12345', 'me'] ctmupgrade-12345", done.stderr
