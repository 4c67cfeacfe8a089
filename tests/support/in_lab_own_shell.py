"""The one file in a node of the lab, as ksadmin: copied there, started over SSH, killed by the node's reboot.

The node is bare (tests/lab/bare.py): no Python, no gpg, no ksctl, nothing executable in /tmp, no network but the lab's.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab import bare
from tests.lab.cluster import Lab
from tests.lab.host import ROOT
from tests.lab.layout import ADMIN_PASSWORD, KEY_PASSWORD
from tests.support.compiled_ksctl import compiled_ksctl
from tests.support.in_lab import Site, site

ONE_FILE = Path(os.environ.get("CTMUPGRADE_PROGRAM") or ROOT / "dist" / "ctmupgrade")
HOME = "/home/ksadmin"
PROGRAM = f"{HOME}/ctmupgrade"


class OwnShell(Site):
    """A lab of which one node runs the program.

    :ivar own: that node's name.
    """

    def __init__(self, lab: Lab, own: str) -> None:
        super().__init__(lab, lab.layout.state)
        self.own = own
        self._copy()

    def _copy(self) -> None:
        """All that an operator copies to ksadmin's home: the one file, cluster.yaml with the own node as `local`, keys and
        the archive."""
        lab = self.lab.layout
        self.tune(f"  host: {self.lab.address(self.own)}\n    cluster", "  host: local\n    cluster")
        self.tune(f"command: {lab.directory / 'bin' / 'ksctl'}\n", "command: fetch\n  through_ssh: true\n")
        self.tune("  nosslverify: true\n", "")
        files = [
            ONE_FILE,
            lab.cluster_file,
            lab.client_key,
            lab.known_hosts,
            lab.signing_key,
            *lab.directory.glob("610-*.gpg"),
        ]
        *words, place = self.lab.ssh_words(self.own)
        copied = self.lab.run(["scp", *words[1:], *map(str, files), f"{place}:"], timeout=60)
        assert copied.returncode == 0, copied.stderr

    def command(self, *words: str) -> str:
        """A command line of ksadmin on the own node; what it says goes to a file too, for it dies with the node."""
        environ = f"KSCTL_PASSWORD={ADMIN_PASSWORD} CTM_BACKUP_KEY_PASSWORD={KEY_PASSWORD}"
        place = f"-c {HOME}/cluster.yaml --state-dir {HOME}/state"
        return f"env {environ} {PROGRAM} {shlex.join(words)} {place} 2>&1 | tee -a {HOME}/said"

    def on_own_shell(self, *words: str) -> tuple[int, str]:
        """Runs it there to its end."""
        line = f"{self.command(*words)}; exit ${{PIPESTATUS[0]}}"
        done = self.lab.ssh(self.own, f"bash -c {shlex.quote(line)}", timeout=150)
        return done.returncode, done.stdout + done.stderr

    def start_there(self, *words: str, terminal: bool = False) -> subprocess.Popen[Any]:
        """Starts it there; the connection, and so this, ends with the node."""
        options = ["-tt"] if terminal else []
        process = self.lab.popen(
            [*self.lab.ssh_words(self.own, *options), self.command(*words)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.started.append(process)
        return process

    def said_there(self) -> str:
        """All that it has said on the node."""
        return self.lab.node(self.own, "cat", f"{HOME}/said").stdout

    def said(self) -> str:
        return self.said_there()

    def kill_there(self) -> None:
        """kill -9 of the program on the node, and of no helper of it."""
        done = self.lab.node(self.own, "pkill", "-KILL", "-u", "ksadmin", "-f", f"^{PROGRAM} (run|resume)")
        assert done.returncode == 0, self.said()

    def programs(self) -> list[str]:
        """What a user who is not root could run on the node of all that must not be there."""
        return self.lab.node(self.own, "sh", "-c", bare.FIND, "sh", "/usr", "/opt", HOME).stdout.split()

    def report(self) -> dict[str, Any]:
        code, said = self.on_own_shell("report", "--format", "json")
        assert code == 0, said
        document: dict[str, Any] = json.loads(said)
        return document

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        code, said = self.on_own_shell(*words)
        return subprocess.CompletedProcess(list(words), code, said, said)


@contextmanager
def own_shell(directory: Path, images: Path, nodes: int, **more: Any) -> Iterator[OwnShell]:
    """A bare lab of which ctm-1, listed first, runs the program. ``images``: of :func:`made_images`."""
    with site(directory, nodes, images=images, **more) as made:
        yield OwnShell(made.lab, "ctm-1")


def made_images(folder: Path) -> Path:
    """Return a ksctl_images.zip whose program needs no Python."""
    path = folder / "ksctl_images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ksctl-linux-amd64", compiled_ksctl(ONE_FILE))
        archive.writestr("config_example.yaml", "KSCTL_URL: https://localhost\n")
    return path
