"""The measured process: uploads as the program does them, without cluster.yaml and checks around them.

``python -m tests.bench.child upload|stage JSON`` with {"key", "known_hosts", "source", "nodes": [[port, target]],
"prefix": bytes, "sha256"}.
"""

from __future__ import annotations

import getpass
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from ctmupgrade.actions.base import Session
from ctmupgrade.actions.stage import StageDoer
from ctmupgrade.adapters.clock import RealClock
from ctmupgrade.adapters.prefix_hash import PrefixHashes
from ctmupgrade.adapters.ssh import SshShell
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings


def _shell(given: dict[str, Any], port: int) -> SshShell:
    ssh = SshSettings(getpass.getuser(), port, Path(given["key"]), None, Path(given["known_hosts"]))
    node = Node(f"node-{port}", "127.0.0.1", "https://127.0.0.1", "127.0.0.1", ssh, KsctlSettings())
    return SshShell(node, log=lambda line: print(line, file=sys.stderr))


def upload(given: dict[str, Any]) -> None:
    """The whole file to every node, all at once."""

    def one(port: int, target: str) -> None:
        shell = _shell(given, port)
        for _ in shell.upload(Path(given["source"]), target):
            pass
        shell.disconnect()

    with ThreadPoolExecutor(len(given["nodes"])) as pool:
        list(pool.map(lambda pair: one(*pair), given["nodes"]))


def stage(given: dict[str, Any]) -> None:
    """The step of a run: from what the node has to the hashed and renamed archive."""
    source, (port, _) = Path(given["source"]), given["nodes"][0]
    shell, session = _shell(given, port), Session()
    target = SimpleNamespace(archive=source.name, sha256=given["sha256"], size=source.stat().st_size)
    ctx = SimpleNamespace(
        fleet=SimpleNamespace(shell=lambda _node: shell),
        plan=SimpleNamespace(target=target),
        cluster=SimpleNamespace(
            target=SimpleNamespace(archive=source),
            timeouts=SimpleNamespace(upload=SimpleNamespace(total_seconds=lambda: 600.0)),
        ),
        clock=RealClock(),
        poll=1.0,
        prefix_hash=lambda length: PrefixHashes().prefix(source, length),
        session=lambda _step: session,
    )
    for tick in StageDoer().start(cast(Any, ctx), cast(Any, SimpleNamespace(node="node", id="stage")), {}):
        if "--verbose" in sys.argv:
            print(tick, file=sys.stderr)
    if session.memo.get("hashed") != given["sha256"]:
        raise SystemExit("not staged")
    shell.disconnect()


if __name__ == "__main__":
    {"upload": upload, "stage": stage}[sys.argv[1]](json.loads(sys.argv[2]))
