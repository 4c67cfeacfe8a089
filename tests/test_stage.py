"""The archive onto a node: what is sent, asked and hashed, counted; and that only equal files get its name.

The node is a folder, in which real programs run.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.actions import upload_proof
from ctmupgrade.actions.stage import READ_BACK, STATE
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes
from ctmupgrade.adapters.ssh import parallel_upload
from ctmupgrade.core.looks.file_probes import MIB
from ctmupgrade.core.ticks import Noted
from ctmupgrade.errors import ConnectionLostError, NodeError
from ctmupgrade.ports import Reply, Sent
from tests.support.staging import part_of, sha256, stage

SIZE = 10 * MIB + 4711


class Folder:
    """A node's shell in a folder. ``spoil``: what happens to the uploaded part before it is looked at."""

    def __init__(self, home: Path) -> None:
        self.home, self.asked, self.sent = home, list[str](), 0
        self.fails: dict[str, Reply] = {}
        self.spoils = 0
        self.breaks_at: int | None = None
        self.swaps = b""  # what is sent instead, once
        self.leaves_hole = False  # which is filled when it was read
        self.followed = threading.Event()
        self.stream_fails = False
        self.way = ""

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        self.asked.append(" ".join(argv[:2]))
        if argv[0] in self.fails:
            return self.fails[argv[0]]
        try:
            done = subprocess.run(argv, cwd=self.home, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return Reply(127, "", f"{argv[0]}: command not found")
        return Reply(done.returncode, done.stdout, done.stderr)

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        return self.read(*argv)

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        self.asked.append(" ".join(argv[:1]))
        if self.stream_fails or argv[0] in self.fails:
            raise NodeError(f"{argv[0]} ended with 127")
        with subprocess.Popen(argv, cwd=self.home, stdout=subprocess.PIPE) as running:
            assert running.stdout
            while piece := os.read(running.stdout.fileno(), 1 << 16):
                yield piece
        self.followed.set()
        if running.returncode:
            raise NodeError(f"{argv[0]} ended with {running.returncode}")

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        part = self.home / target
        part.touch()
        os.truncate(part, offset)
        data = source.read_bytes()[offset:]
        if self.breaks_at is not None:
            data, self.breaks_at = data[: self.breaks_at - offset], None
            part.write_bytes(part.read_bytes() + data)
            raise ConnectionLostError("cut")
        if self.swaps:
            data, self.swaps = self.swaps[offset:], b""
        if self.leaves_hole:
            os.truncate(part, offset + len(data))
            assert self.followed.wait(60)
        with part.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        self.sent += len(data)
        if self.spoils:
            self.spoils -= 1
            with part.open("r+b") as file:
                file.seek(3 * MIB)
                file.write(bytes(MIB))
        yield Sent(source.stat().st_size, way=self.way)

    def terminal(self, *argv: str) -> object:
        raise NotImplementedError

    def disconnect(self) -> None:
        """Nothing to drop."""

    def hashed(self) -> int:
        """How often a whole file was."""
        return sum(line.startswith("openssl dgst") for line in self.asked)

    def pieces(self) -> int:
        """How often a piece of one was, beside two tries whether it can."""
        return self.asked.count("sh -c") - 2


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "here" / "up_v2.21.0.tar.gz.gpg"
    path.parent.mkdir()
    path.write_bytes(os.urandom(SIZE))
    return path, sha256(path)


@pytest.fixture
def node(tmp_path: Path) -> Folder:
    home = tmp_path / "node"
    home.mkdir()
    return Folder(home)


@pytest.fixture
def poor(node: Folder) -> Folder:
    """A node that has no Python, and no pipes in its shell."""
    node.fails["python3"] = Reply(127, "", "bash: python3: command not found")
    node.fails["sh"] = Reply(126, "", "rbash: sh: restricted")
    return node


@pytest.fixture
def without_python(node: Folder) -> Folder:
    node.fails["python3"] = Reply(127, "", "bash: python3: command not found")
    return node


def run(node: Folder, archive: tuple[Path, str], hashes: PrefixHashes | None = None, nodes: int = 1) -> str:
    """What it noted, once the node has the archive and nothing else."""
    ticks, _ = stage(*archive, node, hashes, nodes=nodes)  # type: ignore[arg-type]
    assert [p.name for p in node.home.iterdir()] == [archive[0].name]
    assert sha256(node.home / archive[0].name) == archive[1]
    return " ".join(str(tick) for tick in ticks if isinstance(tick, Noted))


def test_a_fresh_upload_sends_and_hashes_once(node: Folder, archive: tuple[Path, str]) -> None:
    run(node, archive)
    assert (node.sent, node.hashed(), len(node.asked)) == (
        SIZE,
        1,
        8,
    )  # there? dead parts? part? state, hash, rename, state; there? and its evidence


def test_an_equal_file_is_only_hashed(node: Folder, archive: tuple[Path, str]) -> None:
    (node.home / archive[0].name).write_bytes(archive[0].read_bytes())
    run(node, archive)
    assert (node.sent, node.hashed(), len(node.asked)) == (0, 1, 6)  # the last: whether parts are left


def test_what_was_staged_days_before_is_not_hashed_again(node: Folder, archive: tuple[Path, str]) -> None:
    _, proven = stage(*archive, node)  # type: ignore[arg-type]
    assert proven[STATE].split()[0] == str(SIZE)
    node.asked.clear()
    _, again = stage(*archive, node, proven={**proven, "hashed_in": "monday"})  # type: ignore[arg-type]
    assert (node.hashed(), again["unchanged_since"], again[STATE]) == (0, "monday", proven[STATE])


@pytest.mark.parametrize("equal", [True, False])
def test_what_was_written_to_since_is_hashed_again(
    node: Folder, archive: tuple[Path, str], equal: bool
) -> None:
    _, proven = stage(*archive, node)  # type: ignore[arg-type]
    node.asked.clear()
    place, sent = node.home / archive[0].name, node.sent
    before = place.stat()
    time.sleep(1.1)  # the times have whole seconds
    place.write_bytes(archive[0].read_bytes() if equal else bytes(SIZE))
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))  # one time can be set back, the other not
    _, again = stage(*archive, node, proven=proven)  # type: ignore[arg-type]
    assert node.hashed() == (1 if equal else 2) and "unchanged_since" not in again
    assert node.sent - sent == (0 if equal else SIZE)
    assert sha256(place) == archive[1]


def test_proof_of_another_archive_counts_for_nothing(node: Folder, archive: tuple[Path, str]) -> None:
    _, proven = stage(*archive, node)  # type: ignore[arg-type]
    node.asked.clear()
    stage(*archive, node, proven={**proven, "sha256_on_node": "0" * 64})  # type: ignore[arg-type]
    assert node.hashed() == 1


def test_another_file_of_that_name_and_size_is_replaced(node: Folder, archive: tuple[Path, str]) -> None:
    (node.home / archive[0].name).write_bytes(bytes(SIZE))
    run(node, archive)
    assert node.sent == SIZE


@pytest.mark.parametrize("there", [MIB, 7 * MIB, 7 * MIB + 99, SIZE])
def test_what_is_there_and_proven_is_not_sent_again(
    poor: Folder, archive: tuple[Path, str], there: int
) -> None:
    node, (path, digest) = poor, archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[:there])
    hashes = PrefixHashes()
    assert "continuing at" in run(node, archive, hashes)
    assert node.sent == SIZE - there // MIB * MIB
    assert node.hashed() == 2, "the beginning before, all of it after"
    assert hashes.bytes_read == there // MIB * MIB
    assert len(node.asked) == 13


@pytest.mark.parametrize("there", [MIB, 7 * MIB, 7 * MIB + 99, SIZE])
def test_the_rest_is_hashed_as_it_arrives(
    node: Folder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    """Each byte once on the node, and here the beginning only."""
    monkeypatch.setattr("ctmupgrade.adapters.gpg.prefix_hash.STEP", MIB)
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[:there])
    hashes, begin = PrefixHashes(), there // MIB * MIB
    assert "has proven to have" in run(node, archive, hashes)
    assert (node.sent, hashes.bytes_read) == (SIZE - begin, begin)
    assert (node.asked.count("python3"), node.asked.count("sh -c"), node.hashed()) == (1, 0, 0)


def test_a_follower_that_read_a_hole_before_it_was_filled_proves_nothing(
    node: Folder, archive: tuple[Path, str]
) -> None:
    """Several connections write behind a hole: all is asked again, once it is complete."""
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[: 7 * MIB])
    node.leaves_hole = True
    assert "has proven to have" in run(node, archive)
    assert (node.sent, node.pieces()) == (SIZE - 7 * MIB, -1)


def test_a_follower_dies_on_the_way(node: Folder, archive: tuple[Path, str]) -> None:
    """It was there when it was tried, and is not any more: the node is asked in another way."""
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[: 7 * MIB])
    node.stream_fails = True
    run(node, archive)
    assert (node.sent, node.hashed()) == (SIZE - 7 * MIB, 1)


def test_a_node_that_does_not_cut_is_not_followed(node: Folder, archive: tuple[Path, str]) -> None:
    """What lies behind could be read before it is written anew."""
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[: 7 * MIB + 99])
    node.fails["truncate"] = Reply(127, "", "bash: truncate: command not found")
    run(node, archive)
    assert (node.asked.count("python3"), node.pieces()) == (0, 2)


@pytest.mark.parametrize(
    ("nodes", "there"), [(1, 7 * MIB), (1, 7 * MIB + 99), (1, SIZE), (2, 7 * MIB), (3, 7 * MIB), (1, MIB)]
)
def test_a_beginning_is_proven_while_the_rest_is_sent(
    without_python: Folder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, nodes: int, there: int
) -> None:
    """And the rest alone is hashed after it, where that is less than hashing all of it on each node."""
    node = without_python
    monkeypatch.setattr("ctmupgrade.adapters.gpg.prefix_hash.STEP", MIB)
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[:there])
    hashes, begin = PrefixHashes(), there // MIB * MIB
    assert "has proven to have" in run(node, archive, hashes, nodes)
    assert node.sent == SIZE - begin
    few = nodes * (SIZE - begin) <= begin
    assert (node.pieces(), node.hashed()) == ((2, 0) if few else (1, 1))
    assert hashes.bytes_read == (SIZE if few else begin)


def test_a_node_that_cannot_move_in_a_file_hashes_all_of_it(
    without_python: Folder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dd copies nothing and moves nothing: the try behind the file's end tells."""
    node = without_python
    programs = node.home.parent / "bin"
    programs.mkdir()
    (programs / "dd").write_text("#!/bin/sh\nexit 0\n")
    (programs / "dd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    path, digest = archive
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[: 7 * MIB])
    assert "continuing at 7 MiB, which the node has" in run(node, archive)
    assert node.sent == SIZE - 7 * MIB


@pytest.mark.parametrize("place", [0, 3 * MIB, 7 * MIB - 1, 7 * MIB, SIZE - 1])
def test_no_wrong_byte_gets_through(node: Folder, archive: tuple[Path, str], place: int) -> None:
    """Of the beginning that is there, or of the rest as it arrives."""
    path, digest = archive
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    (node.home / part_of(path, digest)).write_bytes(data[: 7 * MIB])
    if place >= 7 * MIB:
        node.swaps = bytes(data)
    said = run(node, archive)
    assert ("differ from what was sent" if place < 7 * MIB else "differs from the archive") in said


def test_an_archive_that_changed_here_after_it_was_verified_is_no_proof(
    node: Folder, archive: tuple[Path, str]
) -> None:
    """Both ends agree, but not with what the signature was good for."""
    path, digest = archive
    path.write_bytes(os.urandom(SIZE))
    (node.home / part_of(path, digest)).write_bytes(path.read_bytes()[: 7 * MIB])
    with pytest.raises(NodeError, match="has changed since it was verified"):
        stage(path, digest, node)  # type: ignore[arg-type]
    assert list(node.home.iterdir()) == []


@pytest.mark.parametrize("hole", [0, 3 * MIB, 7 * MIB - 1])
def test_a_hole_is_found_and_nothing_of_it_kept(poor: Folder, archive: tuple[Path, str], hole: int) -> None:
    node, (path, digest) = poor, archive
    data = bytearray(path.read_bytes()[: 7 * MIB])
    data[hole] ^= 1
    (node.home / part_of(path, digest)).write_bytes(data)
    assert "a hole" in run(node, archive)
    assert node.sent == SIZE


def test_before_the_holes_of_several_connections_it_goes_on(
    poor: Folder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = poor
    assert parallel_upload.AHEAD == upload_proof.HOLES
    monkeypatch.setattr(upload_proof, "HOLES", 4 * MIB)
    path, digest = archive
    data = bytearray(path.read_bytes()[: 9 * MIB])
    data[6 * MIB] ^= 1
    (node.home / part_of(path, digest)).write_bytes(data)
    assert "continuing at 5 MiB" in run(node, archive)
    assert (node.sent, node.hashed()) == (SIZE - 5 * MIB, 3)


def test_twenty_nodes_that_were_interrupted_read_the_archive_once(
    archive: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctmupgrade.adapters.gpg.prefix_hash.STEP", MIB)
    hashes = PrefixHashes()
    for number in range(20):
        home = tmp_path / f"n{number}"
        home.mkdir()
        (home / part_of(*archive)).write_bytes(archive[0].read_bytes()[: 8 * MIB])
        run(Folder(home), archive, hashes, nodes=20)
    assert hashes.bytes_read == 8 * MIB


def test_what_arrived_different_never_gets_the_name(
    node: Folder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctmupgrade.adapters.tasks.time.sleep", lambda _s: None)
    node.spoils = 1
    said = run(node, archive)
    assert "differs from the archive" in said and node.sent == 2 * SIZE


def test_a_cut_goes_on_from_what_is_proven(node: Folder, archive: tuple[Path, str]) -> None:
    node.breaks_at = 6 * MIB + 5
    said = run(node, archive)
    assert "upload interrupted" in said and "continuing at 6 MiB" in said
    assert node.sent == SIZE - 6 * MIB


def test_parts_of_other_contents_are_removed(node: Folder, archive: tuple[Path, str]) -> None:
    (node.home / part_of(archive[0], "f" * 64)).write_bytes(b"old")
    run(node, archive)


def test_parts_are_removed_where_the_archive_is_there_already(
    node: Folder, archive: tuple[Path, str]
) -> None:
    """An operator copied it by hand after an upload had died: up to 5 GB would stay hidden for ever."""
    (node.home / archive[0].name).write_bytes(archive[0].read_bytes())
    (node.home / part_of(*archive)).write_bytes(b"its beginning")
    (node.home / part_of(archive[0], "f" * 64)).write_bytes(b"old")
    said = run(node, archive)
    assert said.count("which an earlier run left") == 2
    assert node.sent == 0


def test_an_abandoned_part_of_another_archive_is_removed(node: Folder, archive: tuple[Path, str]) -> None:
    """But not one that was written to of late: another operator may be uploading it."""
    old, young = (node.home / f".up_v2.{n}.0.tar.gz.gpg.{'0' * 12}.part" for n in (19, 20))
    mine = node.home / ".notes.part"
    for path in (old, young, mine):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    os.utime(mine, (0, 0))
    ticks, _ = stage(*archive, node)  # type: ignore[arg-type]
    said = " ".join(tick.text for tick in ticks if isinstance(tick, Noted))
    assert (old.exists(), young.exists(), mine.exists()) == (False, True, True)
    assert f"removed {old.name}" in said
    assert f"kept {young.name}" in said


def test_without_any_hash_program_it_is_read_back(node: Folder, archive: tuple[Path, str]) -> None:
    none = Reply(127, "", "command not found")
    node.fails = dict.fromkeys(("openssl", "sha256sum", "shasum", "gpg", "python3", "sh"), none)
    (node.home / part_of(*archive)).write_bytes(archive[0].read_bytes()[: 7 * MIB])
    said = run(node, archive)
    assert "cannot hash" in said
    assert READ_BACK in said
    assert node.sent == SIZE and "cat" in node.asked
    _, evidence = stage(*archive, node)  # type: ignore[arg-type]
    assert evidence["read_back"] == READ_BACK, "the evidence must not say that the node did it"


def test_the_way_of_an_upload_is_journaled(node: Folder, archive: tuple[Path, str]) -> None:
    node.way = "carrier pigeon"
    assert "uploaded by carrier pigeon" in run(node, archive)
