"""What can go wrong with nodes, done to real ones."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.lab import cgroups, files, network
from tests.lab.clients import Clients
from tests.lab.standin import knobs


class Trouble(Clients):
    """The part of a lab that breaks things."""

    def behave(self, name: str, **chosen: Any) -> dict[str, Any]:
        """Sets behaviours of a node; they hold from its next action. :raises ValueError: no such knob."""
        node = self.layout.node(name)
        before = knobs.load(node.shared)
        after = knobs.save(node.shared, chosen)
        if after["shell_without"] != before["shell_without"]:
            files.offer(node)
            if cgroups.leader(node) is not None:
                self.node(name, "systemctl", "reload", "ssh")
        return after

    def cut(self, one: str, other: str, *, both_ways: bool = True) -> None:
        """``one`` cannot reach port 5432 of ``other``; nor the other way round unless ``both_ways`` is False."""
        network.cut(self.layout.node(one), self.layout.node(other))
        if both_ways:
            network.cut(self.layout.node(other), self.layout.node(one))

    def heal(self, one: str, other: str) -> None:
        """Ends :meth:`cut`, in both directions."""
        network.heal(self.layout.node(one), self.layout.node(other))
        network.heal(self.layout.node(other), self.layout.node(one))

    def drop(self, name: str, port: int = 22) -> None:
        """A node loses all packets of a port, also of connections that are open."""
        network.drop(self.layout.node(name), port)

    def undrop(self, name: str, port: int = 22) -> None:
        """Ends :meth:`drop`."""
        network.undrop(self.layout.node(name), port)

    def kill_sessions(self, name: str) -> int:
        """Ends ksadmin's SSH connections, as a lost connection does. Returns how many processes it ended."""
        count = 0
        for pid in cgroups.processes(self.layout.node(name)):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if words.startswith(b"sshd: ksadmin"):
                    os.kill(pid, signal.SIGKILL)
                    count += 1
            except (OSError, ProcessLookupError):
                continue
        return count

    def mute(self, name: str) -> int:
        """The node's SSH server takes connections and says nothing, not even its banner. Returns how many it stopped."""
        return self._listeners(name, signal.SIGSTOP)

    def unmute(self, name: str) -> int:
        """Ends :meth:`mute`."""
        return self._listeners(name, signal.SIGCONT)

    def _listeners(self, name: str, number: signal.Signals) -> int:
        count = 0
        for pid in cgroups.processes(self.layout.node(name)):
            with suppress(OSError):
                if b"[listener]" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, number)
                    count += 1
        return count

    def crash(self, name: str) -> None:
        """Power failure: everything in the node ends at once, and it boots again after ``reboot_seconds``."""
        leader = cgroups.leader(self.layout.node(name))
        if leader is not None:
            os.kill(leader, signal.SIGKILL)
