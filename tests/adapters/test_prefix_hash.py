"""Beginnings of a file are hashed once, whoever asks for how many of them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg import prefix_hash
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes, Recorder

STEP = 1 << 20
SIZE = 5 * STEP + 12_345


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prefix_hash, "STEP", STEP)
    file = tmp_path / "archive"
    file.write_bytes(os.urandom(SIZE))
    return file


def test_every_length_is_right_and_twenty_nodes_read_the_file_once(path: Path) -> None:
    data, hashes = path.read_bytes(), PrefixHashes()
    lengths = [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP, SIZE - 1, SIZE, SIZE + 7]
    for length in lengths + lengths[::-1]:
        assert hashes.prefix(path, length) == hashlib.sha256(data[:length]).hexdigest(), length
    before = hashes.bytes_read
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: hashes.prefix(path, n % 5 * STEP), range(20)))
    assert hashes.bytes_read == before, "at whole steps nothing is read again"
    hashes.prefix(path, 4 * STEP + 10)
    assert hashes.bytes_read == before + 10


def test_a_first_look_reads_each_byte_once(path: Path) -> None:
    hashes = PrefixHashes()
    for part in range(1, 6):
        hashes.prefix(path, part * STEP)
    assert hashes.bytes_read == 5 * STEP


def test_what_verifying_read_is_not_read_again(path: Path) -> None:
    data, recorder, hashes = path.read_bytes(), Recorder(), PrefixHashes()
    for at in range(0, SIZE, 70_000):  # no multiple of a step
        recorder.update(data[at : at + 70_000])
    assert recorder.hexdigest() == hashlib.sha256(data).hexdigest()
    hashes.keep(path, path.stat(), recorder)
    for part in range(6):
        assert hashes.prefix(path, part * STEP) == hashlib.sha256(data[: part * STEP]).hexdigest()
    assert hashes.bytes_read == 0


def test_a_changed_file_is_read_anew(path: Path) -> None:
    hashes = PrefixHashes()
    hashes.prefix(path, SIZE)
    path.write_bytes(b"x" * SIZE)
    assert hashes.prefix(path, 2 * STEP) == hashlib.sha256(b"x" * 2 * STEP).hexdigest()


@pytest.mark.parametrize("verified", [True, False])
def test_the_rest_and_the_whole_that_it_is_the_end_of(path: Path, verified: bool) -> None:
    data, recorder, hashes = path.read_bytes(), Recorder(), PrefixHashes()
    recorder.update(data)
    if verified:
        hashes.keep(path, path.stat(), recorder)
    for offset in (0, 2 * STEP, SIZE - 1, SIZE):
        expected = hashlib.sha256(data[offset:]).hexdigest(), hashlib.sha256(data).hexdigest()
        assert hashes.rest(path, offset) == expected
    other = b"x" + data[1:]
    path.write_bytes(other)
    assert hashes.rest(path, 2 * STEP) == (
        hashlib.sha256(data[2 * STEP :]).hexdigest(),
        hashlib.sha256(other).hexdigest(),
    ), "equal ends of another file"
