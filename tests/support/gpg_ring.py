"""A gpg home with keys of many kinds, which sign archives for the tests of the verifier."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.adapters.gpg.with_gpg import WithGpg
from ctmupgrade.adapters.gpg.with_gpgv import WithGpgv
from ctmupgrade.errors import SignatureError, UsageError
from ctmupgrade.ports import Signed

GPG, GPGV = [WithGpg()], [WithGpgv()]
BOTH = (GPG, GPGV)  # whichever a machine has, an archive's verdict is the same
INJECTION = "x\u0085[GNUPG:] BADSIG 0123456789ABCDEF y"
# name -> (options of gpg, user id, algorithm, expiry)
KEYS = {
    "ours": ([], "Vendor Åsa <a@x>", "ed25519", "never"),
    "other": ([], "Other <b@x>", "ed25519", "never"),
    "revoked": ([], "Revoked <r@x>", "ed25519", "never"),
    "rsa": (["--faked-system-time", "20200101T000000"], "Old <o@x>", "rsa2048", "never"),
    "expired": (["--faked-system-time", "20200101T000000"], "Expired <e@x>", "ed25519", "10d"),
    "future": (["--faked-system-time", "20400101T000000"], "Future <f@x>", "ed25519", "never"),
    "trick": ([], INJECTION, "ed25519", "never"),
    "crypt": ([], "Crypt <c@x>", "future-default", "never"),
    "rsa1024": ([], "Small <s@x>", "rsa1024", "never"),
    "dsa1024": ([], "Digital <d@x>", "dsa1024", "never"),
}


@dataclass
class Ring:
    """A gpg home with all keys, and the data that gets signed."""

    home: Path
    fpr: dict[str, str]
    data: Path
    public: Path

    def gpg(self, *argv: str, data: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "-q", *argv]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    def sign(self, out: Path, *options: str, by: str = "ours", how: str = "-s") -> Path:
        users = [part for name in by.split() for part in ("-u", self.fpr[name])]
        self.gpg("-z0", *users, *options, "-o", str(out), how, str(self.data))
        return out


@contextmanager
def made_ring() -> Iterator[Ring]:
    """All keys, for the time of a session. The home has a short path: gpg-agent's socket must fit."""
    home = Path(tempfile.mkdtemp(prefix="gt", dir="/tmp"))
    ring = Ring(home, {}, home / "data", home / "public.asc")
    ring.data.write_bytes(b"\0" + os.urandom(299_999))
    try:
        for name, (options, user, kind, until) in KEYS.items():
            usage = "default" if name == "crypt" else "sign"
            ring.gpg(*options, "--passphrase", "", "--quick-gen-key", user, kind, usage, until)
            rows = ring.gpg("--with-colons", "--list-secret-keys").decode().split("\n")
            ring.fpr[name] = [
                r.split(":")[9]
                for n, r in enumerate(rows)
                if r.startswith("fpr") and rows[n - 1].startswith("sec")
            ][-1]
        ring.gpg("--passphrase", "", "--quick-add-key", ring.fpr["ours"], "ed25519", "sign", "never")
        ring.gpg("--passphrase", "", "--quick-add-key", ring.fpr["ours"], "ed25519", "sign", "never")
        rows = ring.gpg("--with-colons", "--list-keys", ring.fpr["ours"]).decode().split("\n")
        ring.fpr["ours-sub-2"], ring.fpr["ours-sub"] = [r.split(":")[9] for r in rows if r.startswith("fpr")][
            -2:
        ]
        ring.public.write_bytes(ring.gpg("--armor", "--export"))
        yield ring
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def refused(
    ring: Ring, path: Path, *words: str, signer: str = "ours", keyring: Path | None = None
) -> SignatureError:
    """Verify ``path`` with gpg, then with gpgv, which must fail alike; the error, whose first line has the path and all
    ``words``."""
    with pytest.raises(SignatureError) as caught:
        GpgVerifier(GPG).verify(path, ring.fpr[signer], keyring or ring.public)
    with pytest.raises(SignatureError) as besides:
        GpgVerifier(GPGV).verify(path, ring.fpr[signer], keyring or ring.public)
    assert (besides.value.brief, besides.value.remedy) == (caught.value.brief, caught.value.remedy)
    for word in (str(path), *words):
        assert word in caught.value.brief, caught.value.brief + "\n" + caught.value.details
    assert caught.value.remedy
    return caught.value


def good(ring: Ring, path: Path, signer: str = "ours", keyring: Path | None = None) -> Signed:
    """Verify ``path`` with gpg and with gpgv, which must say the same of it; what they say."""
    first, second = (GpgVerifier(way).verify(path, ring.fpr[signer], keyring or ring.public) for way in BOTH)
    assert first == second
    return first


def no_keyring(ring: Ring, path: Path, keyring: Path, signer: str = "ours") -> UsageError:
    """Verify with a keyring that gpg and gpgv must refuse alike; the error."""
    errors = []
    for way in BOTH:
        with pytest.raises(UsageError) as caught:
            GpgVerifier(way).verify(path, ring.fpr[signer], keyring)
        errors.append(caught.value)
    assert errors[0].brief == errors[1].brief and errors[0].remedy == errors[1].remedy
    return errors[0]


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def garbage(size: int) -> bytes:
    """Bytes without meaning, the same each time: now and then random ones look like packets that gpg skips."""
    return b"junk" + random.Random(size).randbytes(size)
