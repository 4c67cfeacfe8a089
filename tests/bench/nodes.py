"""Real sshd on high ports of 127.0.0.1, standing in for nodes; a folder in memory for each."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
SFTP = "/usr/lib/openssh/sftp-server"


@dataclass(frozen=True, slots=True)
class Server:
    """A node: where it listens and where its files go."""

    name: str
    port: int
    home: Path

    @property
    def asked(self) -> list[str]:
        """The commands that a node at home was given, in their order."""
        path = self.home.with_suffix(".asked")
        return path.read_text().splitlines() if path.exists() else []

    def forget(self) -> None:
        """What it was asked so far."""
        self.home.with_suffix(".asked").unlink(missing_ok=True)


class Nodes:
    """``with Nodes(folder) as nodes: nodes.start(4)``"""

    def __init__(self, folder: Path) -> None:
        """:param folder: for keys and for the nodes' files; in memory, so that no disk is measured."""
        self.folder = folder
        self.key, self._host = folder / "user", folder / "host"
        self.known_hosts = folder / "known_hosts"
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Nodes:
        for path in (self.key, self._host):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        return self

    def __exit__(self, *_error: object) -> None:
        for child in self._running:
            child.kill()
            child.wait()

    def start(self, count: int, *, at_home: bool = False, programs: Path | None = None) -> list[Server]:
        """So many servers.

        :param at_home: commands start in the server's folder, as in a home of its own, and are written down.
        :param programs: a folder with what a node has instead of this machine's programs; goes with ``at_home``.
        """
        return [self._start(f"node-{len(self._running)}", at_home, programs) for _ in range(count)]

    def _start(self, name: str, at_home: bool, programs: Path | None) -> Server:
        home = self.folder / name
        home.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        lines = [
            f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {self._host}",
            f"AuthorizedKeysFile {self.key}.pub", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PidFile none", "MaxStartups 100",
            # So deep in shells bash reads no .bashrc: what this user has in his is not what is measured.
            "SetEnv SHLVL=9", "AcceptEnv LC_ALL", f"Subsystem sftp {SFTP}",
        ]  # fmt: skip
        if at_home:
            lines.append(f"ForceCommand {self._at_home(home, programs)}")
        config = home.with_suffix(".conf")
        config.write_text("\n".join(lines) + "\n")
        self._running.append(subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", f"{config}.log"]))
        _answers(port)
        self._know(port)
        return Server(name, port, home)

    def _at_home(self, home: Path, programs: Path | None) -> str:
        # One write of a line each, so that sessions at the same time do not mix theirs.
        asked, there = (shlex.quote(str(path)) for path in (home.with_suffix(".asked"), home))
        path = f"PATH={shlex.quote(str(programs))}:$PATH; " if programs else ""
        noted = f"printf '%s\\n' \"$SSH_ORIGINAL_COMMAND\" >>{asked}"
        return f'{path}{noted}; cd {there} && exec sh -c "$SSH_ORIGINAL_COMMAND"'

    def _know(self, port: int) -> None:
        kind, key = Path(f"{self._host}.pub").read_text().split()[:2]
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port} {kind} {key}\n")

    def far(self, server: Server, delay: float, rate: float) -> Server:
        """The same node at the end of a long line."""
        argv = [sys.executable, "-m", "tests.support.delay_proxy", str(server.port), "--delay", str(delay)]
        child = subprocess.Popen([*argv, "--rate", str(rate)], cwd=ROOT, stdout=subprocess.PIPE)
        self._running.append(child)
        port = int(child.stdout.readline()) if child.stdout else 0
        self._know(port)
        return Server(f"far-{server.name}", port, server.home)

    def options(self, port_flag: str, port: int) -> list[str]:
        """Options of OpenSSH's programs, with their default ciphers."""
        wishes = (
            "BatchMode=yes",
            f"UserKnownHostsFile={self.known_hosts}",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
        )
        return [
            "-F",
            "none",
            "-i",
            str(self.key),
            port_flag,
            str(port),
            *(w for wish in wishes for w in ("-o", wish)),
        ]

    def scp(self, source: Path, server: Server) -> list[str]:
        """The plain copy that everything is compared with."""
        target = f"{getpass.getuser()}@127.0.0.1:{server.home}/by-scp"
        return ["scp", "-q", *self.options("-P", server.port), str(source), target]

    def sftp(self, source: Path, server: Server) -> list[str]:
        """OpenSSH's sftp, told by a batch file."""
        batch = self.folder / f"{server.name}.batch"
        batch.write_text(f"put {source} {server.home}/by-scp\n")
        options = self.options("-P", server.port)
        return ["sftp", "-q", "-b", str(batch), *options, f"{getpass.getuser()}@127.0.0.1"]

    def ssh(self, source: Path, server: Server) -> list[str]:
        """Plain ssh with the file as its input. The shell becomes it, so what is measured is ssh alone."""
        argv = ["ssh", *self.options("-p", server.port), f"{getpass.getuser()}@127.0.0.1"]
        there = f"cat >{shlex.quote(str(server.home / 'by-scp'))}"
        return ["sh", "-c", f"exec {shlex.join([*argv, there])} <{shlex.quote(str(source))}"]

    def rsync(self, source: Path, server: Server) -> list[str]:
        """rsync over ssh, the whole file."""
        shell = shlex.join(["ssh", *self.options("-p", server.port)])
        target = f"{getpass.getuser()}@127.0.0.1:{server.home}/by-scp"
        return ["rsync", "--whole-file", "--inplace", "-e", shell, str(source), target]


def program(path: Path, text: str) -> Path:
    """A shell script that stands in for a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _answers(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"no sshd answers on port {port}")
