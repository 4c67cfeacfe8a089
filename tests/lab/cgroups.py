"""One cgroup a node: systemd inside needs it, and it ends exactly what belongs to the node."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.host import cgroup_roots
from tests.lab.layout import Layout, NodeLayout


def make(node: NodeLayout) -> None:
    """Makes the node's cgroup in each hierarchy."""
    for root in cgroup_roots():
        (root / node.cgroup).mkdir(parents=True, exist_ok=True)


def enter(node: NodeLayout) -> None:
    """Moves this process into it."""
    for root in cgroup_roots():
        (root / node.cgroup / "cgroup.procs").write_text(str(os.getpid()))


def processes(node: NodeLayout) -> Iterator[int]:
    """Every process of the node and of its supervisor."""
    base = cgroup_roots()[0] / node.cgroup
    for folder, _, _ in os.walk(base):  # which goes on where one goes away meanwhile: the node may be booting
        with contextlib.suppress(OSError):
            yield from (int(line) for line in Path(folder, "cgroup.procs").read_text().split())


def leader(node: NodeLayout) -> int | None:
    """The process that is pid 1 inside the node; None while it is down."""
    for pid in processes(node):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:"):
                    numbers = line.split()[1:]
                    if len(numbers) > 1 and numbers[-1] == "1":
                        return pid
    return None


def kill(lab: Layout) -> None:
    """Ends everything in the lab's cgroups and removes them."""
    roots = [root / f"ctmlab-{lab.ident}" for root in cgroup_roots()]
    if roots and (roots[0] / "cgroup.kill").exists():
        (roots[0] / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + 15
    for root in roots:
        while root.exists() and time.monotonic() < deadline:
            _remove(root)
            if root.exists():
                time.sleep(0.05)


def _remove(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(OSError):  # busy: its processes are still ending
            Path(folder).rmdir()
