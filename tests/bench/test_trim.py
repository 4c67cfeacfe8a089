"""Files that are kept short: their size and their end stay."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.bench import trim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="holes are made in Linux's way")


def filled(path: Path, size: int) -> int:
    """:returns: bytes that it takes."""
    path.write_bytes(b"x" * size)
    return path.stat().st_blocks * 512


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    filled(path, 1 << 20)
    try:
        trim.give_back(path, 4096)
    except OSError as error:
        pytest.skip(str(error))
    return path


def test_what_is_before_the_window_is_given_back(file: Path) -> None:
    before = filled(file, 1 << 22)
    trim.give_back(file, 1 << 20)
    about = file.stat()
    assert about.st_size == 1 << 22
    assert about.st_blocks * 512 < before // 2
    text = file.read_bytes()
    assert text[-(1 << 20) :] == b"x" * (1 << 20)
    assert text[: 1 << 20] == bytes(1 << 20)


def test_a_short_file_and_a_missing_one_are_left_alone(file: Path) -> None:
    filled(file, 1000)
    trim.give_back(file, 4096)
    trim.give_back(file.with_name("not-yet"))
    assert file.read_bytes() == b"x" * 1000


def test_it_happens_while_the_block_runs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trim, "EVERY", 0.01)
    size = trim.WINDOW + (1 << 23)
    with trim.kept_short([file.with_name("not-yet"), file]):
        filled(file, size)
        end = time.monotonic() + 30
        while file.read_bytes()[: 1 << 22] != bytes(1 << 22) and time.monotonic() < end:
            time.sleep(0.01)
    assert file.read_bytes()[: 1 << 22] == bytes(1 << 22)
    assert file.stat().st_size == size
