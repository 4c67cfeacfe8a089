"""Journals written by version 0.1.0, one a scenario: each is still read, resumed and ended as that version did.

``tests/journals/NAME`` holds a run's journal, its simulated world where it was paused or failed, and ``after.json``:
what ``resume`` of the version that wrote it ended with. They are never written again by today's code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import golden

JOURNALS = Path(__file__).parent / "journals"
SCENARIOS = Path(__file__).parents[1] / "fixtures" / "scenarios"


def _placed(name: str, state_dir: Path) -> dict[str, Any]:
    """Puts the run where the version that wrote it had it. Returns what is expected of it."""
    expected: dict[str, Any] = json.loads((JOURNALS / name / "after.json").read_text(encoding="utf-8"))
    folder = state_dir / expected["cluster"] / expected["run"]
    folder.mkdir(parents=True, mode=0o700)
    for file in ("journal.jsonl", "world.json"):
        if (JOURNALS / name / file).is_file():
            shutil.copy(JOURNALS / name / file, folder)
            (folder / file).chmod(0o600)
    return expected


@pytest.mark.parametrize("name", sorted(p.name for p in JOURNALS.iterdir()))
def test_a_journal_of_an_earlier_version_goes_on(name: str, tmp_path: Path) -> None:
    expected = _placed(name, tmp_path)
    simulate = ["--simulate", str(SCENARIOS / expected["scenario"])]
    code, said = golden.call("report", expected["run"], "--verify", "--state-dir", str(tmp_path))
    assert code == 0, said
    code, said = golden.call("resume", "--yes", *simulate, "--state-dir", str(tmp_path))
    assert code == expected["exit_code"], said
    code, said = golden.call("status", expected["run"], "--state-dir", str(tmp_path), "--format", "json")
    seen = json.loads(said)
    assert (code, seen["state"], seen["outcome"]) == (0, expected["state"], expected["outcome"])
    assert {node["name"]: node["version_after"] for node in seen["nodes"]} == expected["nodes"]
