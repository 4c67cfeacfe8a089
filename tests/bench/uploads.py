"""The lines about uploads: this program's ways beside ``scp`` with its default settings."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.measure import Result, Took, compare, run, together, warm
from tests.bench.nodes import ROOT, Nodes, Server, program
from tests.bench.trim import WINDOW, kept_short

SLOWEST = 0.025  # seconds one way: a round trip of 50 ms
GIGABIT = 125e6  # bytes per second
EACH = 1 << 30  # bytes, at most, to each of many nodes and to one that is far


class Uploads:
    """Nodes, and the file that goes to them."""

    def __init__(self, nodes: Nodes, size: int, runs: int) -> None:
        self.nodes, self.size, self.runs = nodes, size, runs
        self.source = nodes.folder / "archive_v2.21.0.tar.gz.gpg"
        self._near: list[Server] = []
        self._took = nodes.folder / "took"

    def one(self) -> Result:
        """Default settings: the OpenSSH client is installed."""
        return self._beside_scp("upload to one node", 1, 1.5, self.size)

    def paramiko(self) -> Result:
        """No ``ssh`` on the PATH."""
        env = {**os.environ, "PATH": str(self.nodes.folder / "nothing")}
        return self._beside_scp("upload to one node, paramiko only", 1, 0.9, self.size, env)

    def beside_sftp(self) -> Result:
        """One node, beside OpenSSH's sftp."""
        return self._one_beside("sftp", self.nodes.sftp)

    def beside_rsync(self) -> Result:
        """One node, beside rsync over ssh."""
        return self._one_beside("rsync", self.nodes.rsync)

    def beside_ssh(self) -> Result:
        """One node, beside ssh that runs cat there."""
        return self._one_beside("ssh node 'cat > file'", self.nodes.ssh)

    def four(self) -> Result:
        """All that four get is in memory."""
        return self._beside_scp("upload to 4 nodes, total rate", 4, 1.0, min(self.size, EACH))

    def twenty(self) -> Result:
        """What twenty get is more than memory holds: it is given back as it comes in."""
        name, size = "upload to 20 nodes, total rate", min(self.size, EACH)
        note = f"{size >> 20} MiB to each; what has come in is given back, both sides alike"
        return self._compare(name, self._servers(20), 1.0, size, None, note, trimmed=True)

    def far(self) -> Result:
        """A round trip of 50 ms at 1 Gbit/s."""
        server = self.nodes.far(self._servers(1)[0], SLOWEST, GIGABIT)
        size = min(self.size, EACH)
        note = f"{size >> 20} MiB; 50 ms and 1 Gbit/s by tests/support/delay_proxy.py"
        return self._compare("upload at 50 ms round trip", [server], 2.0, size, None, note)

    def resumed(self) -> Result:
        """What a node has of 70 % of the file, to the hashed and renamed archive; against all of it by scp."""
        home, plain = self.nodes.start(1, at_home=True)[0], self._servers(1)[0]
        bare = self.nodes.start(1, at_home=True, programs=self._without_python())[0]
        sha256 = self._write(self.size)
        without: list[Took] = []

        def resume() -> Took:
            without.append(self._resume(bare, sha256))
            took = self._resume(home, sha256)
            return replace(took, peak=max(took.peak, without[-1].peak))

        def copy() -> Took:
            # To a new file, as in the other lines: overwriting one is less work for the kernel.
            (plain.home / "by-scp").unlink(missing_ok=True)
            warm(self.nodes.folder, self.size)
            return run(self.nodes.scp(self.source, plain))

        result = compare(
            "upload killed at 70 %, resumed, hash included", "scp of all of it", 0.45, resume, copy, self.runs,
            note="the step alone, after the verification that hashes the archive here; its processor seconds are in; "
            "the best case: python3 on the node",
        )  # fmt: skip
        ratios = [mine.wall / scp.wall for mine, scp in zip(without, result.theirs, strict=True)]
        return result.noting(f"with openssl and dd alone {statistics.median(ratios):.2f}")

    def _resume(self, node: Server, sha256: str) -> Took:
        (node.home / self.source.name).unlink(missing_ok=True)
        part = node.home / f".{self.source.name}.{sha256[:12]}.part"
        with self.source.open("rb") as whole, part.open("wb") as most:
            for _ in range(self.size * 7 // 10 >> 20):
                most.write(whole.read(1 << 20))
        took = run(self._child("stage", [node], sha256=sha256))
        (node.home / self.source.name).unlink()  # the other node's, and scp's, need the memory
        return replace(took, wall=float(self._took.read_text()))

    def _without_python(self) -> Path:
        """A folder in front of the PATH, whose python3 is missing."""
        folder = self.nodes.folder / "no-python"
        program(folder / "python3", "exit 127")
        return folder

    # -- parts -----------------------------------------------------------------------------------

    def _one_beside(self, beside: str, way: Callable[[Path, Server], list[str]]) -> Result:
        note = f"{self.size >> 20} MiB"
        servers = self._servers(1)
        return self._compare(
            "upload to one node", servers, 1.0, self.size, None, note, way=way, beside=beside
        )

    def _servers(self, count: int) -> list[Server]:
        self._near += self.nodes.start(max(0, count - len(self._near)))
        return self._near[:count]

    def _beside_scp(
        self, name: str, count: int, limit: float, size: int, env: Mapping[str, str] | None = None
    ) -> Result:
        return self._compare(name, self._servers(count), limit, size, env, f"{size >> 20} MiB to each")

    def _compare(
        self,
        name: str,
        servers: Sequence[Server],
        limit: float,
        size: int,
        env: Mapping[str, str] | None,
        note: str,
        *,
        way: Callable[[Path, Server], list[str]] | None = None,
        beside: str = "",
        trimmed: bool = False,
    ) -> Result:
        """:param trimmed: what the nodes have taken is given back meanwhile."""
        self._write(size)

        def measured(send: Callable[[], Took], name: str) -> Took:
            files = [server.home / name for server in servers]
            warm(self.nodes.folder, WINDOW * len(servers) if trimmed else size * len(servers))
            with kept_short(files if trimmed else []):
                took = send()
            for file in files:
                if file.stat().st_size != size or not _same_end(file, self.source):
                    raise RuntimeError(f"{file} is not all of it")
                file.unlink()
            return took

        def ours() -> Took:
            return measured(lambda: run(self._child("upload", servers), env=env), "by-us")

        def theirs() -> Took:
            commands = [(way or self.nodes.scp)(self.source, server) for server in servers]
            return measured(lambda: together(commands), "by-scp")

        beside = beside or ("scp" if len(servers) == 1 else f"{len(servers)} scp at once")
        return compare(name, beside, limit, ours, theirs, self.runs, faster=True, note=note)

    def _child(self, what: str, servers: Sequence[Server], sha256: str = "") -> list[str]:
        given = {
            "key": str(self.nodes.key),
            "known_hosts": str(self.nodes.known_hosts),
            "source": str(self.source),
            "sha256": sha256,
            "took": str(self._took),
            "folder": str(self.nodes.folder),
            "nodes": [[server.port, str(server.home / "by-us")] for server in servers],
        }
        # As a file: python -m would need the project's folder as working directory.
        code = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('tests.bench.child', run_name='__main__')"
        return [sys.executable, "-c", code, what, json.dumps(given)]

    def _write(self, size: int) -> str:
        if not self.source.exists() or self.source.stat().st_size != size:
            with self.source.open("wb") as file:
                for _ in range(0, size, 1 << 20):
                    file.write(os.urandom(1 << 20))
                file.truncate(size)
        return _sha256(self.source)


def _same_end(one: Path, other: Path) -> bool:
    """Whether the last MiB is the same: what is before it may have been given back."""
    ends = []
    for path in (one, other):
        with path.open("rb") as file:
            file.seek(-min(1 << 20, path.stat().st_size), os.SEEK_END)
            ends.append(file.read())
    return ends[0] == ends[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
