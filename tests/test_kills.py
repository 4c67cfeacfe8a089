"""``kill -9`` at random moments of upgrades in the lab, again and again: ``resume`` always brings it to its end.

``CTMUPGRADE_KILLS`` and ``CTMUPGRADE_KILL_SEED`` set how many and which; the seed is printed.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Lab
from tests.support.in_lab import Site, site

_OK, _WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab2"),
    pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}"),
]
MOST = 15  # kills in one upgrade, so that each ends some time


def moments(seed: int) -> Iterator[float]:
    """When each process dies, in seconds after its start: some at once, most within the work on a node."""
    chosen = random.Random(seed)
    while True:
        yield chosen.uniform(0.3, 3.0) if chosen.random() < 0.4 else chosen.uniform(1.0, 12.0)


def dies(made: Site, process: subprocess.Popen[Any], seconds: float) -> bool:
    """Kills it after so long; False: it had ended by then."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        made.kill(process)
        return True
    return False


def again(made: Site) -> subprocess.Popen[Any]:
    """What a person does after a crash: resume, or run where no run has begun."""
    return made.start("resume") if made.events() else made.start("run", "--yes")


def in_hand(made: Site) -> str:
    """The step that the journal names last; before the first: where it had not yet begun."""
    steps = [str(event["step"]) for event in made.events() if event.get("step")]
    return steps[-1] if steps else "before any step"


def ended(made: Site) -> bool:
    """Whether the journal says that the run has ended; there is nothing to resume then."""
    return made.events()[-1:] != [] and made.events()[-1]["kind"] == "run-ended"


def one_upgrade(made: Site, when: list[float]) -> list[str]:
    """One cluster's upgrade, killed at these moments and then let go; the step in hand at each kill."""
    hit: list[str] = []
    for seconds in when:
        if ended(made):  # it was killed on its way out
            break
        process = again(made)
        if not dies(made, process, seconds):
            assert process.returncode == 0, f"{len(hit)} kills before\n{made.said()}"
            break
        hit.append(in_hand(made))
    if not ended(made):
        made.ends(again(made))
    made.ended_well()
    return hit


def storm(folder: Path, kills: int) -> None:
    """As many upgrades as it takes to have killed so often. ``resume`` alone brings each to its end."""
    seed = int(os.environ.get("CTMUPGRADE_KILL_SEED") or random.randrange(1_000_000))
    print(f"\n{kills} kills, seed {seed}")
    when, number = moments(seed), 0
    hit: list[str] = []
    while len(hit) < kills:
        batch = [next(when) for _ in range(min(MOST, kills - len(hit)))]
        number += 1
        with site(folder / str(number), 3) as made:
            hit += one_upgrade(made, batch)
        print(f"upgrade {number}: {len(hit)} of {kills} kills so far, all nodes done", flush=True)
    print("killed in:", ", ".join(f"{step} {count}x" for step, count in Counter(hit).most_common()))


@pytest.mark.slow
def test_killed_at_some_moments(tmp_path: Path) -> None:
    storm(tmp_path, 3)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    storm(tmp_path, int(os.environ.get("CTMUPGRADE_KILLS", "100")))
