"""The lines about uploads: this program's ways beside ``scp`` with its default settings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.measure import Result, Took, compare, run, together, warm
from tests.bench.nodes import ROOT, Nodes, Server

SLOWEST = 0.025  # seconds one way: a round trip of 50 ms
GIGABIT = 125e6  # bytes per second


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

    def four(self) -> Result:
        """A quarter of the size to each."""
        return self._beside_scp("upload to 4 nodes, total rate", 4, 1.0, self.size // 4)

    def twenty(self) -> Result:
        """A quarter of the size to each; at most half a GiB, for all of them are in memory."""
        return self._beside_scp("upload to 20 nodes, total rate", 20, 1.0, min(self.size // 4, 1 << 29))

    def far(self) -> Result:
        """A round trip of 50 ms at 1 Gbit/s."""
        server = self.nodes.far(self._servers(1)[0], SLOWEST, GIGABIT)
        note = "50 ms and 1 Gbit/s by tests/support/delay_proxy.py"
        size = min(self.size // 2, 1 << 30)
        return self._compare("upload at 50 ms round trip", [server], 2.0, size, None, note)

    def resumed(self) -> Result:
        """What a node has of 70 % of the file, to the hashed and renamed archive; against all of it by scp."""
        home, plain = self.nodes.start(1, at_home=True)[0], self._servers(1)[0]
        sha256 = self._write(self.size)
        part = home.home / f".{self.source.name}.{sha256[:12]}.part"

        def resume() -> Took:
            (home.home / self.source.name).unlink(missing_ok=True)
            with self.source.open("rb") as whole, part.open("wb") as most:
                for _ in range(self.size * 7 // 10 >> 20):
                    most.write(whole.read(1 << 20))
            took = run(self._child("stage", [home], sha256=sha256))
            return Took(float(self._took.read_text()), took.cpu, took.peak)

        def copy() -> Took:
            # To a new file, as in the other lines: overwriting one is less work for the kernel.
            (plain.home / "by-scp").unlink(missing_ok=True)
            warm(self.nodes.folder, self.size)
            return run(self.nodes.scp(self.source, plain))

        return compare(
            "upload killed at 70 %, resumed, hash included", "scp of all of it", 0.45, resume, copy, self.runs,
            note="the step alone, after the verification that hashes the archive here; its processor seconds are in",
        )  # fmt: skip

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
    ) -> Result:
        self._write(size)

        def ours() -> Took:
            warm(self.nodes.folder, size * len(servers))
            took = run(self._child("upload", servers), env=env)
            for server in servers:
                if (server.home / "by-us").stat().st_size != size:
                    raise RuntimeError(f"{server.name} has not all of it")
                (server.home / "by-us").unlink()
            return took

        def theirs() -> Took:
            warm(self.nodes.folder, size * len(servers))
            took = together([(way or self.nodes.scp)(self.source, server) for server in servers])
            for server in servers:
                (server.home / "by-scp").unlink()
            return took

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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
