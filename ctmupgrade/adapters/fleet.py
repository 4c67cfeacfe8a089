"""Every node's real shell and control plane."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.ksctl import KsctlControl, Program
from ctmupgrade.adapters.local.password_once import PasswordOnce
from ctmupgrade.adapters.local.reach import DirectReach, Reach
from ctmupgrade.adapters.local.shell import LocalShell
from ctmupgrade.adapters.ssh.rate_limit import Limiter
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.adapters.ssh.through import ThroughSsh
from ctmupgrade.core.looks.served import Served
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.ports import Control, Shell

if TYPE_CHECKING:
    from ctmupgrade.adapters.vendor_cli.fetch import VendorCli


class LiveFleet:
    """Shells and control planes, made when first asked for and kept while they live."""

    def __init__(
        self,
        cluster: Cluster,
        say: Callable[[str], None],
        *,
        home: Path | None = None,
        rate: int = 0,
        node_rate: int = 0,
        opened: Callable[[Path], OpenFile] = OpenFile.at,
    ) -> None:
        """:param home: the cluster's state folder, where programs are kept that are taken from appliances; None: they go
            with this.
        :param rate: bytes per second of all uploads together, ``node_rate`` of each; 0 is unlimited.
        :param opened: how a file to be uploaded is opened.
        """
        self._opened = opened
        self._cluster = cluster
        self._limiter = Limiter(rate) if rate else None
        self._node_rate = node_rate or None
        self._say = say
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._controls: dict[str, KsctlControl] = {}
        self._once = PasswordOnce()
        self._home: Path | None = None  # of the controls
        self._state = home
        self._programs: VendorCli | None = None
        self._at_end = ExitStack()

    def shell(self, node: str) -> Shell:
        """Return the node's shell: over SSH, or this machine's own for ``host: local``."""
        with self._lock:
            if node not in self._shells:
                found = self._cluster.node(node)
                self._shells[node] = self._new_shell(found)
            return self._shells[node]

    def _new_shell(self, node: Node) -> Shell:
        if node.is_own:
            return LocalShell(node, opened=self._opened)
        return SshShell(
            node,
            log=self._say,
            rate_limit=self._node_rate,
            limiter=self._limiter,
            opened=self._opened,
            withheld=self._cluster.secret_variables,
        )

    def control(self, node: str) -> Control:
        """Return ksctl, pointed at the node."""
        found = self._cluster.node(node)
        shell = self.shell(node) if found.ksctl.through_ssh else None
        with self._lock:
            if node not in self._controls:
                self._controls[node] = self._new_control(found, shell)
            return self._controls[node]

    def _new_control(self, node: Node, shell: Shell | None) -> KsctlControl:
        if self._home is None:
            self._home = self._at_end.enter_context(private_folder())
        reach = ThroughSsh(node, shell.tcp) if isinstance(shell, SshShell) else DirectReach(node)
        return KsctlControl(
            node,
            home_root=self._home,
            once=self._once,
            withheld=self._cluster.secret_variables,
            reach=reach,
            program=self._program(node, reach, self._home) if node.ksctl.fetched else None,
        )

    def _program(self, node: Node, reach: Reach, place: Path) -> Program:
        from ctmupgrade.adapters.vendor_cli.fetch import VendorCli  # noqa: PLC0415 - TLS is imported where it is used

        if self._programs is None:
            self._programs = VendorCli(self._state or place, self._say)
        return self._programs.of(node, reach)

    def served(self) -> Mapping[str, Served]:
        """Return which vendor CLI the nodes served from which it is taken, and whose version is known."""
        return self._programs.served() if self._programs else {}

    def learn(self, cluster: Cluster) -> None:
        """Take in that the cluster has more nodes than at first: the new instances of a run that is resumed."""
        self._cluster = cluster

    def close(self) -> None:
        """End all connections and remove the private folder."""
        with self._lock:
            for shell in self._shells.values():
                shell.abandon() if isinstance(shell, SshShell) else shell.disconnect()
            for control in self._controls.values():
                control.close()
            self._at_end.close()
