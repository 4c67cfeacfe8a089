"""Checks an archive's signature with gpg or gpgv, in a keyring that holds the pinned key and nothing else.

Their status lines decide about the signature (:mod:`ctmupgrade.adapters.gpg.verdict`), and a walk over the
OpenPGP packets about the file's shape (:mod:`ctmupgrade.adapters.gpg.openpgp`). All read one open file.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ctmupgrade.adapters.gpg.local_file import mark, open_file, refuse_changed
from ctmupgrade.adapters.gpg.openpgp import ArchiveFile, ShapeError, peek
from ctmupgrade.adapters.gpg.prefix_hash import PrefixHashes
from ctmupgrade.adapters.gpg.reading import read_once
from ctmupgrade.adapters.gpg.verdict import judge, no_judgement
from ctmupgrade.adapters.gpg.way import Way, first_usable
from ctmupgrade.adapters.gpg.with_gpg import WithGpg
from ctmupgrade.adapters.gpg.with_gpgv import WithGpgv, WithOwnGpgv
from ctmupgrade.errors import SignatureError, UsageError
from ctmupgrade.ports import Signed

EVERY_WAY: tuple[Way, ...] = (WithGpg(), WithGpgv(), WithOwnGpgv())  # best first


class GpgVerifier:
    """:class:`ctmupgrade.ports.Verifier` with the machine's gpg, else its gpgv, else the one that is packed in here.

    Results are remembered per object and file."""

    def __init__(self, ways: Sequence[Way] = EVERY_WAY, hashes: PrefixHashes | None = None) -> None:
        """:param ways: programs to verify with; the first that works does. :param hashes: gets what hashing yields."""
        self._ways = ways
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
        :raises UsageError: archive or keyring cannot be read, or the key is missing.
        :raises BlockedError: neither gpg nor gpgv can be run here.
        """
        signer = _fingerprint(signer)
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
        with first_usable(self._ways, signer, keyring) as (gpg, key):
            try:
                peek(os.pread(fd, 64, 0))
                said, count, digest = read_once(gpg, ArchiveFile(fd, before.st_size), progress)
            except ShapeError as error:
                refuse_changed(path, fd, before)
                raise SignatureError(f"{path} {error.what}", remedy=error.remedy) from error
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read: {error.strerror or error}",
                    remedy=f"ls -l {shlex.quote(str(path))}",
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


def _fingerprint(text: str) -> str:
    plain = re.sub(r"\s", "", text).upper().removeprefix("0X")
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", plain):
        remedy = "gpg --show-keys --with-subkey-fingerprint KEYFILE shows it: 40 hexadecimal digits"
        raise UsageError(f"target.signer: {text!r} is not a full fingerprint", remedy=remedy)
    return plain
