"""Checks an archive's signature with gpg, in a keyring that holds the pinned key and nothing else.

gpg's status lines decide about the signature, and a walk over the OpenPGP packets about the file's shape:
gpg accepts data behind a compressed message (seen with 2.2.40: exit code 0 for two of them in a row).
"""

from __future__ import annotations

import bz2
import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import gnupg  # type: ignore[import-untyped,unused-ignore]

from ctmupgrade.errors import SignatureError, UsageError
from ctmupgrade.ports import Signed

_AGAIN = "download the archive again and compare its size and checksum with the vendor's page"
_VENDOR = "use the vendor's signed archive (*.tar.gz.gpg) as it was downloaded"
_REPORT = f"do not use this file; {_AGAIN}; if it stays so, tell the vendor"
_CLOCK = "compare the clock of this machine with another (date -u; timedatectl)"
_AHEAD = timedelta(minutes=10)  # how far clocks may differ
_WEAK = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}  # hash algorithm ids of RFC 4880, 9.4
# Status lines that say nothing against a signature. KEYEXPIRED may be about another subkey;
# where it matters there is EXPKEYSIG instead of GOODSIG.
_HARMLESS = re.compile(
    r"NEWSIG|SIG_ID|GOODSIG|VALIDSIG|KEY_CONSIDERED|KEYEXPIRED|TRUST_\w+|PROGRESS|PLAINTEXT|PLAINTEXT_LENGTH"
    r"|VERIFICATION_COMPLIANCE_MODE|NOTATION_\w+|POLICY_URL"
)
# Packet tags (RFC 4880, 4.3) as letters, so that a file's shape is a word: o(ne-pass signature) l(iteral) s(ignature).
_LETTERS = {
    4: "o",
    11: "l",
    2: "s",
    8: "c",
    1: "e",
    3: "e",
    9: "e",
    18: "e",
    20: "e",
    5: "k",
    6: "k",
    7: "k",
    14: "k",
}


class _ShapeError(Exception):
    """The file is not one signed message: ``what`` in words, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class _StoppedError(Exception):
    """Another thread has failed; go no further."""


def _cut() -> _ShapeError:
    return _ShapeError("is truncated: it ends in the middle of the signed data", _AGAIN)


def _further() -> _ShapeError:
    return _ShapeError("holds further data behind the signed message", _REPORT)


class _Source(Protocol):
    def take(self, most: int) -> bytes: ...  # b"" at the end
    def skip(self, count: int) -> None: ...  # _ShapeError where there is less


class _File:
    """The archive by position, so that threads share a descriptor; and the flag that stops them all."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.size, self.at, self.stop = fd, size, 0, threading.Event()

    def take(self, most: int) -> bytes:
        if self.stop.is_set():
            raise _StoppedError
        got = os.pread(self.fd, most, self.at)
        self.at += len(got)
        return got

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > self.size:
            raise _cut()


class _Body:
    """A packet's content, put together from its pieces. ``left`` None: it goes on to the end."""

    def __init__(self, source: _Source) -> None:
        self.source, self.more = source, False
        self.left: int | None = 0
        first = source.take(1)
        self.end, self.tag = not first, -1
        if first and first[0] & 0x80:
            new = first[0] & 0x40
            self.tag = first[0] & 0x3F if new else (first[0] >> 2) & 0x0F
            self.old_size = None if new else (1, 2, 4, 0)[first[0] & 3]
            self._length()

    def _number(self, count: int) -> int:
        raw = b""
        while len(raw) < count:
            raw += (piece := self.source.take(count - len(raw)))
            if not piece:
                raise _cut()
        return int.from_bytes(raw, "big")

    def _length(self) -> None:
        if self.old_size is not None:
            self.left = self._number(self.old_size) if self.old_size else None
            return
        first = self._number(1)
        self.more = 224 <= first < 255
        if self.more:
            self.left = 1 << (first & 31)
        elif first < 192:
            self.left = first
        else:
            self.left = self._number(4) if first == 255 else ((first - 192) << 8) + self._number(1) + 192

    def take(self, most: int) -> bytes:
        while self.left == 0 and self.more:
            self._length()
        got = self.source.take(most if self.left is None else min(most, self.left)) if self.left != 0 else b""
        if self.left:
            if not got:
                raise _cut()
            self.left -= len(got)
        return got

    def skip(self, count: int) -> None:
        _skip(self, count)

    def drain(self) -> None:
        while self.left is not None and (self.left or self.more):
            self.source.skip(self.left)
            self.left = 0
            if self.more:
                self._length()
        while self.left is None and self.take(1 << 16):
            pass


def _skip(source: _Source, count: int) -> None:
    while count:
        got = source.take(min(count, 1 << 16))
        if not got:
            raise _cut()
        count -= len(got)


class _Inflated:
    """What a compressed packet holds, a piece at a time."""

    def __init__(self, body: _Body) -> None:
        self.body, self.out = body, b""
        kind = body.take(1)
        if kind not in (b"\1", b"\2", b"\3"):
            raise _ShapeError("is compressed in a way nobody uses, or damaged", _AGAIN)
        self.bz = bz2.BZ2Decompressor() if kind == b"\3" else None
        self.z = zlib.decompressobj(-15 if kind == b"\1" else 15)

    @property
    def done(self) -> bool:
        return self.bz.eof if self.bz else self.z.eof

    def take(self, most: int) -> bytes:
        while not self.out and not self.done:
            hungry = self.bz is None or self.bz.needs_input
            fed = self.body.take(1 << 14) if hungry else b""
            if hungry and not fed:
                raise _cut()
            try:  # 16 KiB hold at most 16 MiB of deflated data; bzip2 needs the limit
                self.out = self.bz.decompress(fed, 1 << 20) if self.bz else self.z.decompress(fed)
            except (zlib.error, OSError, ValueError) as error:
                raise _ShapeError(
                    "is damaged or was altered: its compressed data do not add up", _REPORT
                ) from error
        got, self.out = self.out[:most], self.out[most:]
        return got

    def skip(self, count: int) -> None:
        _skip(self, count)

    def finish(self) -> None:
        unused = self.bz.unused_data if self.bz else self.z.unused_data
        if unused or self.body.take(1):
            raise _further()


def _signatures(source: _Source, inner: bool = False) -> int:
    """Walks over the packets. :returns: how many signatures stand on the one signed message."""
    word, count = "", 0
    while not (body := _next(source, _whole(word))).end:
        letter = _LETTERS.get(body.tag, "x")
        if _whole(word):
            several = "several OpenPGP messages, one behind the other"
            raise _ShapeError(f"holds {several}", _REPORT) if letter in "olsce" else _further()
        word += letter
        _sensible(word, inner)
        if letter == "c":
            packed = _Inflated(body)
            count = _signatures(packed, inner=True)
            packed.finish()
        body.drain()
    if word == "c":
        return count
    if re.fullmatch(r"s+", word):
        raise _ShapeError("is a detached signature without the archive", "give the archive; " + _VENDOR)
    if not _whole(word):
        raise _cut()
    return word.count("s")


def _whole(word: str) -> bool:
    """The packets so far are a signed message to which nothing can be added."""
    return bool(re.fullmatch(r"(o+)ls+|s+l|c", word)) and (
        word[0] != "o" or word.count("o") == word.count("s")
    )


def _next(source: _Source, last: bool) -> _Body:
    try:
        return _Body(source)
    except _ShapeError as error:
        raise (_further() if last else error) from error


def _sensible(word: str, inner: bool) -> None:
    if "e" in word:
        raise _ShapeError("is encrypted: a signature inside cannot be seen", _VENDOR)
    if word[0] == "k":
        raise _ShapeError(
            "is a key, not an archive", "set target.archive to the archive, target.keyring to the key"
        )
    if word[0] == "l":
        raise _ShapeError("is OpenPGP data that is not signed at all", _VENDOR)
    if len(word) > 64 or not re.fullmatch(r"o+l?s*|s+l?|c", word) or (inner and word == "c"):
        damaged = "is damaged, was altered, or is no OpenPGP data: no signed message is built like this"
        raise _ShapeError(damaged, _REPORT)


def _peek(head: bytes) -> None:
    """What is plainly something else, before anything is started."""
    text = head.lstrip()
    if not head:
        raise _ShapeError("is empty (0 bytes)", _AGAIN)
    if text.startswith(b"-----BEGIN PGP SIGNED MESSAGE"):
        raise _ShapeError("is a clearsigned text, not an archive", _VENDOR)
    if text.startswith(b"-----BEGIN PGP SIGNATURE"):
        raise _ShapeError("is a detached signature without the archive", "give the archive; " + _VENDOR)
    if text.startswith(b"-----BEGIN PGP MESSAGE"):  # gpg ignores whatever stands around the armor
        raise _ShapeError("is in ASCII armor; only the binary form can be checked as a whole", _VENDOR)
    if head.startswith(b"\x1f\x8b"):
        raise _ShapeError("is not signed at all: it is a plain gzip file", _VENDOR)
    if not head[0] & 0x80:
        raise _ShapeError("is not signed at all: it is no OpenPGP data", _VENDOR)


class _Status:
    """A result for python-gnupg that keeps every status line and judges none."""

    def __init__(self, gpg: object) -> None:
        self.lines: list[tuple[str, list[str]]] = []
        self.returncode: int | None = None
        self.stderr, self.data = "", b""

    def handle_status(self, key: str, value: str) -> None:
        self.lines.append((key, value.split()))

    def all(self, key: str) -> list[list[str]]:
        return [fields for name, fields in self.lines if name == key]


class _Gpg(gnupg.GPG):  # type: ignore[misc,unused-ignore]
    """python-gnupg with raw status lines, and with its child at hand."""

    result_map = {**gnupg.GPG.result_map, "verify": _Status, "import": _Status}  # noqa: RUF012
    child: subprocess.Popen[bytes] | None = None

    def _open_subprocess(self, args: list[str], passphrase: bool = False) -> Any:
        self.child = super()._open_subprocess(args, passphrase)
        return self.child

    def _read_response(self, stream: Any, result: Any) -> None:
        # The library splits at U+0085 and others too, and a signature may carry a name with such a
        # character and "[GNUPG:] VALIDSIG ..." behind it. gpg itself ends lines with \n only.
        for raw in stream.stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith("[GNUPG:] "):
                key, _, value = line[9:].partition(" ")
                result.handle_status(key, value)
            else:
                kept = getattr(result, "stderr", "") or ""
                result.stderr = (kept + line + "\n")[-4000:]


@dataclass(frozen=True, slots=True)
class _Key:
    """The pinned key; ``others``: primary fingerprint and name of every key of the keyring, by fingerprint."""

    primary: str
    made: datetime
    others: dict[str, tuple[str, str]]


class _Counted(io.FileIO):
    """Small reads, as a hash is faster while the data are in the processor's cache; counted, for progress."""

    done = 0
    stop: threading.Event

    def readinto(self, buffer: Any, /) -> int:
        if self.stop.is_set():
            raise _StoppedError
        got = super().readinto(memoryview(buffer)[: 1 << 16]) or 0
        self.done += got
        return got


class GpgVerifier:
    """:class:`ctmupgrade.ports.Verifier` with the machine's gpg. Results are remembered per object and file."""

    def __init__(self, gpg: str = "gpg") -> None:
        """:param gpg: name or path of the program."""
        self._gpg = gpg
        self._known: dict[tuple[object, ...], Signed] = {}

    def verify(
        self, archive: Path, signer: str, keyring: Path | None, progress: Callable[[int], None] | None = None
    ) -> Signed:
        """Checks that ``archive`` is one inline-signed message with ``signer``'s good signature.

        :param signer: full fingerprint of the key or of one of its subkeys.
        :param keyring: public keys, armored or binary; None: the caller's own keyring.
        :param progress: told the bytes hashed so far, in the caller's thread, a few times a second.
        :raises SignatureError: anything but a good signature of ``signer``, each its own text.
        :raises UsageError: archive or keyring cannot be read, the key is missing, or gpg is.
        """
        signer = _fingerprint(signer)
        if not shutil.which(self._gpg):
            raise UsageError(
                f"{self._gpg} is not installed here", remedy="apt install gnupg, or dnf install gnupg2"
            )
        path, fd = _opened(archive)
        try:
            before = _mark(os.fstat(fd))
            memo = (path, before, signer, keyring)
            if memo not in self._known:
                self._known[memo] = self._verify(path, fd, signer, keyring, progress or (lambda _done: None))
            return self._known[memo]
        finally:
            os.close(fd)

    def _verify(
        self, path: Path, fd: int, signer: str, keyring: Path | None, progress: Callable[[int], None]
    ) -> Signed:
        before = os.fstat(fd)
        with _home() as home:
            gpg, key = self._prepare(home, signer, keyring)
            try:
                _peek(os.pread(fd, 64, 0))
                said, count, sha256 = _side_by_side(gpg, path, _File(fd, before.st_size), progress)
            except _ShapeError as error:
                _unchanged(path, fd, before)
                raise SignatureError(f"{path} {error.what}", remedy=error.remedy) from error
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read: {error.strerror}", remedy=f"ls -l {path}"
                ) from error
        _unchanged(path, fd, before)
        _judge(path, said, key, signer)
        valid = said.all("VALIDSIG")
        if len(valid) != count or said.returncode != 0:
            raise _no_judgement(path, said)
        at = datetime.fromtimestamp(int(valid[0][2]), UTC)
        return Signed(path, before.st_size, sha256, key.primary, valid[0][0], at)

    def _prepare(self, home: Path, signer: str, keyring: Path | None) -> tuple[_Gpg, _Key]:
        """A gpg that knows the pinned key only. All keys are read in a home of their own first."""
        data = self._own(signer) if keyring is None else _keyring(keyring)
        every, one = (self._at(home / name) for name in ("all", "one"))
        late = ["--ignore-time-conflict"]  # with a clock that is behind, say that, not "no such key"
        every.import_keys(data, extra_args=late)
        keys = every.list_keys()
        # Primary fingerprints last: one key's primary may be another's subkey, and then counts as itself.
        named = [(key, (key["fingerprint"], (key["uids"] or ["no name"])[0])) for key in keys]
        others = {sub[2]: owner for key, owner in named for sub in key["subkeys"]}
        others |= {key["fingerprint"]: owner for key, owner in named}
        if signer not in others:
            raise _missing(signer, keyring, sorted({primary for primary, _ in others.values()}))
        primary = others[signer][0]
        one.import_keys(every.export_keys(primary), extra_args=late)
        made = next(int(key["date"]) for key in keys if key["fingerprint"] == primary)
        return one, _Key(primary, datetime.fromtimestamp(made, UTC), others)

    def _at(self, folder: Path) -> _Gpg:
        folder.mkdir(mode=0o700)
        # No agent: keyring files may hold secret keys, which are none of our business. No options and no
        # network either: what gpg decides must not depend on somebody's gpg.conf.
        options = ["--no-options", "--agent-program", "/nonexistent", "--disable-dirmngr",
                   "--no-auto-key-retrieve", "--trust-model", "always", "--no-auto-check-trustdb"]  # fmt: skip
        env = {name: value for name, value in os.environ.items() if name not in ("GNUPGHOME", "DEBUG_IPC")}
        try:
            return _Gpg(self._gpg, str(folder), options=options, env={**env, "LC_ALL": "C"})
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self._gpg} does not work here", details=str(error), remedy="gpg --version"
            ) from error

    def _own(self, signer: str) -> bytes:
        home = Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg")
        stores = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf")
        if not any((home / name).exists() for name in stores):
            return b""  # asking would make gpg create one
        argv = [self._gpg, "--batch", "--no-tty", "--no-auto-check-trustdb", "--export", signer]
        return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).stdout


def _fingerprint(text: str) -> str:
    plain = re.sub(r"\s", "", text).upper().removeprefix("0X")
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", plain):
        remedy = "gpg --show-keys --with-subkey-fingerprint KEYFILE shows it: 40 hexadecimal digits"
        raise UsageError(f"target.signer: {text!r} is not a full fingerprint", remedy=remedy)
    return plain


def _opened(archive: Path) -> tuple[Path, int]:
    try:
        path = archive.expanduser().resolve(strict=True)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not block us
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{archive} cannot be read: {why}", remedy=f"ls -l {archive}") from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return path, fd
    os.close(fd)
    raise UsageError(f"{archive} is not a file", remedy="give the path of the archive itself")


def _keyring(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        remedy = "set target.keyring to the vendor's public key file"
        raise UsageError(f"keyring {path} cannot be read: {error.strerror}", remedy=remedy) from error


def _missing(signer: str, keyring: Path | None, there: list[str]) -> UsageError:
    where = f"keyring {keyring}" if keyring else "your gpg keyring"
    held = "it holds: " + ", ".join(there) if there else "it holds no public key that gpg can read"
    remedy = f"gpg --show-keys {keyring}  # compare with target.signer" if keyring else (
        "gpg --import vendor-signing-key.asc, or set target.keyring to that file")  # fmt: skip
    return UsageError(
        f"{where} does not hold the signing key {signer}", details=held if keyring else "", remedy=remedy
    )


@contextmanager
def _home() -> Iterator[Path]:
    # Socket paths are limited to about 100 bytes, and some platforms' temporary folder is long.
    base = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"  # noqa: S108
    top = Path(tempfile.mkdtemp(prefix="ctmu-", dir=base))
    try:
        yield top
    finally:
        if shutil.which("gpgconf"):
            for name in ("all", "one"):  # keyboxd, where the machine's common.conf asks for it
                argv = ["gpgconf", "--homedir", str(top / name), "--kill", "all"]
                subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        shutil.rmtree(top, ignore_errors=True)


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_size, about.st_mtime_ns, about.st_ino, about.st_dev, about.st_ctime_ns)


def _unchanged(path: Path, fd: int, before: os.stat_result) -> None:
    try:
        same = _mark(before) == _mark(os.fstat(fd)) == _mark(path.stat())
    except OSError:
        same = False
    if not same:
        raise SignatureError(f"{path} was changed or replaced while it was read", remedy="wait until nothing writes it (lsof), then try again")  # fmt: skip


def _side_by_side(
    gpg: _Gpg, path: Path, file: _File, progress: Callable[[int], None]
) -> tuple[_Status, int, str]:
    """gpg, the packets and the hash at once; the first failure stops all. Any exception of ``progress`` too."""

    def check() -> _Status:
        if file.stop.is_set():
            raise _StoppedError
        # A path instead of a pipe: gpg reads by itself, which halves the time.
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            said: _Status = gpg.verify_file(nothing, extra_args=[str(path)])
            return said

    with _Counted(os.dup(file.fd), "rb") as counted, ThreadPoolExecutor(3) as pool:
        counted.stop = file.stop
        gpg.child = None
        said, digest = pool.submit(check), pool.submit(hashlib.file_digest, counted, "sha256")
        count = pool.submit(_signatures, file)
        try:
            _attend([count, said, digest], counted, progress)
            return said.result(), count.result(), digest.result().hexdigest()
        except BaseException:
            file.stop.set()
            if gpg.child and gpg.child.poll() is None:
                gpg.child.kill()
            raise


def _attend(jobs: list[Future[Any]], counted: _Counted, progress: Callable[[int], None]) -> None:
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, 0.2, FIRST_EXCEPTION)
        for job in done:
            job.result()
        progress(counted.done)


def _judge(path: Path, said: _Status, key: _Key, signer: str) -> None:
    """:raises SignatureError: by what gpg's status lines say; the worst is said first."""

    def no(what: str, remedy: str) -> SignatureError:
        return SignatureError(f"{path} {what}", details=said.stderr, remedy=remedy)

    if said.all("BADSIG"):
        raise no("was altered after it was signed: the signature does not fit its content (BADSIG)", _REPORT)
    for fields in said.all("ERRSIG"):
        what, remedy = _errsig(fields, key, signer)
        ours = any(valid[-1] == key.primary for valid in said.all("VALIDSIG"))
        raise no(f"bears a signature of {signer}, but also {what}" if ours else what, remedy)
    for fields in said.all("VALIDSIG"):
        if fields[-1] != key.primary:
            raise no(f"is signed by another key: {fields[0]} instead of {signer}", _REPORT)
        if said.all("REVKEYSIG"):
            raise no(
                f"is signed with the revoked key {fields[0]}",
                "ask the vendor for its present key and archive",
            )
        if said.all("EXPKEYSIG"):
            raise no(f"is signed with the key {fields[0]}, which has expired", "get the vendor's key anew (a prolonged one has the same fingerprint): target.keyring; " + _CLOCK)  # fmt: skip
        if said.all("EXPSIG"):
            raise no(
                "bears a signature that has expired", "get a newly signed archive from the vendor; " + _CLOCK
            )
        if fields[7] in _WEAK:
            raise no(f"is signed with the weak hash {_WEAK[fields[7]]}", "ask the vendor for an archive signed with SHA-256 or better")  # fmt: skip
        if fields[8] != "00":
            raise no(f"bears a signature of class {fields[8]}, which is not one over binary data", _VENDOR)
        if datetime.fromtimestamp(int(fields[2]), UTC) > datetime.now(UTC) + _AHEAD:
            raise no("was signed in the future, as the clock of this machine has it", _CLOCK)
    strange = {name for name, _ in said.lines if not _HARMLESS.fullmatch(name)}
    if strange or not said.all("GOODSIG"):
        raise _no_judgement(path, said)


def _errsig(fields: list[str], key: _Key, signer: str) -> tuple[str, str]:
    """What is wrong with a signature that could not be checked (doc/DETAILS of gpg), and the remedy."""
    code, seen = fields[5], fields[6] if len(fields) > 6 and fields[6] != "-" else fields[0]
    owner, name = key.others.get(seen, ("", ""))
    if fields[2] in _WEAK and code == "5":
        return (
            f"is signed with the weak hash {_WEAK[fields[2]]}",
            "ask the vendor for an archive signed with SHA-256",
        )
    if code == "39" or key.made > datetime.now(UTC):
        return "and its key were made in an impossible order, as the clock of this machine has it", _CLOCK
    if code == "9" and owner and owner != key.primary:
        return f"is signed by another key: {seen} ({name}) instead of {signer}", _REPORT
    if code == "9":
        what = f"is signed by another key: {seen}, which is not in the keyring, instead of {signer}"
        return (
            what,
            "if the vendor has a new key, check its fingerprint with the vendor, then set target.signer and target.keyring",
        )
    return (
        f"bears a signature by {seen} that gpg cannot check (code {code})",
        "see the details; gpg --version",
    )


def _no_judgement(path: Path, said: _Status) -> SignatureError:
    names = " ".join(dict.fromkeys(name for name, _ in said.lines)) or "nothing"
    details = f"gpg ended with {said.returncode} and said: {names}\n{said.stderr}"
    return SignatureError(
        f"{path} could not be verified: gpg does not call it good", details=details, remedy=_REPORT
    )
