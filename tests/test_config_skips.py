"""``checks.skip`` of cluster.yaml: the same as ``--skip``, with an end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.desk import SCENARIOS, Desk

CHECK, REASON = "ntp_synchronised", "CHG-4711"


def type_at(tmp_path: Path, until: str, *words: str, check: str = CHECK) -> tuple[Desk, int, str]:
    """Types words where a node follows no time server and cluster.yaml skips that check; simulated, in 2026."""
    folder = tmp_path / "fixture"
    shutil.copytree(SCENARIOS / "ntp-off", folder, dirs_exist_ok=True)
    text = (SCENARIOS / "ntp-off" / "cluster.yaml").read_text()
    (folder / "cluster.yaml").write_text(
        f"{text}checks:\n  skip:\n    - {{check: {check}, reason: {REASON}, until: {until}}}\n"
    )
    desk = Desk(tmp_path)
    said = desk.type(*words, "--simulate", str(folder))
    return desk, said.returncode, said.stdout + said.stderr


@pytest.mark.parametrize("until", ["2100-01-01", "2026-12-31T00:00:00+14:00"])
def test_a_check_is_skipped_up_to_its_end_and_the_journal_says_why(tmp_path: Path, until: str) -> None:
    desk, code, said = type_at(tmp_path, until, "run", "--yes", "--dry-run")
    assert code == 0, said
    started = json.loads(desk.journal.read_text().splitlines()[0])["event"]
    ((check, reason),) = started["plan"]["options"]["skips"]
    assert check == CHECK and reason.startswith(f"{REASON} (until ")
    _desk, code, said = type_at(tmp_path, until, "check")
    assert code == 0 and f"[skipped: {REASON} (until " in said


@pytest.mark.parametrize("until", ["2025-12-31", "2026-01-01T00:00:00Z"])
def test_one_that_has_ended_blocks_and_says_so(tmp_path: Path, until: str) -> None:
    for words in (["check"], ["run", "--yes"]):
        _desk, code, said = type_at(tmp_path, until, *words)
        assert code == 3, said
    _desk, code, said = type_at(tmp_path, until, "check")
    assert "[its skip in cluster.yaml ended 202" in said and "skipped:" not in said


def test_the_command_line_wins(tmp_path: Path) -> None:
    _desk, code, said = type_at(tmp_path, "2025-12-31", "check", "--skip", f"{CHECK}=tonight")
    assert code == 0 and "[skipped: tonight]" in said and "ended" not in said


@pytest.mark.parametrize("check", ["archive_signature_good", "no_such_check"])
def test_what_cannot_be_skipped_is_refused_with_its_line(tmp_path: Path, check: str) -> None:
    _desk, code, said = type_at(tmp_path, "2100-01-01", "check", check=check)
    assert code == 2 and "checks.skip[0].check: " in said
