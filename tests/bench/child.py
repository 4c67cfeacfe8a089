"""The measured process: uploads as the program does them, without cluster.yaml and checks around them.

``python -m tests.bench.child upload|stage JSON`` with {"key", "known_hosts", "source", "nodes": [[port, target]],
"prefix": bytes, "sha256"}.
"""

from __future__ import annotations

import getpass
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes, Recorder
from ctmupgrade.adapters.ssh.shell import SshShell
from ctmupgrade.core.model import KsctlSettings, Node, SshSettings
from tests.bench.measure import warm


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
    """The step of a run: from what the node has to the hashed and renamed archive; writes down how long it took."""
    from tests.support import staging  # with the whole house behind it, which an upload alone does not need

    shell, source, hashes = _shell(given, given["nodes"][0][0]), Path(given["source"]), PrefixHashes()
    recorder, about = Recorder(), source.stat()
    with source.open("rb") as file:  # as the verification of the signature does before any upload
        while piece := file.read(1 << 16):
            recorder.update(piece)
    hashes.keep(source, about, recorder)
    warm(Path(given["folder"]), source.stat().st_size * 3 // 10)
    began = time.monotonic()
    staging.stage(source, given["sha256"], shell, hashes)
    shell.disconnect()
    Path(given["took"]).write_text(str(time.monotonic() - began))


if __name__ == "__main__":
    {"upload": upload, "stage": stage}[sys.argv[1]](json.loads(sys.argv[2]))
