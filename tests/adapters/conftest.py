"""A real sshd on 127.0.0.1 for each need, with its own host keys and authorized_keys; no privileges needed."""

from __future__ import annotations

import getpass
import grp
import inspect
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from tests.support.gpg_ring import Ring, made_ring

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "", bits: str = "") -> Path:
    size = ["-b", bits] if bits else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-f", str(path)], check=True)
    return path


def public(path: Path) -> str:
    return Path(f"{path}.pub").read_text().strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A running server. ``settings`` reach it with a good key and a good known_hosts."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    settings: SshSettings
    host_keys: dict[str, Path] = field(default_factory=dict)

    def node(self, **changes: object) -> Node:
        ssh = replace(self.settings, **changes)  # type: ignore[arg-type]
        return Node("ctm-1", "127.0.0.1", "https://127.0.0.1", "127.0.0.1", ssh, KsctlSettings())

    def logins(self) -> int:
        """How many connections were let in so far, from its log."""
        return (self.folder / "log").read_text().count("Accepted publickey")

    def sessions(self) -> list[psutil.Process]:
        """The processes of this server's connections, not their commands."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = []
        for child in children:
            try:
                if "sshd" in child.name():
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def cut(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Kills (or stops) every connection; how many processes were met."""
        sessions = self.sessions()
        for session in sessions:
            try:
                session.send_signal(number)
            except psutil.Error:
                continue
        return len(sessions)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and no agent, so that the developer's own keys never decide a test."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys that take time to make: two host keys of each type, and users' keys."""
    if not SSHD or not shutil.which("ssh-keygen"):
        pytest.skip("no sshd on this machine: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("host_ed25519", "other_ed25519", "user", "stranger"):
        keygen(folder / name)
    keygen(folder / "host_rsa", "rsa", bits="2048")
    keygen(folder / "locked", passphrase="open sesame 4711")
    return folder


def _gives_terminals() -> bool:
    """Whether an sshd of ours gives terminals. It hands each to the group tty, which an ordinary user may not do; where
    /dev/pts is mounted with that group, as everywhere but in some containers, nothing is left to do."""
    if os.geteuid() == 0:
        return True
    ours, theirs = os.openpty()
    group = os.fstat(theirs).st_gid
    os.close(ours)
    os.close(theirs)
    return all(known.gr_gid == group for known in grp.getgrall() if known.gr_name == "tty")


@pytest.fixture(autouse=True)
def _terminals(request: pytest.FixtureRequest) -> None:
    """Skip what needs a terminal of an sshd where it gives none."""
    real = {"sshd", "start_sshd"} & {*request.fixturenames}
    held = request.module.__name__.endswith("test_held_terminal")
    if (held or (real and "terminal" in inspect.getsource(request.function))) and not _gives_terminals():
        pytest.skip("/dev/pts is not of the group tty: an ordinary user's sshd gives no terminals here")


StartSshd = Callable[..., Sshd]


@pytest.fixture
def start_sshd(keys: Path, tmp_path: Path) -> Iterator[StartSshd]:
    """``start_sshd(*config lines, hosts=(...))`` -> a running :class:`Sshd`."""
    running: list[Sshd] = []

    def start(*lines: str, hosts: tuple[str, ...] = ("host_ed25519",), port: int | None = None) -> Sshd:
        folder = tmp_path / f"sshd{len(running)}"
        folder.mkdir()
        port = port or free_port()
        authorized = folder / "authorized_keys"
        authorized.write_text(f"{public(keys / 'user')}\n{public(keys / 'locked')}\n")
        config = [*lines, *_config(port, authorized, [keys / name for name in hosts])]
        (folder / "config").write_text("\n".join(config) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        process = subprocess.Popen(
            [str(SSHD), "-D", "-f", str(folder / "config"), "-E", str(folder / "log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        known = folder / "known_hosts"
        known.write_text("".join(f"[127.0.0.1]:{port} {public(keys / name)}\n" for name in hosts))
        settings = SshSettings(getpass.getuser(), port, keys / "user", None, known)
        server = Sshd(folder, port, process, settings, {name: keys / name for name in hosts})
        running.append(server)
        _wait(port, process, folder / "log")
        deadline = time.monotonic() + 10
        while server.sessions():  # sshd counts our look as a login until it has noticed its end
            assert time.monotonic() < deadline, "sshd keeps the connection that asked whether it is up"
            time.sleep(0.01)
        return server

    yield start
    for server in running:
        server.cut(signal.SIGCONT)
        server.cut()
        server.process.kill()
        server.process.wait()


def _config(port: int, authorized: Path, hosts: list[Path]) -> list[str]:
    places = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")
    return [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        *(f"HostKey {host}" for host in hosts),
        f"AuthorizedKeysFile {authorized}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AcceptEnv LC_ALL",
        "PidFile none",
        f"Subsystem sftp {next((place for place in places if Path(place).exists()), 'internal-sftp')}",
    ]


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.02)
    raise AssertionError(f"sshd did not start: {log.read_text() if log.exists() else ''}")


@pytest.fixture
def sshd(start_sshd: StartSshd) -> Sshd:
    return start_sshd()


@pytest.fixture(scope="session")
def ring() -> Iterator[Ring]:
    """Keys of many kinds; making them takes a second."""
    with made_ring() as made:
        yield made


@contextmanager
def agent(*paths: Path, passphrase: str = "") -> Iterator[str]:
    """A real ssh-agent with these keys (and the certificates beside them); its socket."""
    folder = Path(tempfile.mkdtemp(prefix="ctm-agent-"))  # a short path: a socket's name is limited
    sock = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        while True:  # its name is there before it listens
            with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(str(sock))
                break
            time.sleep(0.01)
        ask = folder / "ask"
        ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
        ask.chmod(0o700)
        for path in paths:
            environ = os.environ | {
                "SSH_AUTH_SOCK": str(sock),
                "SSH_ASKPASS": str(ask),
                "SSH_ASKPASS_REQUIRE": "force",
            }
            subprocess.run(["ssh-add", "-q", str(path)], env=environ, check=True)
        yield str(sock)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def left_running(*argv: str) -> bool:
    """Whether a process with just this command line is there, and stays for some seconds."""
    end = time.monotonic() + 10
    while [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == list(argv)]:
        if time.monotonic() > end:
            return True
        time.sleep(0.1)
    return False
