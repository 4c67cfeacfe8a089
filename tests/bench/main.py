"""The command line of ``scripts/bench``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import gate, looks, programs, table
from tests.bench.measure import Result
from tests.bench.nodes import ROOT, Nodes
from tests.bench.uploads import Uploads
from tests.lab.cluster import Lab

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """``1G``, ``256M``. :raises ValueError: something else."""
    return int(text[:-1]) * UNITS[text[-1].upper()] if text[-1:].upper() in UNITS else int(text)


def lines(folder: Path, bytes_: int, runs: int) -> dict[str, Callable[[], Result | tuple[Result, ...]]]:
    """Every line by name, or lines that are measured together; each starts the nodes that it needs and stops them."""

    def with_nodes(measure: Callable[[Nodes], Result]) -> Result:
        home = Path(tempfile.mkdtemp(dir=folder))
        try:
            with Nodes(home) as nodes:
                return measure(nodes)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def upload(way: Callable[[Uploads], Result]) -> Callable[[], Result]:
        return lambda: with_nodes(lambda nodes: way(Uploads(nodes, bytes_, runs)))

    return {
        "version": partial(programs.version, runs),
        "help": partial(programs.shown_help, runs),
        "onefile": partial(programs.one_file, runs),
        "verify": partial(programs.verify, folder, bytes_, runs),
        "upload": upload(Uploads.one),
        "paramiko": upload(Uploads.paramiko),
        "ssh": upload(Uploads.beside_ssh),
        "sftp": upload(Uploads.beside_sftp),
        "rsync": upload(Uploads.beside_rsync),
        "four": upload(Uploads.four),
        "twenty": upload(Uploads.twenty),
        "far": upload(Uploads.far),
        "resume": upload(Uploads.resumed),
        "check": lambda: with_nodes(lambda nodes: looks.twenty(nodes, runs)),
        "slowest": lambda: with_nodes(lambda nodes: looks.slowest(nodes, runs)),
        "gate": lambda: with_nodes(lambda nodes: gate.watched(nodes, runs)),
        "simulated": partial(programs.twenty, runs),
        "orchestration": partial(programs.orchestration, runs),
    }


def main() -> int:
    """Runs the lines that are named, or all; 1 where one of them misses its limit."""
    names = list(lines(Path(), 0, 0))
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("line", nargs="*", metavar="LINE", help=f"default all: {', '.join(names)}")
    parser.add_argument("--size", type=size, default=size("3G"), help="of the archive; default 3G")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs; default 5")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="for files; in memory")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    given = parser.parse_args()
    if unknown := set(given.line) - set(names):
        parser.error(f"no such line: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    results = []
    with tempfile.TemporaryDirectory(prefix="ctmupgrade-bench-", dir=given.folder) as folder:
        for name, measure in lines(Path(folder), given.size, given.runs).items():
            if name in ("sftp", "rsync") and shutil.which(name) is None:
                sys.stderr.write(f"{name} is not installed, nothing to measure beside\n")
            elif name == "onefile" and not programs.ONE_FILE.exists():
                sys.stderr.write("onefile: dist/ctmupgrade is missing: scripts/build\n")
            elif name == "orchestration" and not Lab.available()[0]:
                sys.stderr.write(f"orchestration: no lab here: {Lab.available()[1]}\n")
            elif name in given.line or not given.line:
                sys.stderr.write(f"{name} ...\n")
                found = measure()
                for result in found if isinstance(found, tuple) else (found,):
                    results.append(result)
                    print(table.row(result), flush=True)
    if not given.line and not given.no_write:
        table.write(ROOT / "docs" / "performance.md", table.document(results, given.size, given.runs))
    return 0 if all(result.reached for result in results) else 1
