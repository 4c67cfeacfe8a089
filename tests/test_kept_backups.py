"""``backup --verify`` and ``backup --prune``: what was downloaded, looked over and thinned out. The installed program."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from ctmupgrade.core.looks.backups import Manifest
from tests.support.desk import SCENARIOS, Desk
from tests.support.forging import forge_first
from tests.support.live import PROGRAM
from tests.support.terminal import on_terminal

NOW = datetime.now(UTC).replace(microsecond=0)


class Shelf(Desk):
    """A desk with backups of the scenario's cluster in its folder for backups."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        text = (SCENARIOS / "healthy-three" / "cluster.yaml").read_text(encoding="utf-8")
        (folder / "cluster.yaml").write_text(text, encoding="utf-8")
        name = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("cluster:"))
        self.store = BackupStore(folder / "backups", name)

    def put(self, node: str, identity: str, age_h: float) -> Manifest:
        file, key_file = self.store.paths(node, identity)
        file.write_text(f"backup {identity}", encoding="utf-8")
        key_file.write_text(f"key {identity}", encoding="utf-8")
        at = NOW - timedelta(hours=age_h)
        return self.store.keep(
            Manifest(node, "2.20.0", identity, "k", at, str(file), str(key_file), downloaded=at)
        )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def _needs(document: Any) -> dict[str, list[str]]:
    return {one["backup"]: one["needed_by"] for one in document["backups"]}


def test_no_backup_is_no_proof(shelf: Shelf) -> None:
    assert shelf.ok("backup", "--verify", code=3)["good"] is False


def test_whole_ones_are_told_with_what_needs_them(shelf: Shelf) -> None:
    shelf.put("ctm-1", "old", 50)
    shelf.put("ctm-1", "new", 2)
    document = shelf.ok("backup", "--verify")
    assert document["good"] is True
    assert _needs(document) == {"new": ["the newest whole one of ctm-1"], "old": []}


@pytest.mark.parametrize("harm", ["changed", "key gone", "torn manifest", "backup is a folder"])
def test_damage_is_told(shelf: Shelf, harm: str) -> None:
    made = shelf.put("ctm-1", "b", 2)
    shelf.put("ctm-2", "c", 2)
    file, key = Path(made.file), Path(made.key_file)
    if harm == "changed":
        file.write_text("backup X", encoding="utf-8")
    elif harm == "key gone":
        key.unlink()
    elif harm == "torn manifest":
        manifest = file.with_suffix(".manifest.json")
        manifest.write_text(manifest.read_text(encoding="utf-8")[:40], encoding="utf-8")
    else:
        file.unlink()
        file.mkdir()
    said = shelf.type("backup", "--verify")
    assert said.returncode == 5 and "DAMAGED" in said.stdout and "whole    ctm-2" in said.stdout, said
    assert "ctmupgrade backup" in said.stdout


def test_a_manifest_that_is_none_is_told_in_words(shelf: Shelf) -> None:
    shelf.put("ctm-1", "b", 2)
    head = f"{shelf.store.directory}/{shelf.store.cluster}-ctm-1"
    Path(f"{head}-folder.manifest.json").mkdir()
    Path(f"{head}-list.manifest.json").write_text("[]", encoding="utf-8")
    said = shelf.type("backup", "--verify").stdout
    assert "it is a folder" in said and "it does not say what a manifest says" in said
    assert "Errno" not in said and "indices" not in said


def test_what_nobody_proves_is_told(shelf: Shelf) -> None:
    made = shelf.put("ctm-1", "b", 2)
    shutil.copy(made.file, Path(made.file).with_name(f"{shelf.store.cluster}-ctm-9-x.backup"))
    document = shelf.ok("backup", "--verify")
    assert document["strays"] == [f"{shelf.store.cluster}-ctm-9-x.backup"]


def test_the_question_before_any_is_removed_is_seen(shelf: Shelf) -> None:
    for identity, age in (("a", 90), ("b", 80)):
        shelf.put("ctm-1", identity, age)
    argv = [str(PROGRAM), "backup", "--prune", "--keep", "1", "--state-dir", str(shelf.state)]
    with on_terminal(argv, shelf.folder, shelf.environ, columns=80, lines=24) as terminal:
        terminal.until("[y/N]:")
        lines = [line for line in terminal.seen() if line]
        assert lines[-1] == "Remove them? [y/N]:" and lines[-2] == "n or Ctrl-C: nothing is removed."
        terminal.type("n\n")
        assert terminal.ended() == 7


def test_old_ones_go_and_what_is_needed_stays(shelf: Shelf) -> None:
    for identity, age in (("a", 90), ("b", 80), ("c", 70), ("d", 60)):
        shelf.put("ctm-1", identity, age)
    shelf.put("ctm-2", "only", 90)
    shelf.store.note_proven(shelf.put("ctm-1", "drilled", 100), NOW - timedelta(hours=50))
    shelf.store.note_proven(shelf.put("ctm-1", "a", 90), NOW - timedelta(hours=51))
    damaged = shelf.put("ctm-1", "hurt", 95)
    Path(damaged.file).write_text("x", encoding="utf-8")
    before = sorted(path.name for path in shelf.store.directory.iterdir())
    assert shelf.type("backup", "--prune", "--keep", "2").returncode == 2, "nobody was asked"
    dry = shelf.ok("backup", "--prune", "--keep", "2", "--dry-run", "--yes")
    assert [one["backup"] for one in dry["chosen"]] == ["b", "a"] and dry["removed"] == []
    assert sorted(path.name for path in shelf.store.directory.iterdir()) == before
    done = shelf.ok("backup", "--prune", "--keep", "2", "--yes")
    assert [one["backup"] for one in done["removed"]] == ["b", "a"]
    left = {json.loads(path.read_text())["backup_id"] for path in shelf.store.directory.glob("*.json")}
    assert left == {"c", "d", "only", "hurt", "drilled"}
    assert len(list(shelf.store.directory.iterdir())) == 3 * len(left), "nothing else is left"
    assert shelf.ok("backup", "--prune", "--keep", "2", "--yes")["removed"] == []


def test_a_run_that_is_not_over_keeps_what_it_relies_on(shelf: Shelf) -> None:
    """Its journal is on this machine: what was fresh when it began is its way back."""
    for identity, age in (
        ("fresh", 1),
        ("fresher", 0.5),
        ("old", 20_000),
    ):  # the simulated clock is not today's
        shelf.put("ctm-1", identity, age)
    said = shelf.type("run", "--stop-after", "ctm-1", scenario="healthy-three")
    assert said.returncode == 7
    journal = shelf.journal
    document = shelf.ok("backup", "--verify")
    assert _needs(document)["fresh"] == [], "a simulated run needs none of them"
    forge_first(journal, lambda event: event.update(mode="LIVE"))
    document = shelf.ok("backup", "--verify")
    run = journal.parent.name
    assert _needs(document)["fresh"] == [f"run {run}, which is not over"]
    assert [one["backup"] for one in shelf.ok("backup", "--prune", "--keep", "1", "--yes")["removed"]] == [
        "old"
    ]


def test_a_journal_that_cannot_be_read_keeps_all(shelf: Shelf) -> None:
    shelf.put("ctm-1", "a", 90)
    shelf.put("ctm-1", "b", 80)
    shelf.type("run", "--stop-after", "ctm-1", scenario="healthy-three")
    shelf.journal.write_text("torn\n", encoding="utf-8")
    said = shelf.type("backup", "--prune", "--keep", "1", "--yes")
    assert said.returncode == 2 and "nothing is removed" in said.stderr
    assert len(list(shelf.store.directory.iterdir())) == 6


@pytest.mark.parametrize(
    "words",
    [("--verify", "--prune", "--keep", "2"), ("--prune",), ("--keep", "2"), ("--prune", "--keep", "0"),
     ("--verify", "--simulate", str(SCENARIOS / "healthy-three")),
     ("--prune", "--keep", "1", "--yes", "--nodes", "ctm-1"), ("--verify", "--nodes", "ctm-1")],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(shelf: Shelf, words: tuple[str, ...]) -> None:
    assert shelf.type("backup", *words).returncode == 2
