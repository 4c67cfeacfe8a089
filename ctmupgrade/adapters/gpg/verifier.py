"""Checks an archive's signature with gpg, in a keyring that holds the pinned key and nothing else.

gpg's status lines decide about the signature (:mod:`ctmupgrade.adapters.gpg.verdict`), and a walk over the
OpenPGP packets about the file's shape (:mod:`ctmupgrade.adapters.gpg.openpgp`). All read one open file.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctmupgrade.adapters.disk.private_folder import private_folder
from ctmupgrade.adapters.gpg.keyring import read_keyring, refuse_damaged
from ctmupgrade.adapters.gpg.local_file import mark, open_file, refuse_changed
from ctmupgrade.adapters.gpg.openpgp import ArchiveFile, ShapeError, peek
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes
from ctmupgrade.adapters.gpg.program import SHORT, GpgProgram
from ctmupgrade.adapters.gpg.reading import read_once
from ctmupgrade.adapters.gpg.verdict import PinnedKey, judge, no_judgement
from ctmupgrade.adapters.local.process import login_environ
from ctmupgrade.errors import SignatureError, UsageError
from ctmupgrade.ports import Signed


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
        """Check that ``archive`` is one inline-signed message with ``signer``'s good signature.

        :param signer: full fingerprint of the key; or of one of its subkeys, and then only that one counts.
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
        path, fd = open_file(archive, str(archive))
        try:
            memo = (path, mark(os.fstat(fd)), signer, keyring)
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
                said, count, digest = read_once(gpg, ArchiveFile(fd, before.st_size), progress)
            except ShapeError as error:
                refuse_changed(path, fd, before)
                raise SignatureError(f"{path} {error.what}", remedy=error.remedy) from error
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read: {error.strerror or error}", remedy=f"ls -l {path}"
                ) from error
        refuse_changed(path, fd, before)
        judge(path, said, key, signer)
        valid = said.all("VALIDSIG")
        if len(valid) != count or said.returncode != 0:
            raise no_judgement(path, said)
        at = datetime.fromtimestamp(int(valid[0][2]), UTC)
        if digest:
            self._hashes.keep(path, before, digest, fd)
        sha256 = digest.hexdigest() if digest else ""
        return Signed(path, before.st_size, sha256, key.primary, valid[0][0], at)

    def _prepare(self, home: Path, signer: str, keyring: Path | None) -> tuple[GpgProgram, PinnedKey]:
        """Make a gpg that knows the pinned key only; where the keyring holds others too, in a second home.

        :raises UsageError: the keyring cannot be read, is damaged, or lacks the key; gpg does not work.
        """
        data = self._own(signer) if keyring is None else read_keyring(keyring, signer)
        every = self._at(home / "all")
        try:
            self._import(every, home / "keys", data, keyring)
            keys = every.list_keys()
            one = every
            key = _pinned(keys, signer, keyring)
            if len(keys) > 1:
                one = self._at(home / "one")
                only = every.export_keys(key.primary, armor=False)
                self._import(one, home / "key", only, keyring)
        except OSError as error:
            raise UsageError(
                f"{self._gpg} cannot read the keys: {error.strerror or error}",
                remedy=f"{self._gpg} --version",
            ) from error
        return one, key

    def _import(self, gpg: GpgProgram, file: Path, data: bytes, keyring: Path | None) -> None:
        file.write_bytes(data)
        # With a clock that is behind, say that, not "no such key".
        said = gpg.import_file(file, "--ignore-time-conflict")
        if keyring is not None:
            refuse_damaged(keyring, said)

    def _at(self, folder: Path) -> GpgProgram:
        folder.mkdir(mode=0o700)
        # No agent: keyring files may hold secret keys, which are none of our business. No options and no
        # network either: what gpg decides must not depend on somebody's gpg.conf.
        options = ["--no-options", "--agent-program", "/nonexistent", "--disable-dirmngr",
                   "--no-auto-key-retrieve", "--trust-model", "always", "--no-auto-check-trustdb"]  # fmt: skip
        try:
            gpg = GpgProgram(self._gpg, str(folder), options=options, env={**login_environ(), "LC_ALL": "C"})
            if gpg.version is None:
                raise ValueError("it does not tell its version")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self._gpg} does not work here", details=str(error), remedy=f"{self._gpg} --version"
            ) from error
        return gpg

    def _own(self, signer: str) -> bytes:
        """The signer's key in the caller's own keyring; b"" where there is none."""
        home = Path(os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg"))  # noqa: PTH111 - without a home it raises nothing
        stores = ("pubring.kbx", "pubring.gpg", "public-keys.d", "gpg.conf")
        if not any((home / name).exists() for name in stores):
            return b""  # asking would make gpg create one
        argv = [self._gpg, "--batch", "--no-tty", "--no-auto-check-trustdb", "--export", signer]
        env = {**login_environ(), "GNUPGHOME": str(home)}
        try:
            return subprocess.run(
                argv, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=SHORT
            ).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"your gpg keyring in {home} cannot be read",
                details=str(error),
                remedy=f"gpg --list-keys {signer}",
            ) from error


def _fingerprint(text: str) -> str:
    plain = re.sub(r"\s", "", text).upper().removeprefix("0X")
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", plain):
        remedy = "gpg --show-keys --with-subkey-fingerprint KEYFILE shows it: 40 hexadecimal digits"
        raise UsageError(f"target.signer: {text!r} is not a full fingerprint", remedy=remedy)
    return plain


def _pinned(keys: list[dict[str, Any]], signer: str, keyring: Path | None) -> PinnedKey:
    """The pinned key among those of the keyring. :raises UsageError: it is not there."""
    # Primary fingerprints last: one key's primary may be another's subkey, and then counts as itself.
    named = [(key, (key["fingerprint"], (key["uids"] or ["no name"])[0])) for key in keys]
    others = {sub[2]: owner for key, owner in named for sub in key["subkeys"]}
    others |= {key["fingerprint"]: owner for key, owner in named}
    if signer not in others:
        raise _missing(signer, keyring, sorted({primary for primary, _ in others.values()}))
    primary = others[signer][0]
    key = next(key for key in keys if key["fingerprint"] == primary)
    parts = [key, *key.get("subkey_info", {}).values()]
    strength = {
        part["fingerprint"]: (part["algo"], int(part["length"]) if part["length"].isdigit() else 0)
        for part in parts
    }
    return PinnedKey(primary, datetime.fromtimestamp(int(key["date"]), UTC), others, strength)


def _missing(signer: str, keyring: Path | None, there: list[str]) -> UsageError:
    where = f"keyring {keyring}" if keyring else "your gpg keyring"
    held = "it holds: " + ", ".join(there) if there else "it holds no public key that gpg can read"
    remedy = f"gpg --show-keys {shlex.quote(str(keyring))}  # compare with target.signer" if keyring else (
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
            for home in (path for path in top.iterdir() if path.is_dir()):
                # Without a keyring file in it, keyboxd keeps the keys (gpg 2.4's common.conf) and still runs.
                if not (home / "pubring.kbx").exists() and shutil.which("gpgconf"):
                    argv = ["gpgconf", "--homedir", str(home), "--kill", "all"]
                    with suppress(OSError, subprocess.TimeoutExpired):
                        subprocess.run(
                            argv, env=login_environ(), capture_output=True, stdin=subprocess.DEVNULL,
                            check=False, timeout=SHORT,
                        )  # fmt: skip
