"""A lab for tests: ``with Lab.up(n=3, directory=...) as lab``."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import bare, cgroups, files, host, keys, network
from tests.lab.host import LabError
from tests.lab.layout import ADMIN_PASSWORD, NodeLayout, default_directory
from tests.lab.trouble import Trouble

VERSION, TARGET = "2.20.0+15016", "2.21.0+15451"
_OURS = (
    "nodes", "bin", "lib", "gnupg", "backups", "state", "lab.json", "cluster.yaml", "known_hosts", "id_ed25519",
    "id_ed25519.pub", "signing-key.asc", "keyring.gpg", "ksctl-audit.jsonl",
)  # fmt: skip


class Lab(Trouble):
    """The nodes of one directory. Made by :meth:`up`, found again by :meth:`attach`, ended by :meth:`down`."""

    # -- life --------------------------------------------------------------------------------------

    @staticmethod
    def available() -> tuple[bool, str]:
        """Whether a lab can run here, and why not."""
        return host.available()

    @classmethod
    def up(
        cls,
        n: int = 3,
        directory: Path | None = None,
        *,
        version: str = VERSION,
        target: str = TARGET,
        archive_size: str = "4M",
        clustered: bool = True,
        disk: str = "40G",
        behave: Mapping[str, Any] | None = None,
        images: Path | None = None,
        timeout: float = 90.0,
    ) -> Lab:
        """Starts ``n`` nodes in one cluster and returns when each sees all others ready.

        :param clustered: False: every node on its own.
        :param disk: size of each node's disk, which lives in memory and takes what is written to it.
        :param behave: knobs of all nodes from the start.
        :param images: a ksctl_images.zip that all nodes offer, which then are bare (:mod:`tests.lab.bare`).
        :raises LabError: it did not work; nothing is left of it.
        """
        ok, why = host.available()
        if not ok:
            raise LabError(why)
        lab = cls(directory or default_directory(), [f"ctm-{i + 1}" for i in range(n)])
        if lab._alive():
            raise LabError(f"a lab runs in {lab.directory} already: scripts/lab down")
        lab.down()  # what a half-failed start may have left
        try:
            lab._start(version, target, archive_size, clustered, disk, behave or {}, images)
            lab.wait_ready(timeout=timeout)
        except BaseException as error:
            words = lab._post_mortem() if isinstance(error, LabError) else ""
            lab.down()
            if words:
                raise LabError(f"{error}\n{words}") from error
            raise
        return lab

    @classmethod
    def attach(cls, directory: Path | None = None) -> Lab:
        """The lab that runs in a directory. :raises LabError: none does."""
        place = directory or default_directory()
        try:
            names = json.loads((place / "lab.json").read_text())["nodes"]
        except (OSError, ValueError):
            raise LabError(f"no lab in {place}: scripts/lab up") from None
        return cls(place, names)

    def _start(
        self, version: str, target: str, size: str, clustered: bool, disk: str, chosen: Mapping[str, Any],
        images: Path | None,
    ) -> None:  # fmt: skip
        lab, nodes = self.layout, [self.layout.node(name) for name in self.names]
        for folder in (lab.directory, lab.state, lab.directory / "backups"):
            folder.mkdir(parents=True, exist_ok=True)
        (lab.directory / "lab.json").write_text(json.dumps({"nodes": self.names}))
        keys.ssh_key(lab.client_key, "operator")
        keys.signing_key(lab)
        files.ksctl(lab)
        states = files.first_states(nodes, version, clustered=clustered)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(keys.seed, nodes))
        network.build(lab, nodes)
        for node in nodes:
            files.shared(node, states[node.name], chosen)
            if images:
                bare.make(node, images)
            cgroups.make(node)
            self._supervise(node, disk)
        lab.known_hosts.write_text("".join(keys.known_hosts_line(node) for node in nodes))
        files.cluster_file(lab, nodes, keys.archive(lab, size, target), target)

    def _supervise(self, node: NodeLayout, disk: str) -> None:
        words = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--",
            sys.executable,
            "-m",
            "tests.lab.supervisor",
        ]
        with (node.folder / "supervisor.log").open("wb") as log:
            started = subprocess.Popen(
                [*words, str(self.directory), node.name, disk],
                cwd=host.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (node.folder / "pid").write_text(str(started.pid))

    def down(self) -> None:
        """Ends all nodes and removes everything that was made; good after a half-failed start too."""
        for pid in self._supervisors():
            os.kill(pid, signal.SIGKILL)  # one that has not reached its cgroup yet
        cgroups.kill(self.layout)
        network.destroy(self.layout)
        keys.forget_gpg(self.layout)
        for pattern in (*_OURS, "610-*.tar.gz", "610-*.tar.gz.gpg"):
            for path in self.directory.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _supervisors(self) -> list[int]:
        found = []
        for file in self.directory.glob("nodes/*/pid"):
            pid = int(file.read_text() or 0)
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"tests.lab.supervisor" in words and str(self.directory).encode() in words:
                found.append(pid)
        return found

    def _alive(self) -> bool:
        return bool(self._supervisors())

    def _post_mortem(self) -> str:
        lines = []
        for name, state in self.status().items():
            folder = self.layout.node(name).folder
            logs = [folder / "supervisor.log", folder / "console.log"]
            tails = [log.read_text(errors="replace")[-600:] for log in logs if log.exists()]
            lines.append(f"--- {name}: {state.get('state')} {state.get('why', '')}\n" + "\n".join(tails))
        return "\n".join(lines)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def archive(self, size: str = "64M", target: str = TARGET) -> Path:
        """Makes a signed archive; cluster.yaml names it from now on."""
        path = keys.archive(self.layout, size, target)
        files.cluster_file(self.layout, [self.layout.node(name) for name in self.names], path, target)
        return path

    def wait_ready(self, *names: str, timeout: float = 60.0) -> None:
        """Until nodes answer, are started and see all members ready. :raises LabError: not in time."""
        hosts = [self.address(name) for name in names or self.names]
        login = base64.b64encode(ADMIN_PASSWORD.encode()).decode()
        waiting = self.popen(
            [sys.executable, "-m", "tests.lab.ready", str(timeout), *hosts],
            {"LAB_LOGIN": login}, cwd=host.ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while waiting.poll() is None:
            failed = [s["why"] for s in self.status().values() if s["state"] == "failed"]
            if failed:
                waiting.kill()
                waiting.wait()
                raise LabError(failed[0])
            time.sleep(0.1)
        said = waiting.communicate()[0]
        if waiting.returncode:
            raise LabError(f"not ready: {said.strip()}")
