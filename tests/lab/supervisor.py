"""Keeps one node running: mounts its root, starts systemd-nspawn, and starts it again when it reboots.

Run as ``python -m tests.lab.supervisor DIRECTORY NODE DISK`` in a mount namespace of its own, so that the
mounts end with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab import cgroups, keys, rootfs
from tests.lab.host import LabError, run
from tests.lab.layout import Layout, NodeLayout
from tests.lab.standin import knobs
from tests.lab.units import TARGET

_REBOOT = 133  # how nspawn ends when the node reboots


def mount(node: NodeLayout, size: str) -> Path:
    """The node's root: a layer in memory over this machine's own files. Returns where it is."""
    run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", f"lab-{node.name}", node.disk)
    upper, work, root = (node.disk / name for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    upper.chmod(0o755)
    rootfs.build(node, upper)
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", f"disk-{node.name}", "-o", options, root)
    return root


def _time_namespace() -> list[str]:
    """In front of a command: its uptime starts at nought; [] where this kernel cannot."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    words = ["unshare", "--time", "--boottime", f"-{int(up)}", "--"]
    with contextlib.suppress(LabError):
        run(*words, "true")
        return words
    return []


def command(node: NodeLayout, root: Path) -> list[str]:
    """The command line of one boot."""
    return [
        *_time_namespace(), "systemd-nspawn", "--quiet", "--boot", f"--directory={root}",
        f"--machine=ctmlab-{node.lab.ident}-{node.number}", f"--hostname={node.name}",
        f"--network-namespace-path=/run/netns/{node.netns}", "--register=no", "--keep-unit", "--link-journal=no",
        "--resolv-conf=off", "--timezone=off", "--console=pipe", f"--bind={node.shared}:/var/lib/lab",
        f"systemd.unit={TARGET}",
    ]  # fmt: skip


def report(node: NodeLayout, state: str, **more: Any) -> None:
    """What ``status`` shows."""
    text = json.dumps({"state": state, "at": time.time(), "supervisor": os.getpid(), **more})
    draft = node.folder / ".status.json"
    draft.write_text(text)
    draft.replace(node.folder / "status.json")


def boot(node: NodeLayout, root: Path) -> int:
    """One boot, until it ends. Returns how nspawn ended."""
    environ = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with (node.folder / "console.log").open("ab") as console:
        running = subprocess.Popen(
            command(node, root), env=environ, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        report(node, "up", nspawn=running.pid)
        return running.wait()


def hold(node: NodeLayout, root: Path) -> None:
    """What lies between two boots."""
    report(node, "rebooting")
    time.sleep(float(knobs.load(node.shared)["reboot_seconds"]))
    while (choice := knobs.load(node.shared)["reboot"]) == "never":
        time.sleep(0.1)
    if choice == "new_host_key":
        keys.new_host_key(node)
        rootfs.host_key(node, rootfs.Layer(root))


def supervise(node: NodeLayout, size: str) -> None:
    """For ever, or until the node is switched off."""
    cgroups.enter(node)
    root = mount(node, size)
    short, code = 0, 0
    while short < 3:
        began = time.monotonic()
        code = boot(node, root)
        if code == 0:
            return report(node, "off")
        # a node that was killed comes back, as after a power failure; one that cannot start does not
        short = short + 1 if code != _REBOOT and time.monotonic() - began < 2 else 0
        hold(node, root)
    raise LabError(f"systemd-nspawn ended with {code} again and again; see {node.folder}/console.log")


def main() -> int:
    """Runs until the lab ends it."""
    node = Layout(Path(sys.argv[1])).node(sys.argv[2])
    try:
        supervise(node, sys.argv[3])
    except Exception as error:
        report(node, "failed", why=f"{type(error).__name__}: {error}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
