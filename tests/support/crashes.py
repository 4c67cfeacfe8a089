"""The crash matrix: a scenario is killed at one moment after another, resumed, and compared with a calm run."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ctmupgrade.core.modes import StrategyName
from tests.support import driver
from tests.support.driver import Moment, ScenarioDrive, counts, end_state
from tests.support.promises import check_promises

POLL = 30.0  # seconds: nothing depends on how often it is looked, and fewer looks are faster
WHOLE = ("healthy-three", "standalone", "rebuild-three")  # each of their moments, in the fast form too
SAMPLE = 24  # moments of every other scenario in the fast form
LARGE = {  # so many in the fast and in the full form: each takes seconds, or is much like another scenario's
    "healthy-twenty": (6, 200), "own-shell-three": (8, 400), "own-shell-rebuild": (6, 400), "own-shell-standalone": (12, 400),
    "everything-lost": (9, 500), "given-up": (6, 500),
}  # fmt: skip


def scenarios() -> list[str]:
    """All that is killed: every scenario of an upgrade, and every lost cluster."""
    return [*driver.names(), *driver.restores()]


@dataclass(frozen=True)
class Calm:
    """The uninterrupted run."""

    code: int
    moments: tuple[Moment, ...]
    state: dict[str, object]
    counts: dict[tuple[str, str], int]
    strategy: str


@contextmanager
def drive(scenario: str, kill_at: int = 0) -> Iterator[ScenarioDrive]:
    """A run with a folder of its own, in memory where the machine has such a place."""
    shm = Path("/dev/shm")  # backups are synced to disk; thousands of runs need not be
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=shm if shm.is_dir() else None))
    try:
        yield ScenarioDrive(scenario, folder, poll=POLL, kill_at=kill_at)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def calm(scenario: str) -> Calm | None:
    """The scenario without a kill; None where its checks let nothing begin."""
    with drive(scenario) as looked:
        if looked.blocked():
            return None
    with drive(scenario) as run:
        code = run.through()
        strategy = "restore" if scenario in driver.restores() else run.cluster.strategy.value
        moments = tuple(run.at.moments)
        return Calm(code, moments, end_state(run), counts(run.world), strategy)


def chosen(scenario: str, moments: Sequence[Moment], *, full: bool) -> list[Moment]:
    """All moments, or a seeded sample of those of a scenario that is not :data:`WHOLE`."""
    everything = len(moments) if full or scenario in WHOLE else SAMPLE
    few, many = LARGE.get(scenario, (everything, everything))
    size = min(len(moments), many if full else few)
    return sorted(random.Random(scenario).sample(list(moments), size), key=lambda m: m.number)


def killed_at(scenario: str, moment: Moment) -> list[str]:
    """What is wrong after a kill at this moment and a resume; nothing where all is as it should be."""
    quiet = calm(scenario)
    assert quiet is not None
    with drive(scenario, moment.number) as run:
        code = run.through()
        wrong = (
            [f"exit {code} instead of {quiet.code} ({run.error or run.stuck})"] if code != quiet.code else []
        )
        in_place = quiet.strategy == StrategyName.IN_PLACE
        wrong += check_promises(run.world, changes_expected=True, in_place=in_place)
        again = counts(run.world)
        wrong += [
            f"{n}: {kind} {c} times"
            for (n, kind), c in again.items()
            if c > max(1, quiet.counts.get((n, kind), 0))
        ]
        state = end_state(run)
        wrong += [
            f"{name}: {state[name]}, not {wanted}"
            for name, wanted in quiet.state.items()
            if state[name] != wanted
        ]
    return [f"{scenario} {moment}: {text}" for text in wrong]
