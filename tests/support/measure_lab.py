"""What ctmupgrade takes in the lab, with an archive as large as a real one: ``python -m tests.support.measure_lab``.

Peak memory of a whole run of three nodes, the time of ``check``, verification beside plain ``gpg --verify`` on the
same file (in pairs that take turns), and what the program adds to the work of each node. The nodes' disks live in
memory: three archives of 2 GiB need 7 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.measure import Took
from tests.lab.cluster import Lab
from tests.lab.standin import knobs
from tests.support.in_lab import PROGRAM, Site, site

MEMORY, CHECK, VERIFY, ORCHESTRATION = 150.0, 3.0, 1.3, 2.0  # MiB, seconds, times gpg's, seconds
STABLE, POLL = 0.5, 0.3  # seconds: stable_for and poll of a site
NOTICING = 1.0 + POLL  # seconds


@dataclass(frozen=True, slots=True)
class Line:
    """One number against its limit."""

    what: str
    value: float
    unit: str
    limit: float
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "reached" if self.reached else "MISSED"
        return f"{self.what:34} {self.value:8.2f} {self.unit:5} limit {self.limit:g}  {verdict}  {self.note}".rstrip()


def took(process: subprocess.Popen[bytes], what: str) -> Took:
    """Waits for a process and says what it and its children took. :raises RuntimeError: it failed."""
    began = time.monotonic()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    return Took(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def ctmupgrade(made: Site, *words: str) -> Took:
    """The program in the lab. `ip netns exec` becomes it, so what is measured is the program alone."""
    process = made.lab.popen(made.argv(*words), None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return took(process, " ".join(words))


def plain_gpg(made: Site, home: Path, archive: Path) -> Took:
    """`gpg --verify` of the same file with the same key."""
    words = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--verify", str(archive)]
    return took(subprocess.Popen(words, stderr=subprocess.DEVNULL), "gpg --verify")


def gpg_home(made: Site, folder: Path) -> Path:
    """A keyring with the lab's public key."""
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    key = str(made.lab.layout.signing_key)
    subprocess.run(["gpg", "--homedir", str(home), "--batch", "--quiet", "--import", key], check=True)
    return home


def verification(made: Site, folder: Path, runs: int) -> Line:
    """``ctmupgrade verify`` beside gpg, each pair one after the other, taking turns in going first."""
    archive, home = next(made.lab.directory.glob("610-*.gpg")), gpg_home(made, folder)
    pairs: list[tuple[Took, Took]] = []  # ours, plain
    for number in range(runs):
        if number % 2:
            theirs = plain_gpg(made, home, archive)
            pairs.append((ctmupgrade(made, "verify", str(archive)), theirs))
        else:
            first = ctmupgrade(made, "verify", str(archive))
            pairs.append((first, plain_gpg(made, home, archive)))
    ratios = [pair[0].wall / pair[1].wall for pair in pairs]
    mine, plain = (statistics.median(pair[i].wall for pair in pairs) for i in (0, 1))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} in {runs} pairs; medians {mine:.2f} s and {plain:.2f} s"
    return Line("verify beside gpg --verify", statistics.median(ratios), "x", VERIFY, spread)


def added(made: Site) -> dict[str, tuple[float, float, float]]:
    """Seconds that the program added to each node's own work in the site's last run: from the node's turn to its
    script, from the script's end to the reboot, and how much longer than ``stable_for`` it looked on. Waiting for
    the next look (``poll``) is in it."""
    times = _times(made)
    found = {}
    for name in made.lab.names:
        audit = {line["kind"]: _seconds(line["at"]) for line in made.lab.audit(name)}
        gate = audit["upgrade-call"] - times[f"gate:{name}", "step-started"]
        noticed = audit["reboot"] - audit["upgrade-end"]
        settle = times[f"settle:{name}", "step-done"] - times[f"settle:{name}", "step-started"] - STABLE
        found[name] = (gate, noticed, max(0.0, settle))
    return found


def noticed(made: Site) -> dict[str, float]:
    """Seconds from a node's services being up again after its reboot to the tool's next step with it, in the site's
    last run. What it takes the other members to see it (the lab's look at each other once a second) is in it."""
    times, found = _times(made), {}
    for name in made.lab.names:
        shared = made.lab.layout.node(name).shared
        # Each start of the node's daemon writes this file anew; from then on its services are `starting`.
        ready = (shared / "version").stat().st_mtime + float(knobs.load(shared)["start_seconds"])
        found[name] = times[f"settle:{name}", "step-started"] - ready
    return found


def orchestration(made: Site) -> Line:
    """:func:`added`, all parts together, for the median node."""
    parts = added(made).values()
    shown = ", ".join("+".join(f"{part:.1f}" for part in node) for node in parts)
    note = f"turn to script, script's end to reboot, settling: {shown}; poll 0.3 s"
    return Line("orchestration, a node", statistics.median(map(sum, parts)), "s", ORCHESTRATION, note)


def _times(made: Site) -> dict[tuple[str, str], float]:
    """When each step of the site's last run began and ended: by its id and the event's kind."""
    journal = sorted(made.state.glob("*/*/journal.jsonl"))[-1]
    times: dict[tuple[str, str], float] = {}
    for line in map(json.loads, journal.read_text().splitlines()):
        if step := line["event"].get("step"):
            times[step, line["event"]["kind"]] = _seconds(line["at"])
    return times


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def measure(size: str, runs: int) -> list[Line]:
    """All lines, in a lab of their own. :raises RuntimeError: a run failed."""
    with (
        tempfile.TemporaryDirectory(prefix="ctmupgrade-measure-") as folder,
        site(Path(folder) / "lab", 3, archive_size=size) as made,
    ):
        checks = [ctmupgrade(made, "check") for _ in range(runs)]
        lines = [verification(made, Path(folder), runs)]
        whole = ctmupgrade(made, "run", "--yes")
        made.ended_well()
        lines.append(orchestration(made))
    walls = sorted(check.wall for check in checks)
    many = (
        f"{walls[0]:.2f} to {walls[-1]:.2f} s in {runs} runs; with verification of the archive in the first"
    )
    lines.insert(0, Line("check of 3 nodes", statistics.median(walls), "s", CHECK, many))
    peak = max(whole.peak, *(check.peak for check in checks))
    note = f"run {whole.peak:.0f}, check {checks[0].peak:.0f}; the run took {whole.wall:.0f} s"
    return [*lines, Line("peak memory, run of 3 nodes", peak, "MiB", MEMORY, note)]


def main() -> int:
    """0 when all limits are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="2G", help="of the archive")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    possible, why = Lab.available()
    if not possible:
        print(f"no lab here: {why}")
        return 0
    print(f"{PROGRAM}, archive of {given.size}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    lines = measure(given.size, given.runs)
    print("\n".join(map(str, lines)))
    return 0 if all(line.reached for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
