"""Every node's real shell and control plane."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ctmupgrade.adapters.disk.open_file import OpenFile
from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.local.ksctl import KsctlControl
from ctmupgrade.adapters.local.password_once import PasswordOnce
from ctmupgrade.adapters.local.shell import LocalShell
from ctmupgrade.adapters.ssh.rate_limit import Limiter
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.core.model import Cluster, Node
from ctmupgrade.ports import Control, Shell


class LiveFleet:
    """Shells and control planes, made when first asked for and kept while they live."""

    def __init__(
        self,
        cluster: Cluster,
        say: Callable[[str], None],
        *,
        rate: int = 0,
        node_rate: int = 0,
        opened: Callable[[Path], OpenFile] = OpenFile.at,
    ) -> None:
        """:param rate: bytes per second of all uploads together, ``node_rate`` of each; 0 is unlimited.
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
        self._at_end = ExitStack()

    def shell(self, node: str) -> Shell:
        """The node's shell: over SSH, or this machine's own for ``host: local``."""
        with self._lock:
            if node not in self._shells:
                found = self._cluster.node(node)
                self._shells[node] = self._new_shell(found)
            return self._shells[node]

    def _new_shell(self, node: Node) -> Shell:
        if node.is_own:
            return LocalShell(node, opened=self._opened)
        return SshShell(
            node, log=self._say, rate_limit=self._node_rate, limiter=self._limiter, opened=self._opened
        )

    def control(self, node: str) -> Control:
        """ksctl pointed at the node."""
        with self._lock:
            if node not in self._controls:
                if self._home is None:
                    self._home = self._at_end.enter_context(private_folder())
                self._controls[node] = KsctlControl(
                    self._cluster.node(node),
                    home_root=self._home,
                    once=self._once,
                    withheld=self._cluster.secret_variables,
                )
            return self._controls[node]

    def learn(self, cluster: Cluster) -> None:
        """The cluster has more nodes than at first: the new instances of a run that is resumed."""
        self._cluster = cluster

    def close(self) -> None:
        """Ends all connections and removes the private folder."""
        with self._lock:
            for shell in self._shells.values():
                shell.disconnect()
            for control in self._controls.values():
                control.close()
            self._at_end.close()
