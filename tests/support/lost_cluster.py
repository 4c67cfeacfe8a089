"""A cluster whose backups were made, and that was lost as a whole afterwards: worlds, and the files of a fixture.

``python -m tests.support.lost_cluster`` writes the backups of ``fixtures/restores`` anew.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from ctmupgrade.commands import prepare
from ctmupgrade.commands import restore as restoring
from ctmupgrade.commands.restore import RestoreRequest
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.config.load import load_cluster
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import MakeBackup
from ctmupgrade.sim import World, timeline
from ctmupgrade.sim.clock import START
from ctmupgrade.sim.rehearsal import Rehearsal
from ctmupgrade.sim.state import BackupKeyState
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.world_run import Drive

FIXTURES = Path(__file__).parents[2] / "fixtures" / "restores"
KEYS = {"data-main": 1200}
USERS = ["admin", "ops", "auditor"]


def living(count: int = 3, *, sealed: bool = True, **more: Any) -> World:
    """A cluster with keys, users, and settings of its nodes' own; half a day before the loss."""
    nodes = [
        {
            "name": f"ctm-{i}", "users": USERS, "ntp": {"servers": [f"time{i}.example.com"]},
            "backup_keys": [{"id": f"key-{i}", "sealed": sealed}],
        }
        for i in range(1, count + 1)
    ]  # fmt: skip
    more = {"defaults": {"times": TIMES}, **more}
    start = START - timedelta(hours=12)
    return World.from_dict({"start": start, "keys": KEYS, "nodes": nodes, "clustered": True, **more})


def lose(world: World, *names: str) -> None:
    """New, empty appliances stand at the addresses of these nodes, or of all."""
    for node in [world.nodes[name] for name in names or world.nodes]:
        node.cluster, node.node_id, node.data, node.users = "", "", f"data-new-{node.name}", ["admin"]
        node.backups, node.backup_keys = [], [BackupKeyState(f"key-new-{node.name}")]
        node.ntp.servers, node.system_name, node.files, node.folders = [], "new", {}, []
        node.boot += 100
    world.events.clear()
    world.touch()


@dataclass
class RestoreDrive(Drive):
    """A restore through as many processes as it takes."""

    asked: RestoreRequest = field(default_factory=RestoreRequest)

    def back_up(self) -> RestoreDrive:
        """Makes and downloads the backups of all nodes; ten hours pass."""
        outcome = prepare.prepare_only(self.setup(), RunOptions(), MakeBackup)
        assert outcome.code == 0, outcome.state
        self.world.clock.advance(36_000)
        timeline.catch_up(self.world)
        return self

    def plan(self) -> Plan:
        """What the command plans."""
        return restoring.planned(self.setup(), self.asked)[0]

    def restore(self, **asked: Any) -> Outcome:
        """The command itself, in this process."""
        return restoring.restore(self.setup(), RunOptions(), replace(self.asked, **asked))


def lost(
    folder: Path, count: int = 3, *, settings: Mapping[str, Any] | None = None, **more: Any
) -> RestoreDrive:
    """A cluster that was backed up, then lost as a whole."""
    drive = RestoreDrive(living(count, **more), folder, settings=settings or {}).back_up()
    lose(drive.world)
    return drive


@cache
def _prepared() -> tuple[str, str]:
    """A lost cluster as a text, and the folder with its backups: made once for all cases of a matrix."""
    folder = tempfile.mkdtemp(prefix="lost-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    drive = lost(Path(folder), settings=SETTINGS)
    return Rehearsal(drive.world).saved(), folder


def again(folder: Path, **more: Any) -> RestoreDrive:
    """The same lost cluster as every time, in a folder of its own."""
    saved, kept = _prepared()
    shutil.copytree(Path(kept) / "backups", folder / "backups")
    return RestoreDrive(World.from_dict(json.loads(saved)), folder, settings=SETTINGS, **more)


def whole(world: World, *names: str) -> list[str]:
    """What is not as it was before the loss; nothing where these nodes, or all, are one cluster with the backup's data."""
    nodes = [world.nodes[name] for name in names or world.nodes]
    wrong = [] if len({n.cluster for n in nodes}) == 1 and nodes[0].cluster else ["they are not one cluster"]
    for node in nodes:
        number = node.name.rpartition("-")[2]
        found = (node.data, node.users, node.ntp.servers, node.system_name)
        wanted = ("data-main", USERS, [f"time{number}.example.com"], node.name)
        wrong += [f"{node.name}: {found}, not {wanted}"] if found != wanted else []
    return wrong


def _size(fixture: Path) -> int:
    return len(load_cluster(fixture / "cluster.yaml", simulated=True).nodes)


def main() -> None:
    """Writes the fixture's backups."""
    for fixture in sorted(FIXTURES.iterdir()):
        with tempfile.TemporaryDirectory() as made:
            drive = RestoreDrive(living(_size(fixture), sealed=False), Path(made))
            drive.cluster = replace(drive.cluster, name=fixture.name)
            drive.back_up()
            shutil.rmtree(fixture / "backups", ignore_errors=True)
            shutil.copytree(Path(made) / "backups", fixture / "backups")


if __name__ == "__main__":
    main()
