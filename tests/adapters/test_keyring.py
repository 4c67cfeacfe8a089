"""What people have where the vendor's public key should be: each is named, and none is taken for a good archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg import keyring as adapter
from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.errors import SignatureError, UsageError
from tests.support.gpg_ring import BOTH, Ring, flip, garbage, good, no_keyring, refused

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")


def vendor(ring: Ring, *options: str) -> bytes:
    return ring.gpg(*options, "--export", ring.fpr["ours"])


KINDS: dict[str, tuple[Callable[[Ring], bytes], str]] = {
    "keybox": (lambda r: (r.home / "pubring.kbx").read_bytes(), "keybox"),
    "BOM": (lambda r: b"\xef\xbb\xbf" + vendor(r, "--armor"), "BOM"),
    "UTF-16": (lambda r: vendor(r, "--armor").decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without BOM": (lambda r: vendor(r, "--armor").decode().encode("utf-16-le"), "UTF-16"),
    "login page": (lambda _r: b"\n<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
    "html": (lambda _r: b"<HTML>" + bytes(5000), "web page"),
    "empty": (lambda _r: b"", "empty"),
    "text": (lambda _r: b"see the intranet for the key\n" * 20_000, "holds no OpenPGP key"),
    "certificate": (lambda _r: b"-----BEGIN CERTIFICATE-----\nAAAA", "X.509"),
    "ssh key": (lambda _r: b"ssh-ed25519 AAAA x", "SSH key"),
    "gzip": (lambda _r: b"\x1f\x8b\x08" + bytes(300_000), "gzip"),
    "zip": (lambda _r: b"PK\3\4" + bytes(99), "zip"),
    "signature": (lambda r: r.gpg("--armor", "-u", r.fpr["ours"], "-b", data=b"x"), "signature"),
    "key and garbage": (lambda r: vendor(r) + garbage(300_000), "damaged"),
    "key and text": (lambda r: vendor(r) + b"junk", "damaged"),
    "cut": (lambda r: vendor(r)[:200], "damaged"),
    "armor that lacks a letter": (lambda r: vendor(r, "--armor").replace(b"A", b"", 1), "damaged"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_keyring_is_named(ring: Ring, tmp_path: Path, name: str) -> None:
    make, word = KINDS[name]
    archive, keyring = ring.sign(tmp_path / "a"), tmp_path / "the keys"
    keyring.write_bytes(make(ring))
    error = no_keyring(ring, archive, keyring)
    assert word in error.brief and str(keyring) in error.brief and error.remedy


@pytest.mark.skipif(not shutil.which("iconv"), reason="iconv is not installed")
@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_what_is_shown_for_utf_16_makes_a_keyring_of_it(ring: Ring, tmp_path: Path, coding: str) -> None:
    armored = vendor(ring, "--armor")
    keyring = tmp_path / "the keys"
    keyring.write_bytes(armored.decode().encode(coding))
    error = no_keyring(ring, ring.sign(tmp_path / "a"), keyring)
    subprocess.run(["sh", "-c", error.remedy], cwd=tmp_path, check=True)
    assert (tmp_path / "vendor-signing-key.asc").read_bytes() == armored


def blocks(ring: Ring, name: str = "revoked") -> tuple[bytes, bytes]:
    """A key, armored, and its revocation: the first alone makes its archive good, both together do not."""
    whole = ring.gpg("--armor", "--export", ring.fpr[name])
    revocation = (ring.home / "openpgp-revocs.d" / f"{ring.fpr[name]}.rev").read_bytes()
    return whole, revocation[revocation.index(b":-----BEGIN") + 1 :]


STRAY: dict[str, Callable[[bytes, bytes, Ring], bytes]] = {
    "a dash less at its beginning": lambda k, r, _: k + r[1:],
    "a dash less behind BEGIN": lambda k, r, _: k + r.replace(b"-----\n", b"----\n", 1),
    "another word": lambda k, r, _: k + r.replace(b"PUBLIC", b"PUBL1C", 1),
    "a blank before it": lambda k, r, _: k + b" " + r,
    "glued to the key's last line": lambda k, r, _: k.rstrip() + r,
    "its last line is missing": lambda k, r, _: k + r[: r.index(b"-----END")],
    "its last line is of another": lambda k, r, _: k + r.replace(b"END PGP PUBLIC", b"END PGP PRIVATE"),
    "its first line is missing": lambda k, r, _: k + r[r.index(b"\n") + 1 :],
    "it has no blank line": lambda k, r, _: k + r.replace(b"\n\n", b"\n", 1),
    "it is empty": lambda k, r, _: k + r[: r.index(b"\n\n") + 2] + r[r.index(b"-----END") :],
    "quoted, as in a mail": lambda k, r, _: k + b"".join(b"> " + line for line in r.splitlines(True)),
    "it is binary": lambda k, r, ring: k + ring.gpg("--dearmor", data=r),
    "garbage": lambda k, _r, _: k + garbage(400_000),
    "a text": lambda k, _r, _: k + b"revoked, see the intranet\n",
    "a signature's block": lambda k, r, _: k + r.replace(b"PUBLIC KEY BLOCK", b"SIGNATURE"),
    "a text before it": lambda k, r, _: b"our vendor has this one\n" + k + r,
    "the revocation before it, damaged": lambda k, r, _: r[1:] + k,
    "a text in it": lambda k, r, _: k.replace(b"\n=", b"\nno base64!\n=", 1) + r,
    "data behind its checksum": lambda k, r, _: k.replace(b"\n-----END", b"\nAAAA\n-----END") + r,
    "an umlaut before it": lambda k, r, _: b"\xc4ndert nichts\n" + k + r[1:],
    "longer than gpg's lines": lambda k, r, _: k + b"#" * 30_000 + b"\n" + r,
}


@pytest.mark.parametrize("name", STRAY)
def test_what_gpg_passes_over_in_an_armored_keyring_is_refused(ring: Ring, tmp_path: Path, name: str) -> None:
    archive, keyring = ring.sign(tmp_path / "a", by="revoked"), tmp_path / "keys"
    keyring.write_bytes(STRAY[name](*blocks(ring), ring))
    error = no_keyring(ring, archive, keyring, "revoked")
    assert "damaged" in error.brief and str(keyring) in error.brief and error.remedy


NOTED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "one behind the other": lambda k, r: k + r,
    "comments and blank lines": lambda k, r: b"# the vendor's\n\nComment: of 2026\n" + k + b"\n# revoked\n\n" + r + b"\n\n",
    "Windows": lambda k, r: (k + r).replace(b"\n", b"\r\n"),
    "no checksum": lambda k, r: k + b"\n".join(line for line in r.split(b"\n") if line[:1] != b"="),
    "no line end": lambda k, r: (k + r).rstrip(),
    "blanks at line ends": lambda k, r: (k + r).replace(b"\n", b" \n"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTED)
def test_whole_blocks_with_comments_are_all_read(ring: Ring, tmp_path: Path, name: str) -> None:
    archive, keyring = ring.sign(tmp_path / "a", by="revoked"), tmp_path / "keys"
    key, revocation = blocks(ring)
    keyring.write_bytes(NOTED[name](key, b""))
    assert good(ring, archive, "revoked", keyring).signer == ring.fpr["revoked"]
    keyring.write_bytes(NOTED[name](key, revocation))
    refused(ring, archive, "revoked", signer="revoked", keyring=keyring)


@pytest.mark.parametrize("name", ["keybox", "BOM", "UTF-16"])
def test_the_remedy_works_as_printed(ring: Ring, tmp_path: Path, name: str) -> None:
    archive, keyring = ring.sign(tmp_path / "a"), tmp_path / "the keys"
    keyring.write_bytes(KINDS[name][0](ring))
    with pytest.raises(UsageError) as caught:
        GpgVerifier().verify(archive, ring.fpr["ours"], keyring)
    environ = {**os.environ, "GNUPGHOME": str(ring.home)}
    subprocess.run(["bash", "-c", caught.value.remedy], cwd=tmp_path, env=environ, check=True)
    made = tmp_path / "vendor-signing-key.asc"
    assert GpgVerifier().verify(archive, ring.fpr["ours"], made).signer == ring.fpr["ours"]


@pytest.mark.parametrize("size", [240_000, 5_000_000])
@pytest.mark.parametrize("start", ["garbage", "the vendor's key", "many damaged keys"])
def test_a_damaged_keyring_never_makes_an_altered_archive_good(
    ring: Ring, tmp_path: Path, start: str, size: int
) -> None:
    """gpg stops reading such a file; whoever wrote it into a pipe got a broken one."""
    archive, keyring = ring.sign(tmp_path / "a"), tmp_path / "keys"
    flip(archive, 150_000)
    damaged = bytearray(ring.gpg("--export") * 40)
    for at in range(999, len(damaged), 997):
        damaged[at] ^= 0x55
    begin = {"garbage": b"\x99", "the vendor's key": vendor(ring), "many damaged keys": bytes(damaged)}
    keyring.write_bytes(begin[start] + garbage(size))
    for way in BOTH:
        with pytest.raises((UsageError, SignatureError), match=r"damaged|does not hold|altered"):
            GpgVerifier(way).verify(archive, ring.fpr["ours"], keyring)


def test_an_honest_large_keyring_works(ring: Ring, tmp_path: Path) -> None:
    archive, keyring = ring.sign(tmp_path / "a"), tmp_path / "keys"
    keyring.write_bytes(ring.gpg("--export") * 5)
    assert good(ring, archive, keyring=keyring).size
    flip(archive, 150_000)
    refused(ring, archive, "altered", keyring=keyring)


@pytest.mark.parametrize("what", ["fifo", "/dev/zero", "/dev/null", "folder", "none", "too large"])
def test_a_keyring_that_is_no_file_or_endless(
    ring: Ring, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, keyring = ring.sign(tmp_path / "a"), tmp_path / what.strip("/")
    if what == "fifo":
        os.mkfifo(keyring)
    elif what == "folder":
        keyring.mkdir()
    elif what == "too large":
        monkeypatch.setattr(adapter, "LARGEST", 1 << 20)
        keyring.write_bytes(b"\x99" + bytes(2 << 20))
    elif what != "none":
        keyring = Path(what)
    found: list[BaseException] = []

    def verify() -> None:
        try:
            GpgVerifier().verify(archive, ring.fpr["ours"], keyring)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=verify, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for somebody to write"
    assert isinstance(found[0], UsageError) and f"keyring {keyring}" in found[0].brief and found[0].remedy
