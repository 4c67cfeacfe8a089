"""``backup``: the right backup, the key that opens it, and files that prove both. In the simulator."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.backup import key_for
from ctmupgrade.commands import check, prepare
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.core.looks.backups import BackupEntry, BackupKey
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import MakeBackup
from ctmupgrade.core.restorable import backup_fits
from ctmupgrade.core.version import Version
from tests.support.world_run import PASSWORD, Drive, make_world


def _backup(tmp_path: Path, node: dict[str, Any] | None = None, **world: Any) -> tuple[Outcome, Drive]:
    """``ctmupgrade backup`` on one node and two ordinary ones."""
    nodes = [{"name": "ctm-1", **(node or {})}, {"name": "ctm-2"}, {"name": "ctm-3"}]
    drive = Drive(make_world(3, nodes=nodes, **world), tmp_path)
    return prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup), drive


def _files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in (folder / "backups").iterdir()}


def _errors(outcome: Outcome) -> list[str]:
    assert outcome.state is not None
    return [held.error for held in outcome.state.steps.values() if held.error]


def test_every_node_gets_its_backup_and_key_with_a_manifest(tmp_path: Path) -> None:
    outcome, drive = _backup(tmp_path)
    assert outcome.code == 0
    files = _files(tmp_path)
    manifests = [
        json.loads(p.read_text(encoding="utf-8")) for n, p in files.items() if n.endswith(".manifest.json")
    ]
    assert {m["node"] for m in manifests} == {"ctm-1", "ctm-2", "ctm-3"}
    for manifest in manifests:
        assert (manifest["cluster"], manifest["version"]) == ("test", "2.20.0+15016")
        assert manifest["backup_id"] and manifest["key_id"] == "key-default" and manifest["created"]
        assert manifest["counts"] == {"keys": 0, "users": 1} and manifest["hsm"] == []
        assert manifest["tied_to_hsm"] is False and manifest["proven"] is None
        assert [
            n for n in files if n.startswith(f"test-{manifest['node']}-") and n.endswith("-settings.json")
        ]
        for kind in ("file", "key_file"):
            content = files[manifest[kind]["name"]].read_bytes()
            assert manifest[kind]["size"] == len(content)
            assert manifest[kind]["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(files) == 12 and not [n for n in files if n.endswith(".part")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "backups").stat().st_mode) == 0o700
    assert not drive.world.of_kind("secret_on_command_line")
    assert not [e for e in drive.world.changes() if os.environ[PASSWORD] in e.detail]


def test_a_fresh_one_is_not_made_again_and_an_old_one_is(tmp_path: Path) -> None:
    _, drive = _backup(tmp_path)
    before = len(drive.world.of_kind("backup_created"))
    assert prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup).code == 0
    assert len(drive.world.of_kind("backup_created")) == before
    drive.world.clock.advance(timedelta(hours=25).total_seconds())
    assert prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup).code == 0
    assert len(drive.world.of_kind("backup_created")) == 2 * before


def test_the_newest_is_found_beyond_the_first_page(tmp_path: Path) -> None:
    """The default page of ten hides it, and so do 120 for a page of a hundred."""
    for count in (12, 120):
        old = [{"id": f"old-{i}", "created": -7200.0 - i, "key_id": "key-default"} for i in range(count)]
        outcome, drive = _backup(tmp_path / str(count), {"backups": old})
        assert outcome.code == 0, _errors(outcome)
        (made,) = [e.detail for e in drive.world.of_kind("backup_created", "ctm-1")]
        assert [e.detail for e in drive.world.of_kind("backup_downloaded", "ctm-1")] == [made]


def test_the_key_that_opens_it_is_kept_not_another(tmp_path: Path) -> None:
    keys = [{"id": f"key-{i}", "default": False} for i in range(11)] + [{"id": "key-mine", "default": True}]
    outcome, drive = _backup(tmp_path, {"backup_keys": keys})
    assert outcome.code == 0, _errors(outcome)
    assert [e.detail for e in drive.world.of_kind("key_downloaded", "ctm-1")] == ["key-mine"]


def test_an_inactive_key_blocks(tmp_path: Path) -> None:
    outcome, drive = _backup(tmp_path, {"backup_keys": [{"id": "key-default", "state": "deactivated"}]})
    assert outcome.code == 5
    assert any(
        "no active backup key opens backup" in text and "deactivated" in text for text in _errors(outcome)
    )
    assert not [n for n in _files(tmp_path) if "ctm-1" in n and n.endswith(".manifest.json")]
    assert not drive.world.of_kind("upgrade_started")


def test_which_key_opens_a_backup() -> None:
    entry = BackupEntry("b", "system", "completed", None, "k2")
    one, two = BackupKey("k1", "active", True), BackupKey("k2", "active")
    assert key_for(entry, (one, two)) is two
    assert key_for(entry, (one, replace(two, state="revoked"))) is None
    assert key_for(replace(entry, key_id=""), (two, one)) is one
    assert key_for(replace(entry, key_id=""), (two, replace(two, id="k3"))) is None, "nobody can tell which"


def test_a_backup_only_on_the_node_counts_for_nothing(tmp_path: Path) -> None:
    """It dies with its node: it is made anew and downloaded."""
    there = [{"id": "only-there", "created": -60.0, "key_id": "key-default"}]
    outcome, drive = _backup(tmp_path, {"backups": there})
    assert outcome.code == 0
    assert "only-there" not in [e.detail for e in drive.world.of_kind("backup_downloaded", "ctm-1")]


def test_a_changed_or_lost_file_is_noticed(tmp_path: Path) -> None:
    _, drive = _backup(tmp_path)
    files = _files(tmp_path)
    changed = next(p for n, p in files.items() if n.startswith("test-ctm-1") and n.endswith(".backup"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"X")
    next(p for n, p in files.items() if n.startswith("test-ctm-2") and n.endswith(".key")).unlink()
    found = {f.node: f for f in check.check(drive.setup(), only=["backup_downloaded_with_key"]).findings}
    assert "is not what was downloaded" in found["ctm-1"].summary
    assert "is gone" in found["ctm-2"].summary
    assert found["ctm-3"].verdict.value == "pass"
    before = len(drive.world.of_kind("backup_created"))
    assert prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup).code == 0
    again = [e.node for e in drive.world.of_kind("backup_created")][before:]
    assert again == ["ctm-1", "ctm-2"]


def test_a_torn_manifest_proves_nothing(tmp_path: Path) -> None:
    _, drive = _backup(tmp_path)
    manifest = next(
        p for n, p in _files(tmp_path).items() if n.startswith("test-ctm-1") and n.endswith(".manifest.json")
    )
    manifest.write_text(manifest.read_text(encoding="utf-8")[:50], encoding="utf-8")
    found = {f.node: f for f in check.check(drive.setup(), only=["backup_downloaded_with_key"]).findings}
    assert found["ctm-1"].verdict.value == "warn" and "`run` makes one first" in found["ctm-1"].summary


def test_another_clusters_backup_proves_nothing(tmp_path: Path) -> None:
    """Two clusters may share a folder, and the name of one may begin with the other's: test, test-ctm-1."""
    _, drive = _backup(tmp_path)
    (path,) = [
        p for n, p in _files(tmp_path).items() if n.startswith("test-ctm-1") and n.endswith(".manifest.json")
    ]
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**body, "cluster": "test-ctm"}), encoding="utf-8")
    found = {f.node: f for f in check.check(drive.setup(), only=["backup_downloaded_with_key"]).findings}
    assert (found["ctm-1"].verdict.value, found["ctm-2"].verdict.value) == ("warn", "pass")


def test_a_failing_backup_stops_before_anything_is_changed(tmp_path: Path) -> None:
    outcome, drive = _backup(tmp_path, faults=[{"kind": "backup_fails", "node": "ctm-1"}])
    assert outcome.code == 5 and outcome.state is not None
    held = outcome.state.steps["backup:ctm-1"]
    assert "ended as failed" in held.error and "ctmupgrade node retry" in held.remedy
    assert not [n for n in _files(tmp_path) if "ctm-1" in n]
    assert not drive.world.of_kind("upgrade_started")


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("backup download", 1, "Error: write /b/x.backup: no space left on device"),
        ("backup download", 1, ""),
        ("backup download", 2, "stream error: stream ID 3; CANCEL"),
        ("backup download", 0, "Error: copying the backup: short write"),
        ("backupkeys download", 1, "Error: unknown flag: --file"),
    ],
)
def test_half_a_download_is_no_backup(tmp_path: Path, what: str, code: int, said: str) -> None:
    """A file lies there, as after a whole one: only what ksctl says of it tells them apart."""
    cut = {
        "kind": "reply",
        "node": "ctm-1",
        "command": f"ksctl {what}",
        "ran": True,
        "code": code,
        "err": said,
    }
    outcome, _drive = _backup(tmp_path, faults=[cut])
    assert outcome.code == 5 and outcome.state is not None
    assert (said or f"ended with {code}") in outcome.state.steps["backup:ctm-1"].error
    assert not [name for name in _files(tmp_path) if "ctm-1" in name and name.endswith(".manifest.json")]


def test_without_a_password_for_the_key_no_backup_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = Drive(make_world(3), tmp_path)
    monkeypatch.delenv(PASSWORD)
    found = check.check(drive.setup(), only=["backup_downloaded_with_key"]).findings
    assert {f.verdict.value for f in found} == {"block"} and f"variable {PASSWORD}" in found[0].summary
    outcome = prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup)
    assert outcome.code == 3 and not drive.world.of_kind("backup_created")


def test_a_rebuild_makes_one_younger_than_the_run_on_its_survivor(tmp_path: Path) -> None:
    _, drive = _backup(tmp_path)
    rebuilt = Drive(drive.world, tmp_path, StrategyName.REBUILD, options=Options(survivor="ctm-1"))
    steps = [s.id for s in rebuilt.plan().steps if s.id.startswith("backup:")]
    assert steps == ["backup:ctm-1"], "the others' are fresh"


@pytest.mark.parametrize(
    ("made", "restored", "fits"),
    [
        ("2.20.0", "2.20.0", True), ("2.20.0", "2.23.0", True), ("2.20.0", "2.24.0", False),
        ("2.20.1", "2.20.0", False), ("2.21.0", "2.20.0", False), ("2.11.0", "2.19.0", True),
        ("2.11.0", "2.23.0", True), ("2.12.0", "2.19.0", False),
    ],
)  # fmt: skip
def test_what_a_backup_restores_on(made: str, restored: str, fits: bool) -> None:
    assert backup_fits(Version.parse(made), Version.parse(restored)) is fits


def test_nobody_needs_to_know_more_than_the_listing_tells(tmp_path: Path) -> None:
    """A listing that is not understood blocks: it is never taken for an empty one."""
    fault = {"kind": "garbage", "node": "ctm-1", "command": "ksctl backup list", "times": 0}
    drive = Drive(make_world(3, faults=[fault]), tmp_path)
    outcome = prepare.prepare_only(drive.setup(), RunOptions(), MakeBackup)
    assert outcome.code == 4 and not drive.world.of_kind("backup_created", "ctm-1")
