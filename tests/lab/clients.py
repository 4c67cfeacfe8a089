"""Looking at a lab's nodes, and running programs in them and against them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab import cgroups, network
from tests.lab.host import LabError
from tests.lab.layout import ADMIN, ADMIN_PASSWORD, KEY_PASSWORD, Layout


class Clients:
    """The part of a lab that starts and breaks nothing."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.layout = Layout(directory.resolve())
        self.names = tuple(names)

    @property
    def directory(self) -> Path:
        """Where cluster.yaml lies."""
        return self.layout.directory

    @property
    def environment(self) -> dict[str, str]:
        """What ctmupgrade and ksctl need to know, on top of the caller's environment."""
        return {
            "PATH": f"{self.directory / 'bin'}:{os.environ.get('PATH', '')}",
            "KSCTL_PASSWORD": ADMIN_PASSWORD,
            "CTM_BACKUP_KEY_PASSWORD": KEY_PASSWORD,
            "CTMUPGRADE_CLUSTER": str(self.layout.cluster_file),
            "CTMUPGRADE_STATE_DIR": str(self.layout.state),
        }

    def address(self, name: str) -> str:
        """A node's address."""
        return self.layout.node(name).address

    def status(self) -> dict[str, dict[str, Any]]:
        """By node: what its supervisor says, and its state."""
        found = {}
        for name in self.names:
            node = self.layout.node(name)
            try:
                state: dict[str, Any] = json.loads((node.folder / "status.json").read_text())
            except (OSError, ValueError):
                state = {"state": "starting"}
            found[name] = state | {"address": node.address, "boot_pid": cgroups.leader(node)}
        return found

    def state(self, name: str) -> dict[str, Any]:
        """What a node keeps over reboots: version, cluster, backups and so on."""
        found: dict[str, Any] = json.loads((self.layout.node(name).shared / "state.json").read_text())
        return found

    def audit(self, name: str) -> list[dict[str, Any]]:
        """What happened to a node, in order: {at, kind, command, ...}."""
        text = (self.layout.node(name).shared / "audit.jsonl").read_text(errors="replace")
        whole, _, _ = text.rpartition("\n")  # behind it is a line that is being written
        return [json.loads(line) for line in whole.splitlines()]

    def ksctl_audit(self) -> list[dict[str, Any]]:
        """Every call of ksctl: {at, pid, url, argv}."""
        return [json.loads(line) for line in self.layout.audit.read_text().splitlines()]

    # -- running things ----------------------------------------------------------------------------

    def _inside(self, argv: Sequence[str], env: Mapping[str, str] | None) -> tuple[list[str], dict[str, str]]:
        words = network.inside(self.layout.hub, *argv)
        return words, {**os.environ, **self.environment, **(env or {})}

    def run(
        self, argv: Sequence[str], env: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a client in the hub; its output is captured as text."""
        words, environ = self._inside(argv, env)
        options: dict[str, Any] = {"capture_output": True, "text": True, **more}
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done: subprocess.CompletedProcess[str] = subprocess.run(words, env=environ, check=False, **options)
        return done

    def popen(
        self, argv: Sequence[str], env: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[Any]:
        """Starts a client in the hub."""
        words, environ = self._inside(argv, env)
        return subprocess.Popen(words, env=environ, **more)

    def ssh(
        self, name: str, *command: str, options: Sequence[str] = (), **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """A command line of ksadmin over the real ssh client."""
        return self.run([*self.ssh_words(name, *options), *command], **more)

    def ssh_words(self, name: str, *options: str) -> list[str]:
        """The ssh client's command line for a node."""
        known, key = self.layout.known_hosts, self.layout.client_key
        return [
            "ssh", "-F", "none", *options, "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", f"ksadmin@{self.address(name)}",
        ]  # fmt: skip

    def ksctl(
        self, name: str, *argv: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The stand-in ksctl, pointed at a node."""
        place = {"KSCTL_URL": f"https://{self.address(name)}", "KSCTL_USERNAME": ADMIN, **(env or {})}
        return self.run([str(self.directory / "bin" / "ksctl"), *argv], env=place)

    def node(self, name: str, *argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command as root inside a node. :raises LabError: it is down."""
        options: dict[str, Any] = {"capture_output": True, "text": True, **more}
        options.setdefault("stdin", subprocess.DEVNULL)
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            self.node_words(name, *argv), env=environ, check=False, **options
        )
        return done

    def node_words(self, name: str, *argv: str) -> list[str]:
        """The command line that runs ``argv`` inside a node. :raises LabError: it is down."""
        leader = cgroups.leader(self.layout.node(name))
        if leader is None:
            raise LabError(f"{name} is down")
        return ["nsenter", f"--target={leader}", "-m", "-u", "-i", "-n", "-p", "-T", "--", *argv]
