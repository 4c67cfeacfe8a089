"""What ``scripts/demo`` shows: a check, an upgrade with a connection that breaks in its middle, the report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PROGRAM = Path(sys.executable).with_name("ctmupgrade")


class Stage(Protocol):
    """Where the demo plays."""

    what: str
    cluster: Path

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Starts ctmupgrade there, its output piped."""
        ...

    def drop(self, node: str) -> None:
        """Breaks every SSH connection to a node."""
        ...


def say(text: str) -> None:
    """A line of the demo's own."""
    print(f"\n=== {text}", flush=True)


def follow(process: subprocess.Popen[str], seen: Callable[[str], None]) -> int:
    """Shows what a program says, line by line; returns its exit code."""
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        seen(line)
    return process.wait()


def play(stage: Stage) -> int:
    """The demo itself."""
    say(f"three nodes on this machine: {stage.what}")
    say("ctmupgrade check")
    code = follow(stage.start("check"), lambda _line: None)
    if code:
        return code
    say("ctmupgrade run --yes   (the connection to ctm-2 will be cut in the middle of its upgrade)")
    cut = threading.Event()

    def meanwhile(line: str) -> None:
        if "upgrade:ctm-2: started on a terminal" in line and not cut.is_set():
            cut.set()
            threading.Timer(2.0, _cut, (stage,)).start()

    code = follow(stage.start("run", "--yes"), meanwhile)
    say("ctmupgrade report")
    return follow(stage.start("report"), lambda _line: None) or code or (0 if cut.is_set() else 1)


def _cut(stage: Stage) -> None:
    say("cutting every SSH connection to ctm-2 now")
    stage.drop("ctm-2")


class LabStage:
    """Real nodes."""

    what = "systemd, OpenSSH and sudo in containers, real reboots; ks_upgrade.sh and ksctl are stand-ins"

    def __init__(self, lab: object) -> None:
        from tests.lab.cluster import Lab

        assert isinstance(lab, Lab)
        self._lab = lab
        self.cluster = lab.directory / "cluster.yaml"

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return self._lab.popen(
            [str(PROGRAM), *argv, "-c", str(self.cluster), "--state-dir", str(self._lab.directory / "state")],
            None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def drop(self, node: str) -> None:
        self._lab.kill_sessions(node)


@contextmanager
def lab_stage(folder: Path) -> Iterator[Stage]:
    """A lab for the time of the demo."""
    from tests.lab.cluster import Lab

    with Lab.up(n=3, directory=folder, archive_size="64M") as lab:
        yield LabStage(lab)


def main() -> int:
    """Chooses the stage by what this machine allows."""
    from tests.lab.cluster import Lab

    began = time.monotonic()
    possible, why = Lab.available()
    with tempfile.TemporaryDirectory(prefix="ctmupgrade-demo-") as folder:
        if possible:
            with lab_stage(Path(folder) / "lab") as stage:
                code = play(stage)
        else:
            from tests.demo_simulated import simulated_stage

            print(f"(no real nodes here: {why}; SSH servers in front of a simulated cluster instead)")
            with simulated_stage(Path(folder)) as stage:
                code = play(stage)
    say(f"{'done' if code == 0 else f'ended with {code}'} after {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
