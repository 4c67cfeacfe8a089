"""The file with the vendor's public keys: what it must be, and what else people have in its place."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from ctmupgrade.adapters.gpg.armor import is_armored, stray_line
from ctmupgrade.adapters.gpg.local_file import open_file
from ctmupgrade.adapters.gpg.verdict import Status
from ctmupgrade.errors import UsageError

LARGEST = 64 * 2**20  # bytes: a whole distribution's keyring has less
AGAIN = "get the vendor's public key file again, and set target.keyring to it"
# gpg's own words, which are English with LC_ALL=C (g10/import.c, g10/armor.c). A file of secret keys ends in
# "import from ... failed" too, as there is no agent that could take them.
_BROKEN_OFF = re.compile(
    r"^gpg: (read_block: read error|CRC error|import from .* failed: Invalid)", re.MULTILINE
)


def read_keyring(path: Path, signer: str) -> bytes:
    """Return a keyring's bytes, which may be gpg's public or secret keys, armored or binary.

    :param signer: the fingerprint that is looked for, for the remedy.
    :raises UsageError: it cannot be read, is no file, too large, plainly something else, which is named, or armored with
        something in it that gpg passes over.
    """
    real, fd = open_file(path, f"keyring {path}")
    try:
        data = _at_most(fd, LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"keyring {path} cannot be read: {error.strerror}", remedy=f"ls -l {shlex.quote(str(path))}"
        ) from error
    finally:
        os.close(fd)
    if len(data) > LARGEST:
        raise UsageError(
            f"keyring {path} is larger than {LARGEST >> 20} MiB: it is no public key", remedy=AGAIN
        )
    what = _something_else(data)
    if what:
        raise UsageError(f"keyring {path} {what}", remedy=_remedy(what, real, signer))
    if is_armored(data) and (line := stray_line(data)):
        raise UsageError(
            f"keyring {path} is damaged, or has something else in it, in line {line}: gpg would not read on there",
            details="Only whole armored blocks of keys may be in it, blank lines and comments (# ...).",
            remedy=AGAIN,
        )
    return data


def _at_most(fd: int, most: int) -> bytes:
    pieces = []
    while most > 0 and (piece := os.read(fd, min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


KEYBOX = "is gpg's own keybox (pubring.kbx), which cannot be imported"
BOM = "begins with a byte order mark (BOM), so that gpg finds no key in it"
UTF16 = {name: f"is {name} text, in which gpg finds no key" for name in ("UTF-16", "UTF-16LE", "UTF-16BE")}
_KINDS: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (lambda head: not head, "is empty (0 bytes)"),
    (lambda head: head[8:12] == b"KBXf", KEYBOX),
    (lambda head: head.startswith(b"\xef\xbb\xbf"), BOM),
    (lambda head: head.startswith((b"\xff\xfe", b"\xfe\xff")), UTF16["UTF-16"]),
    # Without a mark iconv has to be told the order of the bytes.
    (lambda head: head.startswith(b"-\0-\0"), UTF16["UTF-16LE"]),
    (lambda head: head.startswith(b"\0-\0-"), UTF16["UTF-16BE"]),
    (lambda head: head.lstrip()[:64].lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")),
     "is a web page, perhaps that of a login, and no key"),
    (lambda head: head.startswith(b"\x1f\x8b"), "is a gzip file, and no key"),
    (lambda head: head.startswith(b"PK\3\4"), "is a zip file, and no key"),
    (lambda head: b"-----BEGIN CERTIFICATE" in head, "is a certificate (X.509), and no OpenPGP key"),
    (lambda head: re.match(rb"(ssh|ecdsa|sk)-|-----BEGIN OPENSSH", head), "is an SSH key, and no OpenPGP key"),
    (lambda head: head.lstrip().startswith((b"-----BEGIN PGP SIG", b"-----BEGIN PGP MESSAGE")),
     "is a signature or a message, and no key"),
)  # fmt: skip


def _something_else(data: bytes) -> str:
    """Return what the file is where it cannot be a keyring; "" where it may be one."""
    found = next((what for test, what in _KINDS if test(data[:4096])), "")
    if found or data[0] & 0x80 or b"-----BEGIN PGP P" in data:
        return found
    return "holds no OpenPGP key: neither a binary one nor -----BEGIN PGP PUBLIC KEY BLOCK-----"


def _remedy(what: str, path: Path, signer: str) -> str:
    name = shlex.quote(str(path))
    to = "vendor-signing-key.asc   # then set target.keyring to that file"
    if what == KEYBOX:
        return f"gpg --no-default-keyring --keyring {name} --armor --export {signer} > {to}"
    if what == BOM:
        return f"tail -c +4 {name} > {to}"
    coded = next((coding for coding, told in UTF16.items() if what == told), "")
    return f"iconv -f {coded} -t ASCII {name} > {to}" if coded else AGAIN


def damaged(path: Path, details: str) -> UsageError:
    """Return the error of a keyring that cannot be read to its end.

    It is refused also where the signer's key was read: what is behind the damage may be its revocation.
    """
    return UsageError(
        f"keyring {path} is damaged: gpg cannot read it to its end", details=details, remedy=AGAIN
    )


def refuse_damaged(path: Path, said: Status) -> None:
    """Refuse a damaged keyring. :raises UsageError: gpg could not read it to its end."""
    if _BROKEN_OFF.search(said.stderr):
        raise damaged(path, said.stderr.strip())


def missing_key(signer: str, keyring: Path | None, there: list[str]) -> UsageError:
    """Return the error of a keyring without the signing key.

    :param keyring: None: the caller's own. :param there: fingerprints of the keys that it holds.
    """
    where = f"keyring {keyring}" if keyring else "your gpg keyring"
    held = "it holds: " + ", ".join(there) if there else "it holds no public key that gpg can read"
    remedy = f"gpg --show-keys {shlex.quote(str(keyring))}  # compare with target.signer" if keyring else (
        "gpg --import vendor-signing-key.asc, or set target.keyring to that file")  # fmt: skip
    return UsageError(
        f"{where} does not hold the signing key {signer}", details=held if keyring else "", remedy=remedy
    )
