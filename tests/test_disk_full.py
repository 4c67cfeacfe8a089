"""A disk of this machine that takes nothing, in the middle of a run: a step that failed, no bug."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.backups import BackupStore
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.world_run import Drive, make_world


def drive(folder: Path) -> Drive:
    world = make_world(2, defaults={"times": TIMES}, archive={"size": 200_000, "generated": True})
    made = Drive(world, folder, settings=SETTINGS)
    plan = made.plan()
    made.plan = lambda: plan  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize("what", ["paths", "keep", "save"])
def test_a_full_disk_fails_the_step_and_pauses_the_run(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drive(tmp_path)

    def full(*_args: object) -> object:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/backups/x.part")

    with monkeypatch.context() as patched:
        patched.setattr(BackupStore, what, full)
        assert run.start() == 5
    assert run.error is None and run.stuck
    for _step, held in run.stuck:
        assert "error on this machine: /backups/x.part: No space left on device" in held.error
        assert "df" in held.remedy and "ctmupgrade resume" in held.remedy
    assert not any(node.version.startswith("2.21") for node in run.world.nodes.values())
    assert run.resume() == 0, "with room again it goes on"


def test_a_folder_that_cannot_be_looked_into_is_not_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/backups")

    store = BackupStore(tmp_path / "backups", "c")
    monkeypatch.setattr(Path, "is_dir", shut)
    assert store.manifests() == ()
    assert "not writable" in store.unusable()
