"""Random faults and kills over the appliance as it really is: 20 runs in place, 20 rebuilds. In the slow lane.

Every run is of one seed, which is its test's name and is printed; ``CTMUPGRADE_SEED`` shifts them all. People mend and
decide between the processes as in ``test_properties``. None may break a promise, and none may be stuck in the end.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.sim import Fault
from tests.support.fault_cases import EVERYWHERE, SETTINGS, TIMES
from tests.support.fault_run import broken_promises, decide
from tests.support.killing import Fuse, KillingFleet
from tests.support.world_run import Drive, Killed, make_world, mend

FIRST = int(os.environ.get("CTMUPGRADE_SEED", "20261129"))
SEEDS = [FIRST + number for number in range(20)]
PROCESSES = 15
pytestmark = pytest.mark.slow

LEAVES: dict[str, dict[str, Any]] = {
    "says not clustered at once": {"times": {"removed_s": 0.0}},
    "lingers": {"times": {"removed_s": 900.0}},
}
QUIRKS: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda _r: {},
    lambda r: {"times": {"publish_s": r.uniform(5, 100)}},
    lambda r: {"times": {"upset_s": r.uniform(20, 600)}},
    lambda r: {"times": {"flap_s": r.uniform(20, 200)}},
    lambda r: {"times": {"login_s": r.uniform(30, 500)}},
    lambda r: {"membership": {"delete": r.choice(["yes", "silent"]), "vain_deletes": r.randint(0, 1)}},
    lambda r: {"ksctl": {"limits": False, "lockdata": "get", "bare_lists": r.random() < 0.5}},
)
KINDS = [what for what in EVERYWHERE if what.kind not in ("remove_member", "second_reboot", "power_loss")]


def traits_of(chance: random.Random, leaves: dict[str, Any]) -> dict[str, Any]:
    """One node's traits: how it leaves a cluster, and up to two quirks."""
    found: dict[str, Any] = {"times": {**TIMES, **leaves["times"]}}
    for quirk in chance.sample(QUIRKS, 2):
        for part, values in quirk(chance).items():
            found[part] = {**found.get(part, {}), **values}
    return found


def live(seed: int, strategy: StrategyName, leaves: dict[str, Any], folder: Path) -> None:
    """One run through as many processes as it takes."""
    chance = random.Random(seed)
    print(f"seed {seed} (CTMUPGRADE_SEED={seed} runs it first)")
    count = chance.randint(2, 4)
    names = [f"ctm-{number + 1}" for number in range(count)]
    nodes = [{"name": name, **traits_of(chance, leaves)} for name in names]
    options = Options(survivor="ctm-1" if strategy is StrategyName.REBUILD else "")
    drive = Drive(
        make_world(nodes=nodes, clustered=True), folder, strategy, options=options, settings=SETTINGS
    )
    plan = drive.plan()
    drive.plan = lambda: plan  # type: ignore[method-assign] # made before anything goes wrong
    for _ in range(chance.randint(0, 3)):
        what, node = chance.choice(KINDS), chance.choice(names)
        drive.world.inject(what.fault(node, f"at {chance.randint(0, 4000)}s"))
    if chance.random() < 0.3:
        fields = {"replicationBlocked": True, "replayLag": "00:20:00"}
        away = Fault(
            "replication_behind", "ctm-1", f"at {chance.randint(0, 200)}s", 400.0, params={"fields": fields}
        )
        drive.world.inject(away)
    code = -1
    for number in range(PROCESSES):
        fuse = Fuse(
            chance.randint(1, 500) if number < 2 and chance.random() < 0.6 else -1, chance.random() < 0.5
        )
        drive.fleet_of = lambda world, fuse=fuse: KillingFleet(world, fuse)  # type: ignore[misc]
        try:
            code = drive.resume() if drive.journal.lines else drive.start()
        except Killed:
            code = -1
        assert broken_promises(drive) == []
        if code == 0:
            break
        if number >= 2:
            mend(drive.world)
        decide(drive)
    assert code == 0, (code, drive.stuck, drive.state.paused)
    assert {node.version for node in drive.world.nodes.values()} == {drive.world.archive.version}
    assert len({node.cluster for node in drive.world.nodes.values()}) == 1
    assert {node.data for node in drive.world.nodes.values()} == {"data-main"}


@pytest.mark.parametrize("seed", SEEDS)
def test_in_place(seed: int, tmp_path: Path) -> None:
    live(seed, StrategyName.IN_PLACE, LEAVES["lingers"], tmp_path)


@pytest.mark.parametrize("leaves", LEAVES.values(), ids=LEAVES)
@pytest.mark.parametrize("seed", SEEDS)
def test_rebuild(seed: int, leaves: dict[str, Any], tmp_path: Path) -> None:
    live(seed, StrategyName.REBUILD, leaves, tmp_path)
