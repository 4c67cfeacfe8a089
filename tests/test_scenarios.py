"""Every scenario runs by the command line as its golden files say. New folders are found by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.golden import SCENARIOS


@pytest.mark.parametrize("name", [folder.name for folder in golden.scenarios()])
def test_it_ends_as_its_golden_files_say(name: str, tmp_path: Path) -> None:
    for file, text in golden.produce(SCENARIOS / name, tmp_path).items():
        kept = SCENARIOS / name / file
        assert kept.is_file(), f"{name}/{file} is missing; scripts/golden writes it"
        assert text == kept.read_text(encoding="utf-8"), (
            f"{name}/{file} has drifted; scripts/golden, then git diff"
        )


def test_a_paused_simulated_run_goes_on_in_another_process(tmp_path: Path) -> None:
    """The world is kept with the run: what was done is done, and what failed is tried again."""
    common = ["--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / "upgrade-fails-on-node-2")]
    code, printed = golden.call("run", "--yes", "--format", "json", *common)
    run = json.loads(printed.splitlines()[-1])["run"]
    assert code == 5
    assert (
        golden.call("node", "retry", run, "ctm-2", "--reason", "mended", "--state-dir", str(tmp_path))[0] == 0
    )
    code, printed = golden.call("resume", run, "--format", "json", *common)
    report = json.loads(printed.splitlines()[-1])
    assert (code, report["outcome"]) == (0, "done")
    assert {node["version_after"] for node in report["nodes"]} == {"2.21.0+15451"}
    starts = [s for s in report["steps"] if s["id"] == "upgrade:ctm-1"]
    assert starts[0]["finished"] < report["finished"]


def _program(*argv: str) -> tuple[int, float, str]:
    """The program in a process of its own: (exit code, seconds, standard output)."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ctmupgrade", *argv], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, time.monotonic() - began, done.stdout


@pytest.mark.parametrize("name", ["healthy-three", "upgrade-fails-on-node-2", "no-backup"])
def test_the_installed_program_exits_as_the_scenario_says(name: str, tmp_path: Path) -> None:
    code, _, _ = _program("run", "--yes", "--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / name))
    assert code == int((SCENARIOS / name / "exit_code").read_text(encoding="utf-8"))


# A small parent of its own: a child's peak memory includes its parent's at the moment of the fork.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "ctmupgrade", *sys.argv[1:]], os.environ,
                     file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def _measured(name: str, tmp_path: Path) -> tuple[float, int]:
    """Processor seconds and peak KiB of a whole simulated run."""
    words = ["run", "--yes", "--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / name)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=True)
    code, seconds, peak = done.stdout.split()
    assert code == "0"
    return float(seconds), int(peak)


def test_twenty_nodes_are_fast_and_small(tmp_path: Path) -> None:
    """Processor time of the best of three, for a busy machine must not fail it: under 2 s; and under 100 MiB."""
    runs = [_measured("healthy-twenty", tmp_path) for _ in range(3)]
    assert min(seconds for seconds, _ in runs) / _slowness() < 2.0
    assert max(peak for _, peak in runs) < 100 * 1024


def _slowness() -> float:
    """How much slower than when nothing else runs this machine is just now; never less than 1."""
    began = time.process_time()
    sum(i * i for i in range(1_000_000))
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1)
    return max(1.0, crowd, (time.process_time() - began) / 0.055)
