"""The lines about the program itself: its start, the signature, whole runs in a simulated cluster."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Result, Took, compare, run
from tests.bench.nodes import ROOT
from tests.support.in_lab import site
from tests.support.measure_lab import NOTICING, ORCHESTRATION, POLL, STABLE, added, ctmupgrade, noticed

LAUNCHER = [sys.executable, str(ROOT / "scripts" / "ctmupgrade")]
ONE_FILE = ROOT / "dist" / "ctmupgrade"  # scripts/build
SCENARIOS = ROOT / "fixtures" / "scenarios"


def version(runs: int) -> Result:
    """Processor time: nothing is waited for."""
    return _start("--version", ["--version"], "pass", 1.5, runs)


def shown_help(runs: int) -> Result:
    """With rich's panels."""
    return _start("--help", ["--help"], "import typer", 2.2, runs)


def _start(name: str, words: Sequence[str], code: str, limit: float, runs: int) -> Result:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return compare(
        name, f'python -c "{code}"', limit, lambda: run([*LAUNCHER, *words], env=env),
        lambda: run([sys.executable, "-c", code], env=env), max(runs, 15), by_cpu=True, note="processor time",
    )  # fmt: skip


def one_file(runs: int) -> tuple[Result, ...]:
    """The start of the one file beside the same program of the virtual environment."""
    env = {**os.environ, "CTM_BACKUP_KEY_PASSWORD": "x"}
    installed = [sys.executable, str(Path(sys.executable).with_name("ctmupgrade"))]

    def beside(name: str, words: Sequence[str], limit: float) -> Result:
        return compare(
            f"one file: {name}", f"{name} of the venv", limit, lambda: run([str(ONE_FILE), *words], env=env),
            lambda: run([*installed, *words], env=env), max(runs, 15), by_cpu=True, note="processor time",
        )  # fmt: skip

    check = ["check", "--simulate", str(SCENARIOS / "healthy-three")]
    return (
        beside("--version", ["--version"], 2.5),
        beside("--help", ["--help"], 1.4),
        beside("check --simulate", check, 1.4),
    )


def verify(folder: Path, size: int, runs: int) -> Result:
    """An archive signed with gpg's defaults, but not compressed (a .tar.gz is)."""
    home = Path(tempfile.mkdtemp(prefix="gb", dir="/tmp"))  # sockets need a short path
    env = {**os.environ, "GNUPGHOME": str(home), "PYTHONPATH": str(ROOT)}

    def gpg(*words: str) -> str:
        argv = ["gpg", "--batch", "--yes", "-q", *words]
        return subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout

    gpg("--passphrase", "", "--quick-gen-key", "Bench <b@x>", "default", "sign", "never")
    signer = next(
        row.split(":")[9] for row in gpg("--with-colons", "-K").splitlines() if row.startswith("fpr")
    )
    data, archive, ring = folder / "data", folder / "signed_v2.21.0.tar.gz.gpg", folder / "ring.gpg"
    with data.open("wb") as file:
        for _ in range(0, size, 1 << 20):
            file.write(os.urandom(1 << 20))
    gpg("-z0", "-o", str(archive), "-s", str(data))
    gpg("-o", str(ring), "--export")
    data.unlink()
    digest = gpg("--list-packets", str(archive)).split("digest algo ")[1].split(",")[0]
    ours = [*LAUNCHER, "verify", str(archive), "--signer", signer, "--keyring", str(ring)]
    try:
        return compare(
            "verify", "gpg --verify", 1.2, lambda: run(ours, env=env),
            lambda: run(["gpg", "--verify", str(archive)], env=env), runs,
            note=f"{size >> 20} MiB, signature with hash algorithm {digest}; sha256 of the file included",
        )  # fmt: skip
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        archive.unlink()


def _simulated(scenario: str) -> Took:
    with tempfile.TemporaryDirectory() as state:
        argv = [*LAUNCHER, "run", "--yes", "--state-dir", state, "--simulate", str(SCENARIOS / scenario)]
        return run(argv, env={**os.environ, "PYTHONPATH": str(ROOT), "CTM_BACKUP_KEY_PASSWORD": "x"})


def twenty(runs: int) -> Result:
    """Real seconds of a run in virtual time."""
    took = tuple(_simulated("healthy-twenty") for _ in range(runs))
    ratios = tuple(one.wall / 2.0 for one in took)
    reached = statistics.median(ratios) <= 1.0
    wanted = "at most 1 of it, under 100 MiB"
    return Result("20-node in-place run, simulated", "2 s", wanted, ratios, took, (), reached).within(100)


def orchestration(runs: int) -> tuple[Result, Result]:
    """What this program adds to the nodes' own work in real runs of the lab, the median node of each; and how soon it
    goes on with a node that is back."""
    took, additions, back = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder, site(Path(folder) / "lab", 3) as made:
            took.append(ctmupgrade(made, "run", "--yes"))
            made.ended_well()
            additions.append(statistics.median(map(sum, added(made).values())))
            back.append(statistics.median(noticed(made).values()))
    polls = f"poll {POLL:g} s in place of the default 5 s"
    note = (
        f"3-node runs in the lab, {polls}, stable_for {STABLE:g} s; from a node's turn to its script, from the script's "
        "end to the reboot, settling beyond stable_for; left out: backups and uploads before, the script, the reboot "
        "and noticing its end, which is the next line; wall: the whole run"
    )
    ready = (
        f"the same runs, {polls}; from its services being up to the next step with it; that the others see it, "
        "which they look at once a second, is in it"
    )
    return (
        _seconds("orchestration, a node", ORCHESTRATION, additions, took, note),
        _seconds("noticing that a node is back", NOTICING, back, took, ready),
    )


def _seconds(name: str, limit: float, found: Sequence[float], took: Sequence[Took], note: str) -> Result:
    """A line of seconds against a limit in seconds."""
    ratios = tuple(one / limit for one in found)
    reached, note = statistics.median(ratios) <= 1.0, f"median {statistics.median(found):.2f} s; {note}"
    return Result(name, f"{limit:g} s", "at most 1 of it", ratios, tuple(took), (), reached, note).within()
