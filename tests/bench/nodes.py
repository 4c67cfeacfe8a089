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

    def start(self, count: int, *, at_home: bool = False) -> list[Server]:
        """So many servers. :param at_home: commands start in the server's folder, as in a home of its own."""
        return [self._start(f"node-{len(self._running) + n}", at_home) for n in range(count)]

    def _start(self, name: str, at_home: bool) -> Server:
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
            lines.append(f'ForceCommand cd {shlex.quote(str(home))} && exec sh -c "$SSH_ORIGINAL_COMMAND"')
        config = home.with_suffix(".conf")
        config.write_text("\n".join(lines) + "\n")
        self._running.append(subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", f"{config}.log"]))
        _answers(port)
        self._know(port)
        return Server(name, port, home)

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

    def rsync(self, source: Path, server: Server) -> list[str]:
        """rsync over ssh, the whole file."""
        shell = shlex.join(["ssh", *self.options("-p", server.port)])
        target = f"{getpass.getuser()}@127.0.0.1:{server.home}/by-scp"
        return ["rsync", "--whole-file", "--inplace", "-e", shell, str(source), target]


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
