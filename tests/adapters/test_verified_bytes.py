"""What is hashed is what gpg has verified, whatever is renamed meanwhile; and it is read in bounded time."""

from __future__ import annotations

import bz2
import hashlib
import os
import shutil
import threading
import time
import zlib
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg import openpgp, program, reading
from ctmupgrade.adapters.gpg.openpgp import ArchiveFile, ShapeError, StoppedError, signatures
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes
from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.adapters.gpg.with_gpg import WithGpg
from ctmupgrade.adapters.gpg.with_gpgv import WithGpgv
from ctmupgrade.errors import NodeError, SignatureError, UsageError
from tests.support.gpg_ring import Ring, refused

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
GPG = shutil.which("gpg") or ""

# -- one open file ---------------------------------------------------------------------------------


def swapping(folder: Path) -> str:
    """A gpg that sees the genuine archive under its name for as long as it reads, and nobody else does."""
    swap = f"mv {folder}/cur {folder}/aside; mv {folder}/good {folder}/cur"
    back = f"mv {folder}/cur {folder}/good; mv {folder}/aside {folder}/cur"
    fake = folder / "gpg"
    fake.write_text(
        f'#!/bin/sh\ncase " $* " in *" --verify "*) {swap}; {GPG} "$@"; code=$?; {back}; exit $code;; esac\n'
        f'exec {GPG} "$@"\n'
    )
    fake.chmod(0o755)
    return str(fake)


@pytest.mark.parametrize("hashed", [True, False])
def test_a_folder_that_is_swapped_while_gpg_reads(ring: Ring, tmp_path: Path, hashed: bool) -> None:
    for name, signer in (("cur", "other"), ("good", "ours")):
        (tmp_path / name).mkdir()
        ring.sign(tmp_path / name / "a.gpg", by=signer)
    with pytest.raises(SignatureError, match="another key"):
        GpgVerifier([WithGpg(swapping(tmp_path))]).verify(
            tmp_path / "cur" / "a.gpg", ring.fpr["ours"], ring.public, hashed=hashed
        )


def test_and_the_other_way_round_it_is_the_genuine_one(ring: Ring, tmp_path: Path) -> None:
    for name, signer in (("cur", "ours"), ("good", "other")):
        (tmp_path / name).mkdir()
        ring.sign(tmp_path / name / "a.gpg", by=signer)
    path = tmp_path / "cur" / "a.gpg"
    found = GpgVerifier([WithGpg(swapping(tmp_path))]).verify(path, ring.fpr["ours"], ring.public)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_later_hashes_are_of_the_verified_file(ring: Ring, tmp_path: Path) -> None:
    """An interrupted upload of an evil beginning, whose end is the genuine one, must not be taken for the archive:
    beginning and end are compared with the verified file, not with what has its name at that moment."""
    (tmp_path / "cur").mkdir()
    path = ring.sign(tmp_path / "cur" / "a.gpg")
    hashes = PrefixHashes()
    signed = GpgVerifier(hashes=hashes).verify(path, ring.fpr["ours"], ring.public)
    genuine = path.read_bytes()
    assert hashes.prefix(path, 5000) == hashlib.sha256(genuine[:5000]).hexdigest()
    assert hashes.rest(path, 5000) == (hashlib.sha256(genuine[5000:]).hexdigest(), signed.sha256)
    (tmp_path / "cur").rename(tmp_path / "aside")
    (tmp_path / "cur").mkdir()
    path.write_bytes(b"evil" * 1250 + genuine[5000:])
    for look in (lambda: hashes.prefix(path, 5000), lambda: hashes.rest(path, 5000)):
        with pytest.raises(NodeError, match="has changed since it was verified"):
            look()
    shutil.rmtree(tmp_path / "cur")
    (tmp_path / "aside").rename(tmp_path / "cur")
    assert hashes.prefix(path, 5000) == hashlib.sha256(genuine[:5000]).hexdigest()
    os.utime(path)
    with pytest.raises(NodeError, match="has changed since it was verified"):
        hashes.prefix(path, 5000)
    GpgVerifier(hashes=hashes).verify(path, ring.fpr["ours"], ring.public)
    assert hashes.prefix(path, 1) == hashlib.sha256(genuine[:1]).hexdigest()
    hashes.close()


# -- what becomes a thousand times larger ----------------------------------------------------------


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def literal(size: int) -> bytes:
    """The beginning of a literal packet of zeros."""
    return bytes([0xC0 | 11, 255]) + size.to_bytes(4, "big") + b"b\0" + bytes(4)


ONE_PASS = packet(4, bytes([3, 0, 10, 1]) + bytes(8) + b"\1")


def deflated(size: int) -> bytes:
    pack = zlib.compressobj(9, wbits=-15)
    return b"".join(
        [
            b"\1",
            pack.compress(ONE_PASS + literal(size)),
            *(pack.compress(bytes(1 << 20)) for _ in range(size >> 20)),
            pack.flush(),
        ]
    )


def zlibbed(size: int) -> bytes:
    return b"\2" + zlib.compress(ONE_PASS + literal(size) + bytes(size), 9)


def bzipped(size: int) -> bytes:
    return b"\3" + bz2.compress(ONE_PASS + literal(size) + bytes(size))


def open_message(tmp_path: Path, content: bytes) -> ArchiveFile:
    path = tmp_path / "bomb.gpg"
    path.write_bytes(content)
    return ArchiveFile(os.open(path, os.O_RDONLY), len(content))


@pytest.mark.parametrize("make", [deflated, zlibbed, bzipped])
def test_a_compression_bomb_is_refused_by_what_comes_out(
    tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openpgp, "MOST_MORE", 4 << 20)
    content = make(32 << 20)  # type: ignore[operator]
    file = open_message(tmp_path, packet(8, content))
    with pytest.raises(ShapeError, match="bomb"):
        signatures(file)
    os.close(file.fd)


@pytest.mark.parametrize("part", [1, 2, 256])
def test_parts_of_a_few_bytes_are_refused(tmp_path: Path, part: int) -> None:
    """A first part of 512 bytes is allowed, and then eight million of one byte."""
    content = deflated(4 << 20)
    size = bytes([224 + part.bit_length() - 1])
    head, rest = content[:512], content[512 : 512 + 64 * part]
    parts = b"".join(size + rest[at : at + part] for at in range(0, len(rest), part))
    file = open_message(tmp_path, bytes([0xC0 | 8, 224 + 9]) + head + parts + b"\0")
    with pytest.raises(ShapeError, match="part of"):
        signatures(file)
    os.close(file.fd)


@pytest.mark.parametrize("make", [deflated, zlibbed, bzipped])
def test_what_inflates_stops_when_it_is_told_to(tmp_path: Path, make: object) -> None:
    """Nothing is read from the file any more: all that is left is in the decompressor."""
    file = open_message(tmp_path, packet(8, make(64 << 20)))  # type: ignore[operator]
    found: list[BaseException] = []

    def walk() -> None:
        try:
            signatures(file)
        except BaseException as error:
            found.append(error)

    file.stop.set()
    thread = threading.Thread(target=walk, daemon=True)
    thread.start()
    thread.join(30)
    assert isinstance(found[0], StoppedError)
    os.close(file.fd)


def test_the_decompressor_itself_looks_whether_to_stop(tmp_path: Path) -> None:
    file = open_message(tmp_path, packet(8, deflated(16 << 20)))
    body = openpgp._Body(file)
    packed = openpgp._Inflated(body, 1 << 30)
    assert packed.take(10)
    file.stop.set()
    with pytest.raises(StoppedError):  # some MiB are inflated already
        packed.take(10)
    os.close(file.fd)


def test_a_bomb_ends_the_verification(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openpgp, "MOST_MORE", 4 << 20)
    path = tmp_path / "a.gpg"
    path.write_bytes(packet(8, zlibbed(64 << 20)))
    refused(ring, path, "bomb")


def test_an_archive_that_compresses_well_is_no_bomb(ring: Ring, tmp_path: Path) -> None:
    path = tmp_path / "a.gpg"
    path.write_bytes(ring.gpg("-z9", "-u", ring.fpr["ours"], "-s", data=bytes(60_000_000)))
    assert GpgVerifier().verify(path, ring.fpr["ours"], ring.public).size == path.stat().st_size


# -- weak keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "word"), [("rsa1024", "RSA with 1024 bits"), ("dsa1024", "DSA with 1024 bits")]
)
def test_weak_keys_are_refused(ring: Ring, tmp_path: Path, key: str, word: str) -> None:
    error = refused(
        ring, ring.sign(tmp_path / "a", "--digest-algo", "SHA256", by=key), "weak key", word, signer=key
    )
    assert "2048" in error.remedy


@pytest.mark.parametrize("name", ["SHA1", "SHA224", "RIPEMD160"])
def test_weak_hashes_are_refused(ring: Ring, tmp_path: Path, name: str) -> None:
    refused(ring, ring.sign(tmp_path / "a", "--digest-algo", name, by="rsa"), "weak hash", signer="rsa")


# -- a gpg that does not end -----------------------------------------------------------------------


def script(folder: Path, when: str, deed: str) -> str:
    fake = folder / "gpg"
    fake.write_text(f'#!/bin/sh\ncase " $* " in *" {when} "*) {deed};; esac\nexec {GPG} "$@"\n')
    fake.chmod(0o755)
    return str(fake)


@pytest.mark.parametrize("when", ["--list-config", "--import", "--list-keys", "--verify"])
def test_a_gpg_that_hangs_is_stopped(
    ring: Ring, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.GpgProgram, "limit", 0.4)
    monkeypatch.setattr(reading, "LEAST", 0.4)
    path = ring.sign(tmp_path / "a")
    begun = time.monotonic()
    with pytest.raises(UsageError, match="has not finished within"):
        GpgVerifier([WithGpg(script(tmp_path, when, "sleep 600"))]).verify(
            path, ring.fpr["ours"], ring.public
        )
    assert time.monotonic() - begun < 60


def test_a_gpgv_that_hangs_is_stopped(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LEAST", 0.4)
    fake = tmp_path / "gpgv"
    fake.write_text('#!/bin/sh\ncase " $* " in *" --version "*) exec gpgv "$@";; esac; sleep 600 & wait\n')
    fake.chmod(0o755)
    path = ring.sign(tmp_path / "a")
    with pytest.raises(UsageError, match="has not finished within"):
        GpgVerifier([WithGpgv(str(fake))]).verify(path, ring.fpr["ours"], ring.public)


@pytest.mark.parametrize("when", ["--import", "--verify"])
def test_ctrl_c_is_answered_at_once(ring: Ring, tmp_path: Path, when: str) -> None:
    """Also by a gpg that reads and says nothing: all that it has started is gone afterwards."""
    import signal
    import subprocess
    import sys

    path = ring.sign(tmp_path / "a")
    deed = f"touch {tmp_path}/begun; sleep 600 & echo $! > {tmp_path}/child; wait"
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv[0] = 'ctmupgrade'\n"
        "from pathlib import Path\nfrom ctmupgrade.adapters.gpg.verifier import GpgVerifier\n"
        "from ctmupgrade.adapters.gpg.with_gpg import WithGpg\n"
        "GpgVerifier([WithGpg(sys.argv[1])]).verify(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))"
    )
    argv = [
        sys.executable,
        "-c",
        code,
        script(tmp_path, when, deed),
        str(path),
        ring.fpr["ours"],
        str(ring.public),
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as made:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
            assert made.poll() is None
            time.sleep(0.02)
        begun = time.monotonic()
        made.send_signal(signal.SIGINT)
        _out, err = made.communicate(timeout=60)
        assert time.monotonic() - begun < 30, "it was waited for"
    assert b"KeyboardInterrupt" in err
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
