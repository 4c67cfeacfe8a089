"""One key out of many, taken without gpg: nothing that counts against it may be left out."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg.key_packets import DamagedError, read_keys
from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.errors import SignatureError, UsageError
from tests.support.gpg_ring import BOTH, GPGV, Ring, flip, good, refused

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")


def export(ring: Ring, name: str, *options: str) -> bytes:
    return ring.gpg(*options, "--export", ring.fpr[name])


def revocation(ring: Ring) -> bytes:
    text = (ring.home / "openpgp-revocs.d" / f"{ring.fpr['revoked']}.rev").read_bytes()
    return ring.gpg("--dearmor", data=text[text.index(b":-----BEGIN") + 1 :])


def test_what_is_read_of_a_key_is_what_gpg_lists(ring: Ring) -> None:
    keys, revocations = read_keys(ring.public.read_bytes())
    binary, _ = read_keys(ring.gpg("--export"))
    assert keys == binary and not revocations and set(keys) >= {ring.fpr[n] for n in ("ours", "other", "rsa")}
    ours = keys[ring.fpr["ours"]]
    assert ours.name == "Vendor Åsa <a@x>"
    assert set(ours.strengths()) == {ring.fpr[name] for name in ("ours", "ours-sub", "ours-sub-2")}
    for name, strength in {
        "rsa": ("1", 2048),
        "rsa1024": ("1", 1024),
        "dsa1024": ("17", 1024),
        "ours": ("22", 255),
    }.items():
        assert keys[ring.fpr[name]].strengths()[ring.fpr[name]] == strength


def test_the_public_half_of_every_kind_of_secret_key(ring: Ring) -> None:
    public, _ = read_keys(ring.gpg("--export"))
    secret, _ = read_keys(ring.gpg("--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys"))
    assert {name: key.strengths() for name, key in secret.items()} == {
        n: k.strengths() for n, k in public.items()
    }
    assert {name: set(key.parts) for name, key in secret.items()} == {
        n: set(k.parts) for n, k in public.items()
    }


@pytest.mark.parametrize(
    "order", ["behind its key", "before all", "behind another key", "behind a second copy"]
)
def test_a_revocation_counts_wherever_it_stands(ring: Ring, tmp_path: Path, order: str) -> None:
    path, keyring = ring.sign(tmp_path / "a", by="revoked"), tmp_path / "keys"
    key, other, letter = export(ring, "revoked"), export(ring, "other"), revocation(ring)
    keyring.write_bytes(
        {
            "behind its key": key + letter,
            "before all": letter + other + key,
            "behind another key": key + other + letter,
            "behind a second copy": key + other + key + letter,
        }[order]
    )
    with pytest.raises(SignatureError, match="revoked key"):
        GpgVerifier(GPGV).verify(path, ring.fpr["revoked"], keyring)


def test_the_copies_of_a_key_are_put_together(ring: Ring, tmp_path: Path) -> None:
    """What the newer copy adds counts, whichever is first."""
    path, home = ring.sign(tmp_path / "a", by="revoked"), tmp_path / "h"
    home.mkdir(mode=0o700)
    words = ["gpg", "--homedir", str(home), "--batch", "-q", "--no-autostart"]
    old = export(ring, "revoked")
    subprocess.run([*words, "--import"], input=old, check=True)
    subprocess.run(
        [*words, "--import"],
        input=ring.gpg("--enarmor", data=revocation(ring)).replace(b"ARMORED FILE", b"PUBLIC KEY BLOCK"),
        check=True,
    )
    new = subprocess.run([*words, "--export"], capture_output=True, check=True).stdout
    for number, data in enumerate((new, old + new, new + old)):
        keyring = tmp_path / f"k{number}"
        keyring.write_bytes(data)
        refused(ring, path, "revoked key", signer="revoked", keyring=keyring)


def test_a_copy_without_its_certificate_hides_none_of_the_others(ring: Ring, tmp_path: Path) -> None:
    path, keyring = ring.sign(tmp_path / "a", by="other"), tmp_path / "keys"
    whole = export(ring, "other")
    at = 2 + whole[1]  # behind the primary key; then the user id
    keyring.write_bytes(whole[: at + 2 + whole[at + 1]] + whole)
    assert good(ring, path, "other", keyring).signer == ring.fpr["other"]


def test_a_key_that_nobody_certified_is_not_there(ring: Ring, tmp_path: Path) -> None:
    """gpg imports no such key either."""
    path, keyring = ring.sign(tmp_path / "a", by="other"), tmp_path / "keys"
    whole = export(ring, "other")
    keyring.write_bytes(whole[: 2 + whole[1]])  # its first packet alone
    for way in BOTH:
        with pytest.raises(UsageError, match="does not hold the signing key"):
            GpgVerifier(way).verify(path, ring.fpr["other"], keyring)


@pytest.mark.parametrize("data", [b"\x99", b"\x99\x00\x05\x04", b"\xc6\xff\0\0", b"\x9b\0", b"\xc6\xe1", b"\x99\0\1\4",
                                  b"\x95\0\7\4\0\0\0\0\x63\0", b"\xcb\1b", b"\xca\3PGQ"])  # fmt: skip
def test_what_is_no_key_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        read_keys(data)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 60))])
def test_a_damaged_keyring_makes_nothing_good_that_gpg_refuses(ring: Ring, tmp_path: Path, seed: int) -> None:
    path, keyring = ring.sign(tmp_path / "a", by="revoked"), tmp_path / "keys"
    chance = random.Random(seed)
    for _ in range(4):
        data = bytearray(export(ring, "revoked") + export(ring, "other"))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        keyring.write_bytes(data)
        try:
            GpgVerifier(GPGV).verify(path, ring.fpr["revoked"], keyring)
        except (UsageError, SignatureError):
            continue
        assert good(ring, path, "revoked", keyring).key == ring.fpr["revoked"]


def test_an_altered_archive_is_as_bad_with_many_keys(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")
    flip(path, 150_000)
    refused(ring, path, "altered")
