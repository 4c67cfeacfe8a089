"""Every scenario runs by the command line as its golden files say. New folders are found by themselves."""

from __future__ import annotations

import json
import pstats
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.golden import SCENARIOS
from tests.support.live import clean_environ
from tests.support.world_run import PASSWORD


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


def _program(*argv: str) -> tuple[int, str]:
    """The program in a process of its own: (exit code, standard output)."""
    done = subprocess.run(
        [sys.executable, "-m", "ctmupgrade", *argv], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["healthy-three", "upgrade-fails-on-node-2", "no-backup"])
def test_the_installed_program_exits_as_the_scenario_says(name: str, tmp_path: Path) -> None:
    code, _ = _program("run", "--yes", "--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / name))
    assert code == int((SCENARIOS / name / "exit_code").read_text(encoding="utf-8"))


# A small parent of its own: a child's peak memory includes its parent's at the moment of the fork.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "ctmupgrade", *sys.argv[1:]], os.environ,
                     file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""


def _peak(name: str, tmp_path: Path) -> int:
    """Peak KiB of a whole simulated run."""
    words = ["run", "--yes", "--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / name)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=True)
    code, peak = done.stdout.split()
    assert code == "0"
    return int(peak)


def _calls(name: str, tmp_path: Path) -> int:
    """How many functions a whole simulated run calls, Python's and C's, from its start to its end."""
    words = ["run", "--yes", "--state-dir", str(tmp_path), "--simulate", str(SCENARIOS / name)]
    tmp_path.mkdir()
    profile = tmp_path / "profile"
    done = subprocess.run(
        [sys.executable, "-m", "cProfile", "-o", str(profile), "-m", "ctmupgrade", *words],
        capture_output=True, text=True, check=False, env={**clean_environ(tmp_path), PASSWORD: "to-be-hidden-everywhere"},
    )  # fmt: skip
    assert "(SIMULATED): done" in done.stdout, (
        done.stdout + done.stderr
    )  # the profiler ends with 0 in any case
    return int(pstats.Stats(str(profile)).total_calls)  # type: ignore[attr-defined]


def test_twenty_nodes_are_little_work_and_small(tmp_path: Path) -> None:
    """A run of twenty nodes: under 12.5 million calls (two seconds or so), a secret to hide among them, whatever else the machine does; and under
    100 MiB."""
    assert (
        _calls("healthy-twenty", tmp_path / "counted") < 12_500_000
    )  # 5 until each pair was also asked how far it is behind, and for port 2380; 12 until all are looked at once more at the end
    assert _peak("healthy-twenty", tmp_path / "measured") < 100 * 1024
