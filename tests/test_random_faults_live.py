"""Random faults and kills in real time: the installed program, real SSH servers, a ksctl of its own. In the slow lane.

20 runs in place and 20 rebuilds, in every other of which a removed node says at once that it is not clustered, and
lingers in the others. Every run is of one seed, which is its test's name and is printed; ``CTMUPGRADE_SEED`` shifts them
all. People mend and decide between the processes, as in ``test_random_faults``. None may break a promise, and none may
be stuck in the end.
"""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ctmupgrade.adapters.disk.run_store import folders
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.version import Version
from tests.support.live import Live
from tests.support.promises import check_promises
from tests.support.world_run import mend
from tests.test_random_faults import KINDS, LEAVES, SEEDS, traits_of

pytestmark = pytest.mark.slow
GoLive = Callable[..., Live]
SPEED = 40.0  # the world's seconds in one of ours: an upgrade takes 8 s
WAITS = (
    "poll: 0.2s\nstable_for: 1s\n"
    "timeouts: {upload: 2m, upgrade: 2m, reboot: 2m, service: 2m, join: 3m, backup: 1m, stuck: 30s}"
)
PROCESSES = 12
LONGEST = 1200.0  # seconds of one process, after which it is stuck


def _state(live: Live) -> RunState | None:
    """The newest upgrade, as its journal says: a later ``stage`` is none, and what died before its first line no run."""
    homes = sorted(path for path in live.state.glob("*") if path.is_dir())
    states = [run.state() for home in homes for run in folders(home)]
    upgrades = [state for state in states if kind_of(state) in (RunKind.UPGRADE, RunKind.REBUILD)]
    return upgrades[-1] if upgrades else None


def _next(live: Live, words: tuple[str, ...]) -> subprocess.Popen[str]:
    """What a person does: goes on, or begins where nothing is to be gone on with."""
    state = _state(live)
    return live.start("resume", "--yes") if state and state.unfinished else live.start("run", "--yes", *words)


def _ends(live: Live, process: subprocess.Popen[str], kill_after: float | None) -> int:
    """Waits for it, or kills it; its exit code, -9 where it was killed."""
    try:
        return process.wait(LONGEST if kill_after is None else kill_after)
    except subprocess.TimeoutExpired:
        live.kill(process)
        assert kill_after is not None, f"stuck for {LONGEST:g} s\n{live.said(process)[-3000:]}"
        return -signal.SIGKILL


def _decide(live: Live) -> None:
    """What an operator decides who reads the remedies and looks at the nodes, so that he knows the truth."""
    state = _state(live)
    stuck = (Status.FAILED, Status.INCONCLUSIVE)
    stopped = [held for held in state.steps.values() if held.status in stuck] if state else []
    if any("ctmupgrade stage" in held.remedy for held in stopped):
        assert live.run("stage", "--yes", timeout=LONGEST).returncode == 0
    for step in state.plan.steps if state and state.unfinished else ():
        held = state.steps[step.id] if state else None
        if held is None or held.status not in stuck or not step.node or "node retry" not in held.remedy:
            continue
        with live.fleet.lock:
            real = live.world.nodes[step.node]
            there = bool(real.pending) or Version.parse(real.version).same_release(
                Version.parse(live.world.archive.version)
            )
        done = "done" in held.remedy and step.id.startswith("upgrade:") and there
        words = (
            "node",
            "done" if done else "retry",
            "latest",
            step.node,
            "--reason",
            "looked at it",
            "--yes",
        )
        said = live.run(*words, timeout=LONGEST)
        assert said.returncode == 0, (words, said.stdout, said.stderr)


def _went_well(live: Live, *, in_place: bool) -> None:
    with live.fleet.lock:
        broken = check_promises(live.world, changes_expected=True, in_place=in_place)
        nodes = list(live.world.nodes.values())
    # gpg verifies it on this machine, of which the nodes' world sees nothing: the journal has the proof.
    broken = [one for one in broken if "before the signature was verified" not in one]
    state = _state(live)
    assert state is not None and state.steps["verify-archive"].evidence["signer"]
    assert state.outcome == "done"
    if not in_place:  # only the survivor is backed up: the others hold the same data
        broken = [one for one in broken if "without a downloaded backup" not in one or "ctm-1" in one]
    assert broken == []
    assert {node.version for node in nodes} == {live.world.archive.version}
    assert len({node.cluster for node in nodes}) == 1 and nodes[0].cluster
    assert {node.data for node in nodes} == {"data-main"}
    assert live.run("report", "--verify", timeout=LONGEST).returncode == 0


def live_through(go_live: GoLive, seed: int, strategy: StrategyName, leaves: dict[str, Any]) -> None:
    """One run through as many processes as it takes."""
    chance = random.Random(seed)
    print(f"seed {seed} (CTMUPGRADE_SEED={seed} runs it first)")
    names = [f"ctm-{number + 1}" for number in range(chance.randint(2, 3))]
    nodes = [{"name": name, **traits_of(chance, leaves)} for name in names]
    in_place = strategy is StrategyName.IN_PLACE
    words = () if in_place else ("--survivor", "ctm-1")
    live = go_live(
        speed=SPEED, waits=WAITS, extra=f"strategy: {strategy.value}", more={"nodes": nodes}, nodes=len(names)
    )
    for _ in range(chance.randint(0, 3)):
        what, node, at = chance.choice(KINDS), chance.choice(names), chance.randint(200, 4000)
        print(f"  {what.name} on {node} at {at} s")
        with live.fleet.lock:
            live.world.inject(what.fault(node, f"at {at}s"))
    code, said = -1, ""
    for number in range(PROCESSES):
        dies = chance.uniform(0.5, 30.0) if number < 2 and chance.random() < 0.6 else None
        process = _next(live, words)
        code = _ends(live, process, dies)
        print(
            f"  process {number + 1}: {code}" + (f", killed after {dies:.1f} s" if dies and code < 0 else "")
        )
        said = live.said(process)[-3000:]
        assert code in (0, 3, 4, 5, 6, 7, -signal.SIGKILL), said
        state = _state(live)
        if code == 0 or (state and state.outcome == "done"):  # killed on its way out
            code = 0
            break
        if number >= 1:
            with live.fleet.lock:
                mend(live.world)
        _decide(live)
    assert code == 0, said
    _went_well(live, in_place=in_place)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_place(go_live: GoLive, seed: int) -> None:
    live_through(go_live, seed, StrategyName.IN_PLACE, LEAVES["lingers"])


@pytest.mark.parametrize("seed", SEEDS)
def test_rebuild(go_live: GoLive, seed: int) -> None:
    leaves = list(LEAVES.values())[seed % len(LEAVES)]
    live_through(go_live, seed, StrategyName.REBUILD, leaves)
