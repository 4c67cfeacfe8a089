"""Private folders: for their owner only, gone afterwards, and swept up after a ``kill -9``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ctmupgrade.adapters.disk import private_folder as adapter
from ctmupgrade.adapters.disk.private_folder import PREFIX, private_folder

HOLDS_ONE = """
from ctmupgrade.adapters.disk.private_folder import private_folder
with private_folder() as folder:
    (folder / "secret").write_text("hunter2")
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of this process and of those it starts."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pf") as name:
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setattr(adapter, "_swept", set())
        yield Path(name)


@contextmanager
def holder(*, helped: bool = False) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a folder of its own, and that folder. :param helped: its helper removes it after a kill."""
    alone = (
        ""
        if helped
        else "from ctmupgrade.adapters.disk import private_folder as adapter\nadapter.remove_after_us = lambda _: None\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", alone + HOLDS_ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdin
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_it_is_gone_soon_after_a_kill(base: Path) -> None:
    with holder(helped=True) as (process, folder):
        helper: list[psutil.Process] = []
        end = time.monotonic() + 60
        while not helper and time.monotonic() < end:  # between fork and exec it looks like its parent
            children = psutil.Process(process.pid).children()
            helper = [child for child in children if "--remove-after-us" in child.cmdline()]
        process.kill()
        process.wait()
        psutil.wait_procs(helper, timeout=120)
        assert len(helper) == 1 and not folder.exists() and list(base.iterdir()) == []


def test_a_folder_that_another_one_made_under_the_same_name_stays(base: Path) -> None:
    with holder(helped=True) as (process, folder):
        [helper] = psutil.Process(process.pid).children()
        shutil.rmtree(folder)
        (base / "in its place, so that the number is not used again").mkdir()
        folder.mkdir()
        process.kill()
        process.wait()
        psutil.wait_procs([helper], timeout=120)
        assert folder.is_dir()


def test_for_its_owner_only_and_gone_afterwards(base: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == base
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert list(base.iterdir()) == []


def test_gone_after_an_error(base: Path) -> None:
    with pytest.raises(KeyError), private_folder():
        raise KeyError
    assert list(base.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(base: Path) -> None:
    with holder() as (killed, abandoned), holder() as (_, living):
        killed.kill()
        killed.wait()
        assert (abandoned / "secret").exists()
        with private_folder():
            assert not abandoned.exists()
            assert (living / "secret").exists(), "its process still uses it"


def test_nothing_else_is_removed(base: Path) -> None:
    elsewhere = base / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    (base / f"{PREFIX}link").symlink_to(elsewhere)
    (base / f"{PREFIX}file").write_text("not a folder")
    with private_folder():
        pass
    assert (elsewhere / "file").exists()
    assert (base / f"{PREFIX}link").is_symlink()
    assert (base / f"{PREFIX}file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_stays(base: Path) -> None:
    other = base / f"{PREFIX}other"
    other.mkdir()
    os.chown(other, 65534, 65534)
    with private_folder():
        assert other.exists()


def test_a_sweep_between_making_and_locking(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes the new folder for an abandoned one before it is locked: a second one is made."""
    made: list[str] = []

    def make(**options: str) -> str:
        made.append(original(**options))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    original = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", make)
    with private_folder() as folder:
        assert folder.is_dir()
        assert [str(folder)] == made[1:]


def test_a_long_temporary_folder(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gpg makes sockets below it, whose paths are limited."""
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with private_folder() as folder:
        assert folder.parent == Path("/tmp")
