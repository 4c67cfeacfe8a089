"""The archive's signature, with a real gpg and real keys: one test per way a file can be wrong."""

from __future__ import annotations

import hashlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters import memory_file
from ctmupgrade.adapters.disk.private_folder import PREFIX
from ctmupgrade.adapters.gpg import reading
from ctmupgrade.adapters.gpg import verifier as adapter
from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.adapters.gpg.way import Way
from ctmupgrade.adapters.gpg.with_gpg import WithGpg
from ctmupgrade.adapters.gpg.with_gpgv import WithGpgv, WithOwnGpgv
from ctmupgrade.errors import BlockedError, SignatureError, UsageError
from tests.support.gpg_ring import BOTH, GPG, GPGV, Ring, flip, good, no_keyring, refused

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "options",
    [
        ["-z0"],
        ["-z6"],
        ["-z6", "--compress-algo", "zlib"],
        ["-z6", "--compress-algo", "bzip2"],
        ["-z0", "--digest-algo", "SHA512"],
    ],
)
@pytest.mark.parametrize("way", BOTH, ids=["gpg", "gpgv"])
def test_good(ring: Ring, tmp_path: Path, options: list[str], way: list[Way]) -> None:
    path = ring.sign(tmp_path / "a.tar.gz.gpg", *options)
    seen: list[int] = []
    got = GpgVerifier(way).verify(path, ring.fpr["ours"].lower(), ring.public, seen.append)
    assert got.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (got.path, got.size, got.signer) == (path, path.stat().st_size, ring.fpr["ours"])
    assert got.signed_at is not None and abs(got.signed_at.timestamp() - time.time()) < 60
    assert seen == sorted(seen) and seen[-1] == got.size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz.gpg"], "nothing may be written"


def test_good_from_a_pipe_and_compressed_content(ring: Ring, tmp_path: Path) -> None:
    """Partial lengths, and highly compressible data of several inflated pieces."""
    for number, (level, data) in enumerate(
        [("0", ring.data.read_bytes()), ("6", bytes(40_000_000)), ("0", b"x" * 150), ("0", b"y" * 5000)]
    ):
        path = tmp_path / f"{number}.gpg"
        path.write_bytes(ring.gpg("-z", level, "-u", ring.fpr["ours"], "-s", data=data))
        assert good(ring, path).size == path.stat().st_size


def test_pinned_by_primary_or_subkey(ring: Ring, tmp_path: Path) -> None:
    sub = ring.sign(tmp_path / "sub", "-u", ring.fpr["ours-sub"] + "!", by="")
    main = ring.sign(tmp_path / "main", "-u", ring.fpr["ours"] + "!", by="")
    for signer in ("ours", "ours-sub"):
        got = good(ring, sub, signer)
        assert (got.signer, got.key) == (ring.fpr["ours"], ring.fpr["ours-sub"])
    got = good(ring, main)
    assert (got.signer, got.key) == (ring.fpr["ours"], ring.fpr["ours"])


def test_a_pinned_subkey_means_that_one(ring: Ring, tmp_path: Path) -> None:
    """Not the primary key, and no other subkey of the same owner."""
    main = ring.sign(tmp_path / "main", "-u", ring.fpr["ours"] + "!", by="")
    other = ring.sign(tmp_path / "other", "-u", ring.fpr["ours-sub-2"] + "!", by="")
    for path, key in ((main, "ours"), (other, "ours-sub-2")):
        error = refused(ring, path, "another key of the same owner", ring.fpr[key], signer="ours-sub")
        assert ring.fpr["ours"] in error.remedy
        assert good(ring, path).key == ring.fpr[key]


def test_keyring_forms(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")
    forms = {
        "binary": ["--export"],
        "one": ["--armor", "--export", ring.fpr["ours"]],
        "secret": ["--export-secret-keys", ring.fpr["ours"]],
    }
    for name, argv in forms.items():
        (tmp_path / name).write_bytes(ring.gpg(*argv))
        assert good(ring, path, keyring=tmp_path / name).signer == ring.fpr["ours"]


def test_missing_and_unreadable_keys(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")
    (tmp_path / "b.asc").write_bytes(ring.gpg("--armor", "--export", ring.fpr["other"]))
    (tmp_path / "junk").write_bytes(b"junk")
    error = no_keyring(ring, path, tmp_path / "b.asc")
    assert ring.fpr["ours"] in error.brief and ring.fpr["other"] in error.details and error.remedy
    for keyring in (tmp_path / "junk", tmp_path / "none", tmp_path):
        assert "keyring" in no_keyring(ring, path, keyring).brief
    for signer in ("", ring.fpr["ours"][-16:], "a@x", "Z" * 40):
        with pytest.raises(UsageError, match="full fingerprint"):
            GpgVerifier().verify(path, signer, ring.public)


def test_callers_own_keyring_is_used_and_untouched(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ring.sign(tmp_path / "a")
    home = Path(tempfile.mkdtemp(prefix="gu", dir="/tmp"))
    try:
        monkeypatch.setenv("GNUPGHOME", str(home))
        with pytest.raises(UsageError, match="your gpg keyring") as caught:
            GpgVerifier().verify(path, ring.fpr["ours"], None)
        assert "gpg --import" in caught.value.remedy and list(home.iterdir()) == []
        subprocess.run(["gpg", "--batch", "-q", "--import", str(ring.public)], check=True)
        before = {p.name: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in home.rglob("*")}
        assert GpgVerifier().verify(path, ring.fpr["ours"], None).signer == ring.fpr["ours"]
        assert {
            p.name: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in home.rglob("*")
        } == before
    finally:
        shutil.rmtree(home)


def daemons() -> set[str]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if ("gpg-agent" in words or "keyboxd" in words or "dirmngr" in words) and f"/{PREFIX}" in words:
            found.add(words)
    return found


def test_nothing_is_left_behind(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Path(tempfile.mkdtemp(prefix="gb", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    seen: list[int] = []
    path = ring.sign(tmp_path / "a")
    (tmp_path / "sec").write_bytes(ring.gpg("--export-secret-keys", ring.fpr["ours"]))

    def look(_done: int) -> None:
        seen.extend(p.stat().st_mode & 0o777 for p in base.glob(f"{PREFIX}*"))

    GpgVerifier().verify(path, ring.fpr["ours"], tmp_path / "sec", look)
    assert set(seen) == {0o700}
    refused(ring, ring.data, "not signed")
    assert list(base.iterdir()) == []
    assert {words for words in daemons() if str(base) in words} == set()
    base.rmdir()


Maker = Callable[[Ring, Path], object]


def encrypted(ring: Ring, path: Path) -> object:
    return ring.gpg(
        "--trust-model",
        "always",
        "-r",
        ring.fpr["crypt"],
        "-u",
        ring.fpr["ours"],
        "-o",
        str(path),
        "-se",
        str(ring.data),
    )


def joined(*parts: str, level: str = "-z0", keep: int | None = None) -> Maker:
    """A file of several parts: s(igned) d(ata) l(iteral) p(rivate packet) m(arker), t(wo bytes)."""

    def make(ring: Ring, path: Path) -> None:
        signed = ring.sign(path, level).read_bytes()
        literal = ring.gpg("-z0", "--store", data=b"more")
        known = {
            "s": signed,
            "d": ring.data.read_bytes(),
            "l": literal,
            "p": b"\xfc\x04evil",
            "m": b"\xca\x03PGP",
            "t": b"hi",
            "f": b"\xff",
        }
        path.write_bytes(b"".join(known[part] for part in parts)[:keep])

    return make


WRONG: dict[str, tuple[Maker, str]] = {
    "plain gzip": (
        lambda r, p: p.write_bytes(b"\x1f\x8b\x08" + bytes(99)),
        "not signed at all: it is a plain gzip",
    ),
    "plain": (lambda r, p: p.write_bytes(b"hello " * 99), "not signed at all: it is no OpenPGP data"),
    "literal only": (
        lambda r, p: p.write_bytes(r.gpg("-z0", "--store", data=b"x" * 999)),
        "not signed at all",
    ),
    "compressed literal": (
        lambda r, p: p.write_bytes(r.gpg("-z6", "--store", data=b"x" * 999)),
        "not signed at all",
    ),
    "empty": (lambda r, p: p.write_bytes(b""), "empty"),
    "high bytes": (lambda r, p: p.write_bytes(b"\xff" * 999), "no OpenPGP data"),
    "key": (lambda r, p: p.write_bytes(r.gpg("--export", r.fpr["ours"])), "is a key"),
    "signed and encrypted": (encrypted, "is encrypted"),
    "symmetric": (
        lambda r, p: r.gpg(
            "--passphrase", "x", "--pinentry-mode", "loopback", "-o", str(p), "-c", str(r.data)
        ),
        "is encrypted",
    ),
    "detached": (lambda r, p: r.sign(p, how="-b"), "detached signature"),
    "detached armor": (lambda r, p: r.sign(p, "--armor", how="-b"), "detached signature"),
    "clearsigned": (lambda r, p: r.sign(p, how="--clearsign"), "clearsigned"),
    "armored": (lambda r, p: r.sign(p, "--armor"), "ASCII armor"),
    "text mode": (lambda r, p: r.sign(p, "--textmode"), "class 01"),
    "two messages": (joined("s", "s"), "several OpenPGP messages"),
    "two messages compressed": (joined("s", "s", level="-z6"), "further data"),
    "a literal behind": (joined("s", "l"), "several OpenPGP messages"),
    "a literal before": (joined("l", "s"), "not signed at all"),
    "data behind": (joined("s", "d"), "further data"),
    "two bytes behind": (joined("s", "t"), "further data"),
    "two bytes behind compressed": (joined("s", "t", level="-z6"), "further data"),
    "a cut packet behind": (joined("s", "f"), "further data"),
    "a private packet behind": (joined("s", "p"), "further data"),
    "a marker behind": (joined("s", "m"), "further data"),
    "a private packet before": (joined("p", "s"), "no signed message"),
    "sha1": (lambda r, p: r.sign(p, "--digest-algo", "SHA1"), "weak hash SHA-1"),
    "two signers": (lambda r, p: r.sign(p, by="ours other"), "but also is signed by another key"),
    "signed in the future": (
        lambda r, p: r.sign(p, "--faked-system-time", "20400101T000000"),
        "in the future",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(ring: Ring, tmp_path: Path, name: str) -> None:
    make, words = WRONG[name]
    path = tmp_path / "a.tar.gz.gpg"
    make(ring, path)
    refused(ring, path, words)


def test_md5(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", "--digest-algo", "MD5", "--allow-weak-digest-algos", by="rsa")
    refused(ring, path, "weak hash MD5", signer="rsa")


@pytest.mark.parametrize("level", ["-z0", "-z6"])
def test_truncated_anywhere(ring: Ring, tmp_path: Path, level: str) -> None:
    path = ring.sign(tmp_path / "a", level)
    whole = path.read_bytes()
    for keep in (
        1,
        2,
        5,
        14,
        20,
        1000,
        150_000,
        299_990,
        len(whole) - 120,
        len(whole) - 40,
        len(whole) - 3,
        len(whole) - 1,
    ):
        path.write_bytes(whole[:keep])
        refused(ring, path, "truncated")


@pytest.mark.parametrize("level", ["-z0", "-z6"])
def test_tampered_content_or_signature(ring: Ring, tmp_path: Path, level: str) -> None:
    for at in (150_000, 290_000):
        path = ring.sign(tmp_path / "a", level)
        flip(path, at)
        refused(ring, path, "altered")
    path = ring.sign(tmp_path / "b")
    flip(path, -10)
    assert "BADSIG" in refused(ring, path, "altered").brief


def test_another_key(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", by="other")
    refused(ring, path, "another key", ring.fpr["other"], ring.fpr["ours"], "Other <b@x>")
    only = tmp_path / "ours.asc"
    only.write_bytes(ring.gpg("--export", ring.fpr["ours"]))
    refused(ring, path, ring.fpr["other"], "not in the keyring", ring.fpr["ours"], keyring=only)


def test_expired_signature(ring: Ring, tmp_path: Path) -> None:
    options = ["--faked-system-time", "20200102T000000", "--default-sig-expire", "10d"]
    refused(ring, ring.sign(tmp_path / "a", *options, by="rsa"), "signature that has expired", signer="rsa")


def test_expired_key(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", "--faked-system-time", "20200102T000000", by="expired")
    refused(ring, path, "which has expired", ring.fpr["expired"], signer="expired")


def test_revoked_key(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", by="revoked")
    assert good(ring, path, "revoked").size
    letter = (
        (ring.home / "openpgp-revocs.d" / f"{ring.fpr['revoked']}.rev")
        .read_bytes()
        .replace(b"\n:---", b"\n---")
    )
    letter = letter[letter.index(b"-----BEGIN") :]  # gpg's words before it are no part of a keyring
    keyring = tmp_path / "keys"
    keyring.write_bytes(ring.gpg("--armor", "--export", ring.fpr["revoked"]) + letter)
    refused(ring, path, "revoked key", ring.fpr["revoked"], signer="revoked", keyring=keyring)


def test_key_from_the_future(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", "--faked-system-time", "20400102T000000", by="future")
    keyring = tmp_path / "keys"
    keyring.write_bytes(ring.gpg("--faked-system-time", "20400102T000000", "--export", ring.fpr["future"]))
    error = refused(ring, path, "clock", signer="future", keyring=keyring)
    assert "date -u" in error.remedy


def test_names_cannot_inject_status_lines(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a", by="trick")
    assert good(ring, path, "trick").signer == ring.fpr["trick"]


def test_changed_while_read(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")

    def touch(_done: int) -> None:
        os.utime(path)

    with pytest.raises(SignatureError, match="changed or replaced"):
        GpgVerifier().verify(path, ring.fpr["ours"], ring.public, touch)

    def replace(_done: int) -> None:
        shutil.copy(path, tmp_path / "b")
        (tmp_path / "b").rename(path)

    with pytest.raises(SignatureError, match="changed or replaced"):
        GpgVerifier().verify(path, ring.fpr["ours"], ring.public, replace)


def test_not_a_readable_file(ring: Ring, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, words in (
        (tmp_path, "not a file"),
        (tmp_path / "fifo", "not a file"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            GpgVerifier().verify(path, ring.fpr["ours"], ring.public)
        assert caught.value.remedy


def test_unreadable_file(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")
    path.chmod(0)
    if os.geteuid() == 0:  # root reads everything: be somebody else for a moment
        tmp_path.chmod(0o755)
        code = f"import os; os.setuid(65534); open({str(path)!r})"
        assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode
        os.seteuid(65534)
    try:
        with pytest.raises(UsageError, match="Permission denied"):
            GpgVerifier().verify(path, ring.fpr["ours"], ring.public)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


BROKEN = {"none": "", "fails": "#!/bin/sh\nexit 3\n", "mute": "#!/bin/sh\nexit 0\n", "no program": "?"}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", ["gpg", "gpgv"])
def test_a_program_that_is_missing_or_broken_leaves_it_to_the_next(
    ring: Ring, tmp_path: Path, name: str, kind: str
) -> None:
    """Where none is left nothing is verified, and whoever reads it knows what to install."""
    path, program = ring.sign(tmp_path / "a"), tmp_path / name
    if BROKEN[kind]:
        program.write_text(BROKEN[kind])
        program.chmod(0o755)
    bad = WithGpg(str(program)) if name == "gpg" else WithGpgv(str(program))
    assert GpgVerifier([bad, *GPGV]).verify(path, ring.fpr["ours"], ring.public).signer == ring.fpr["ours"]
    with pytest.raises(
        BlockedError, match="is not installed" if kind == "none" else "does not work"
    ) as caught:
        GpgVerifier([bad, WithOwnGpgv()]).verify(path, ring.fpr["ours"], ring.public)
    assert str(program) in caught.value.brief and "install gnupg" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_gpg_without_a_folder_for_its_keys_leaves_it_to_gpgv(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    path = ring.sign(tmp_path / "a")
    assert GpgVerifier().verify(path, ring.fpr["ours"], ring.public).signer == ring.fpr["ours"]
    with pytest.raises(BlockedError, match="gpg cannot keep its keys"):
        GpgVerifier(GPG).verify(path, ring.fpr["ours"], ring.public)


def test_gpgv_has_no_keyring_of_a_user(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ring.sign(tmp_path / "a")
    monkeypatch.setenv("GNUPGHOME", str(ring.home))
    with pytest.raises(BlockedError, match=r"target\.keyring"):
        GpgVerifier(GPGV).verify(path, ring.fpr["ours"], None)


@pytest.mark.parametrize("proc", [True, False])
def test_the_gpgv_that_is_packed_in_is_run_from_memory(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: bool
) -> None:
    """Or, without /proc, from a private folder that is gone afterwards."""
    program = Path(shutil.which("gpgv") or "")
    monkeypatch.setattr(pkgutil, "get_data", lambda *_: program.read_bytes())
    if not proc:
        monkeypatch.setattr(memory_file, "_PROC", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = ring.sign(tmp_path / "a")
    assert GpgVerifier([WithOwnGpgv()]).verify(path, ring.fpr["ours"], ring.public).signer == ring.fpr["ours"]
    flip(path, 150_000)
    with pytest.raises(SignatureError, match="altered"):
        GpgVerifier([WithOwnGpgv()]).verify(path, ring.fpr["ours"], ring.public)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    assert not [fd for fd in Path("/proc/self/fd").iterdir() if "memfd:" in str(fd.resolve())]


@pytest.mark.parametrize("deed", ["echo '[GNUPG:] NEW_AND_STRANGE 1' >&2", "false", "kill -9 $$"])
def test_unknown_is_not_good(ring: Ring, tmp_path: Path, deed: str) -> None:
    """A good signature in the status lines, but gpg adds something, fails, or dies."""
    path = ring.sign(tmp_path / "a")
    fake = tmp_path / "gpg"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *--verify*) {shutil.which("gpg")} "$@" && {deed};; *) exec {shutil.which("gpg")} "$@";; esac\n'
    )
    fake.chmod(0o755)
    with pytest.raises(SignatureError, match="could not be verified") as caught:
        GpgVerifier([WithGpg(str(fake))]).verify(path, ring.fpr["ours"], ring.public)
    assert "VALIDSIG" in caught.value.details


def test_remembered_per_file_key_and_object(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ring.sign(tmp_path / "a")
    runs: list[int] = []
    real = reading.read_once

    def counted(*words: Any) -> Any:
        runs.append(1)
        return real(*words)

    monkeypatch.setattr(adapter, "read_once", counted)
    verifier = GpgVerifier()
    first = verifier.verify(path, ring.fpr["ours"], ring.public)
    assert verifier.verify(path, ring.fpr["ours"], ring.public) is first and len(runs) == 1
    with pytest.raises(SignatureError):
        verifier.verify(path, ring.fpr["other"], ring.public)
    os.utime(path)
    verifier.verify(path, ring.fpr["ours"], ring.public)
    GpgVerifier().verify(path, ring.fpr["ours"], ring.public)
    assert len(runs) == 4


def test_the_hash_is_left_out_where_nobody_needs_it_and_made_up_for_later(ring: Ring, tmp_path: Path) -> None:
    path, verifier = ring.sign(tmp_path / "a"), GpgVerifier()
    assert verifier.verify(path, ring.fpr["ours"], ring.public, hashed=False).sha256 == ""
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert verifier.verify(path, ring.fpr["ours"], ring.public).sha256 == expected
    assert verifier.verify(path, ring.fpr["ours"], ring.public, hashed=False).sha256 == expected
    with pytest.raises(SignatureError):
        GpgVerifier().verify(path, ring.fpr["other"], ring.public, hashed=False)


def test_an_error_of_progress_stops_gpg(ring: Ring, tmp_path: Path) -> None:
    path = ring.sign(tmp_path / "a")

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        GpgVerifier().verify(path, ring.fpr["ours"], ring.public, stop)
    assert threading.active_count() == before


GROWTH = """
import resource, sys
from pathlib import Path
from ctmupgrade.adapters.gpg.verifier import GpgVerifier
from ctmupgrade.adapters.disk.private_folder import PREFIX
v = GpgVerifier()
v.verify(Path(sys.argv[1]), sys.argv[3], Path(sys.argv[4]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
v.verify(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
kids = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, kids)
"""


@pytest.mark.parametrize("level", ["-z0", "-z1"])
def test_memory_stays_flat(ring: Ring, tmp_path: Path, level: str) -> None:
    small = ring.sign(tmp_path / "small")
    big = tmp_path / "big"
    block = os.urandom(1 << 20)
    with subprocess.Popen(
        [
            "gpg",
            "--homedir",
            str(ring.home),
            "--batch",
            "-q",
            level,
            "-u",
            ring.fpr["ours"],
            "-o",
            str(big),
            "-s",
        ],
        stdin=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        for _ in range(256):
            child.stdin.write(block)
        child.stdin.close()
    assert big.stat().st_size > 256 << 20
    argv = [sys.executable, "-c", GROWTH, str(small), str(big), ring.fpr["ours"], str(ring.public)]
    grown, kids = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert int(grown) < 50 << 10 and int(kids) < 100 << 10
    big.unlink()
