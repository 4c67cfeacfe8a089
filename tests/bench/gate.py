"""What a gate costs this machine while it watches twenty nodes, and the settling of one of them.

``python -m tests.bench.gate CLUSTER STATE LOOKS`` is the measured process.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench.looks import Both
from tests.bench.measure import Result, run
from tests.bench.nodes import ROOT, Nodes

SHARE = 0.02  # of a core
STABLE_S, POLL_S = 60.0, 5.0  # defaults of cluster.yaml
LOOKS = 6


def watched(nodes: Nodes, runs: int) -> Result:
    """The share of a core that the looks of a gate take, at the pace of a gate. The vendor's ksctl is not this program."""
    from ctmupgrade.actions.waits import ALL_EVERY, polls_apart
    from ctmupgrade.core.checks.health import STREAK

    both, said, took, ratios, shares = Both(nodes), nodes.folder / "gate.txt", [], [], []
    count = len(both.stand_ins.servers)
    often = min(
        POLL_S * polls_apart(count), max(POLL_S, STABLE_S / STREAK)
    )  # while one is unwell, and while none is
    for _ in range(runs):
        both.stand_ins.renew()
        argv = [
            sys.executable,
            "-m",
            "tests.bench.gate",
            str(both.cluster),
            str(nodes.folder / "state"),
            str(LOOKS),
        ]
        took.append(run(argv, env=both.env, out=said))
        one, known = map(float, said.read_text().split())
        gate = one / often
        settling = one / (ALL_EVERY * POLL_S) + one / count / POLL_S
        shares.append((one, gate, settling))
        ratios.append(max(gate, settling) / SHARE)
        both.wrong |= {} if known == count else {"not every node answered": None}
    one, gate, settling = (statistics.median(column) for column in zip(*shares, strict=True))
    note = (
        f"gate {gate:.2%}, settling {settling:.2%}; a look at all 20 nodes takes {one:.3f} s of our processor, ksctl's own "
        f"left out; one every {often:g} s in a gate, every {ALL_EVERY * POLL_S:g} s while one settles"
    )
    reached = statistics.median(ratios) <= 1.0
    result = Result(
        "watching 20 nodes", "2 % of a core", "at most 1 of it", tuple(ratios), tuple(took), (), reached, note
    )
    return result.within().missed(*both.wrong)


def main(cluster: Path, state: Path, looks: int) -> None:
    """Print the processor seconds of a look, the connections being there, and how many nodes it knew."""
    from ctmupgrade.collect import collect
    from ctmupgrade.commands.request import CommandRequest
    from ctmupgrade.commands.wiring import setup
    from ctmupgrade.core.looks.facts import NodeFacts, Unknown

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    with setup(CommandRequest(cluster=cluster, state_dir=state)) as made:
        took: list[float] = []
        found: Mapping[str, NodeFacts] = {}
        for _ in range(looks + 1):
            began = spent()
            found = collect.all_health(made.fleet, made.cluster, made.clock, made.tools.gather)
            took.append(spent() - began)
    known = sum(not isinstance(facts.version, Unknown) for facts in found.values())
    print(statistics.median(took[1:]), known)


if __name__ == "__main__":
    os.chdir(ROOT)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
