"""Checks an archive's signature with gpg, in a keyring that holds the pinned key and nothing else.

gpg's status lines decide about the signature (:mod:`ctmupgrade.adapters.gpg.verdict`), and a walk over the
OpenPGP packets about the file's shape (:mod:`ctmupgrade.adapters.gpg.openpgp`).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gnupg  # type: ignore[import-untyped,unused-ignore]

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.gpg.openpgp import ArchiveFile, ShapeError, StoppedError, peek, signatures
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes, Recorder
from ctmupgrade.adapters.gpg.verdict import PinnedKey, Status, judge, no_judgement
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.errors import SignatureError, UsageError
from ctmupgrade.ports import Signed


class _Gpg(gnupg.GPG):  # type: ignore[misc,unused-ignore]
    """python-gnupg with raw status lines, and with its child at hand."""

    result_map = {**gnupg.GPG.result_map, "verify": Status, "import": Status}  # noqa: RUF012
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


class _Counted(io.FileIO):
    """Small reads, as a hash is faster while the data are in the processor's cache; counted, for progress."""

    done = 0
    stop: threading.Event

    def readinto(self, buffer: Any, /) -> int:
        if self.stop.is_set():
            raise StoppedError
        got = super().readinto(memoryview(buffer)[: 1 << 16]) or 0
        self.done += got
        return got


class GpgVerifier:
    """:class:`ctmupgrade.ports.Verifier` with the machine's gpg. Results are remembered per object and file."""

    def __init__(self, gpg: str = "gpg", hashes: PrefixHashes | None = None) -> None:
        """:param gpg: name or path of the program. :param hashes: gets what hashing the archive yields."""
        self._gpg = gpg
        self._hashes = hashes or PrefixHashes()
        self._known: dict[tuple[object, ...], Signed] = {}

    def verify(
        self,
        archive: Path,
        signer: str,
        keyring: Path | None,
        progress: Callable[[int], None] | None = None,
        *,
        hashed: bool = True,
    ) -> Signed:
        """Checks that ``archive`` is one inline-signed message with ``signer``'s good signature.

        :param signer: full fingerprint of the key or of one of its subkeys.
        :param keyring: public keys, armored or binary; None: the caller's own keyring.
        :param progress: told the bytes hashed so far, in the caller's thread, a few times a second.
        :param hashed: False: the signature alone; ``sha256`` of the result is "", and a core less is busy.
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
            known = self._known.get(memo)
            if known is None or (hashed and not known.sha256):
                tell = (progress or (lambda _done: None)) if hashed else None
                known = self._known[memo] = self._verify(path, fd, signer, keyring, tell)
            return known
        finally:
            os.close(fd)

    def _verify(
        self, path: Path, fd: int, signer: str, keyring: Path | None, progress: Callable[[int], None] | None
    ) -> Signed:
        """:param progress: None: without the hash."""
        before = os.fstat(fd)
        with _home() as home:
            gpg, key = self._prepare(home, signer, keyring)
            try:
                peek(os.pread(fd, 64, 0))
                said, count, digest = _side_by_side(gpg, path, ArchiveFile(fd, before.st_size), progress)
            except ShapeError as error:
                _unchanged(path, fd, before)
                raise SignatureError(f"{path} {error.what}", remedy=error.remedy) from error
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read: {error.strerror}", remedy=f"ls -l {path}"
                ) from error
        _unchanged(path, fd, before)
        judge(path, said, key, signer)
        valid = said.all("VALIDSIG")
        if len(valid) != count or said.returncode != 0:
            raise no_judgement(path, said)
        at = datetime.fromtimestamp(int(valid[0][2]), UTC)
        if digest:
            self._hashes.keep(path, before, digest)
        sha256 = digest.hexdigest() if digest else ""
        return Signed(path, before.st_size, sha256, key.primary, valid[0][0], at)

    def _prepare(self, home: Path, signer: str, keyring: Path | None) -> tuple[_Gpg, PinnedKey]:
        """A gpg that knows the pinned key only; where the keyring holds others too, it has a second home."""
        data = self._own(signer) if keyring is None else _keyring(keyring)
        every = self._at(home / "all")
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
        one = every
        if len(keys) > 1:
            one = self._at(home / "one")
            one.import_keys(every.export_keys(primary), extra_args=late)
        made = next(int(key["date"]) for key in keys if key["fingerprint"] == primary)
        return one, PinnedKey(primary, datetime.fromtimestamp(made, UTC), others)

    def _at(self, folder: Path) -> _Gpg:
        folder.mkdir(mode=0o700)
        # No agent: keyring files may hold secret keys, which are none of our business. No options and no
        # network either: what gpg decides must not depend on somebody's gpg.conf.
        options = ["--no-options", "--agent-program", "/nonexistent", "--disable-dirmngr",
                   "--no-auto-key-retrieve", "--trust-model", "always", "--no-auto-check-trustdb"]  # fmt: skip
        try:
            return _Gpg(self._gpg, str(folder), options=options, env=login_environ())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self._gpg} does not work here", details=str(error), remedy="gpg --version"
            ) from error

    def _own(self, signer: str) -> bytes:
        home = Path(os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg"))  # noqa: PTH111 - without a home it raises nothing
        stores = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf")
        if not any((home / name).exists() for name in stores):
            return b""  # asking would make gpg create one
        argv = [self._gpg, "--batch", "--no-tty", "--no-auto-check-trustdb", "--export", signer]
        env = {**login_environ(), "GNUPGHOME": str(home)}
        return subprocess.run(
            argv, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False
        ).stdout


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
    with private_folder() as top:
        try:
            yield top
        finally:
            for home in top.iterdir():
                # Without a keyring file in it, keyboxd keeps the keys (gpg 2.4's common.conf) and still runs.
                if not (home / "pubring.kbx").exists() and shutil.which("gpgconf"):
                    argv = ["gpgconf", "--homedir", str(home), "--kill", "all"]
                    subprocess.run(
                        argv, env=login_environ(), capture_output=True, stdin=subprocess.DEVNULL, check=False
                    )


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
    gpg: _Gpg, path: Path, file: ArchiveFile, progress: Callable[[int], None] | None
) -> tuple[Status, int, Recorder | None]:
    """gpg, the packets and the hash at once; the first failure stops all. Any exception of ``progress`` too.

    :param progress: None: no hash.
    """

    def check() -> Status:
        if file.stop.is_set():
            raise StoppedError
        # A path instead of a pipe: gpg reads by itself, which halves the time.
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            said: Status = gpg.verify_file(nothing, extra_args=[str(path)])
            return said

    with _Counted(os.dup(file.fd), "rb") as counted, ThreadPoolExecutor(3) as pool:
        counted.stop = file.stop
        gpg.child = None
        said, count = pool.submit(check), pool.submit(signatures, file)
        digest = pool.submit(_hashed, counted) if progress else None
        try:
            _attend([count, said, *([digest] if digest else ())], counted, progress or (lambda _done: None))
            return said.result(), count.result(), digest.result() if digest else None
        except BaseException:
            file.stop.set()
            if gpg.child and gpg.child.poll() is None:
                gpg.child.kill()
            raise


def _hashed(file: io.FileIO) -> Recorder:
    recorder, buffer = Recorder(), bytearray(1 << 16)
    view = memoryview(buffer)
    while count := file.readinto(buffer):
        recorder.update(view[:count])
    return recorder


def _attend(jobs: list[Future[Any]], counted: _Counted, progress: Callable[[int], None]) -> None:
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, 0.2, FIRST_EXCEPTION)
        for job in done:
            job.result()
        progress(counted.done)
