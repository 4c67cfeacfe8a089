"""The demo's nodes where real ones are not possible: SSH servers in this process, in front of a simulator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctmupgrade.sim import Fault
from tests.support.live import Live, signing_key, start_live


class SimulatedStage:
    """See :class:`tests.demo.Stage`."""

    what = "SSH servers in this process in front of a simulated cluster"

    def __init__(self, live: Live) -> None:
        self._live = live
        self.cluster = live.cluster

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._live.argv(*argv), env=self._live.environ, cwd=self._live.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def drop(self, node: str) -> None:
        with self._live.fleet.lock:
            self._live.world.inject(Fault("cut", node))


@contextmanager
def simulated_stage(folder: Path) -> Iterator[SimulatedStage]:
    """Three simulated nodes for the time of the demo; an upgrade takes six seconds."""
    with signing_key() as signing:
        live = start_live(folder / "live", signing, nodes=3, size=3_000_000, times={"upgrade_s": 120.0})
        try:
            yield SimulatedStage(live)
        finally:
            live.close()
