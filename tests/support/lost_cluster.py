"""A cluster whose backups were made, and that was lost as a whole afterwards: worlds, and the files of a fixture.

``python -m tests.support.lost_cluster`` writes the backups of ``fixtures/restores`` anew.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ctmupgrade.commands import prepare
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.core.plan.steps import MakeBackup
from ctmupgrade.sim import World
from ctmupgrade.sim.clock import START
from tests.support.world_run import Drive

FIXTURES = Path(__file__).parents[2] / "fixtures" / "restores"
KEYS = {"data-main": 1200}
USERS = ["admin", "ops", "auditor"]


def living(count: int = 3, *, sealed: bool = True, **more: Any) -> dict[str, Any]:
    """The world before the loss, half a day earlier."""
    nodes = [
        {"name": f"ctm-{i}", "users": USERS, "ntp": {"servers": [f"time{i}.example.com"]}, "backup_keys": [{"id": f"key-{i}", "sealed": sealed}]}
        for i in range(1, count + 1)
    ]  # fmt: skip
    return {"start": START - timedelta(hours=12), "keys": KEYS, "nodes": nodes, **more}


def lost(count: int = 3, **more: Any) -> dict[str, Any]:
    """The world afterwards: new, empty appliances at the same addresses."""
    nodes = [
        {"name": f"ctm-{i}", "system_name": "new", "ntp": {"servers": []}, "backup_keys": [{"id": f"key-new-{i}"}]}
        for i in range(1, count + 1)
    ]  # fmt: skip
    return {"clustered": False, "keys": KEYS, "nodes": nodes, **more}


def back_up(folder: Path, cluster: str = "test", *, count: int = 3, **more: Any) -> None:
    """The backups of the living cluster, in ``folder/backups``."""
    drive = Drive(World.from_dict(living(count, **more)), folder)
    drive.cluster = replace(drive.cluster, name=cluster)
    outcome = prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup)
    assert outcome.code == 0, outcome.state


def main() -> None:
    """Writes the fixture's backups."""
    for fixture in sorted(FIXTURES.iterdir()):
        with tempfile.TemporaryDirectory() as made:
            back_up(Path(made), fixture.name, sealed=False)
            shutil.rmtree(fixture / "backups", ignore_errors=True)
            shutil.copytree(Path(made) / "backups", fixture / "backups")


if __name__ == "__main__":
    main()
