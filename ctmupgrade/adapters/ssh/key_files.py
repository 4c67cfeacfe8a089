"""Key files of every form: what is in one, and what to type where it cannot be read."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paramiko

_CLASSES: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_MOST = 1 << 20  # bytes of a key file
_PKCS8 = re.compile(rb"-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----")
_PUBLIC = re.compile(rb"(?:ssh-|ecdsa-|sk-)[\w@.-]{3,60}[ \t]+[A-Za-z0-9+/=]{40,}")


class NeedsPassphraseError(Exception):
    """The private key is locked, and no passphrase was given."""


class NotAKeyError(Exception):
    """No private key that can be read. ``remedy``: what to type."""

    def __init__(self, reason: str, remedy: str = "Correct ssh.identity_file in cluster.yaml.") -> None:
        super().__init__(reason)
        self.remedy = remedy


class PublicHalfError(Exception):
    """The file holds a public key or a certificate: it names a key that an agent holds."""

    def __init__(self, blob: bytes) -> None:
        super().__init__("a public key")
        self.blob = blob


@dataclass(frozen=True, slots=True)
class Certificate:
    """A user certificate beside a key."""

    path: Path
    line: str
    key_blob: bytes  # the plain public key that it certifies
    principals: tuple[str, ...]
    begins: int  # seconds since 1970
    ends: int

    def trouble(self, user: str, now: float) -> str:
        """Return why a server would refuse it for ``user`` now, or nothing."""
        if now < self.begins:
            return f"{self.path} is valid only from {_day(self.begins)} on"
        if now >= self.ends:
            return f"{self.path} ended on {_day(self.ends)}"
        if self.principals and user not in self.principals:
            return f"{self.path} is for {', '.join(self.principals)}, not for {user}"
        return ""


def _day(seconds: int) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return str(seconds)


def load_key(path: Path, passphrase: str | None) -> paramiko.PKey:
    """Return the private key in a file.

    :raises OSError: it cannot be read. :raises NotAKeyError: not a form that can be used.
    :raises NeedsPassphraseError: it is locked. :raises PublicHalfError: it is only the public half.
    """
    data = _content(path)
    if public := _public_line(data):
        raise PublicHalfError(_public_blob(public.split()[1]))
    _refuse_foreign_forms(data, path)
    if b"PRIVATE KEY-----" not in data:
        raise NotAKeyError("not a private key (ed25519, ecdsa or RSA in OpenSSH, PEM or PKCS#8 form)")
    if _PKCS8.search(data):
        return _pkcs8(data, passphrase, path)
    return _by_paramiko(path, data, passphrase)


def every_ssh_reads(path: Path) -> bool:
    """Return whether the ssh programs of all ages read the form of a key file that we have read."""
    return not _PKCS8.search(_content(path))


def unsafe_mode(path: Path) -> str:
    """Return why OpenSSH would refuse the file for its mode, or nothing: others may read a key that is ours."""
    status = path.stat()
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        return f"mode {stat.S_IMODE(status.st_mode):04o}: others can read it, and ssh refuses such a key"
    return ""


def public_blob(path: Path) -> bytes | None:
    """Return the public half of a key file: of itself, of ``path.pub``, or of the open part of an OpenSSH file."""
    for file in (path, Path(f"{path}.pub")):
        with suppress(OSError, NotAKeyError):
            if public := _public_line(_content(file)):
                return _public_blob(public.split()[1])
    with suppress(OSError, NotAKeyError, binascii.Error, UnicodeError, paramiko.SSHException):
        lines = _content(path).decode("ascii").split("-----")
        if len(lines) > 2 and "OPENSSH" in lines[1]:
            return _open_part(base64.b64decode("".join(lines[2].split())))
    return None


def certificate(path: Path) -> Certificate | None:
    """Return the user certificate in a file; None where there is none, a host's too."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - most keys have no certificate
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        data = _public_line(_content(path))
        found = serialization.load_ssh_public_identity(data)
        if (
            not isinstance(found, serialization.SSHCertificate)
            or found.type is not serialization.SSHCertificateType.USER
        ):
            return None
        plain = found.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        names = tuple(name.decode("utf-8", "replace") for name in found.valid_principals)
        line = " ".join(data.decode("utf-8", "replace").split()[:2])
        blob = base64.b64decode(plain.split()[1])
        return Certificate(path, line, blob, names, found.valid_after, found.valid_before)
    except (OSError, NotAKeyError, ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not block us
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAKeyError("not a file")
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise NotAKeyError("far too long for a key")
    return data


def _public_line(data: bytes) -> bytes:
    """The line with the public key, where ssh finds it: behind comments and empty lines, before any private key; b""
    where there is none."""
    for line in data.split(b"\n"):
        if line.startswith(b"-----BEGIN"):
            break
        if _PUBLIC.match(text := line.strip(b" \t\r")):
            return text
    return b""


def _public_blob(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NotAKeyError("a public key that is damaged") from error


def _refuse_foreign_forms(data: bytes, path: Path) -> None:
    if data.startswith(b"PuTTY-User-Key-File"):
        raise NotAKeyError(
            "a PuTTY key (.ppk), which is not read",
            f"puttygen {path} -O private-openssh -o {path.with_suffix('.openssh')}\n"
            "(on Windows: PuTTYgen, Conversions, Export OpenSSH key), and name that file in ssh.identity_file.",
        )
    if data.startswith(b"---- BEGIN SSH2"):
        raise NotAKeyError(
            "a key in the form of ssh.com (SSH2), which is not read",
            f"ssh-keygen -i -f {path} > {path}.openssh, and name that file in ssh.identity_file.",
        )
    if b"BEGIN DSA PRIVATE KEY" in data:
        raise NotAKeyError(
            "a DSA key, which no server takes any more", "ssh-keygen -t ed25519 makes a new one."
        )


def _pkcs8(data: bytes, passphrase: str | None, path: Path) -> paramiko.PKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - keys of this form are rare
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    if b"BEGIN ENCRYPTED" in data and passphrase is None:
        raise NeedsPassphraseError
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode("ascii")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NotAKeyError(
            f"a PKCS#8 key that cannot be read ({type(error).__name__})", f"ssh-keygen -p -m PEM -f {path}"
        ) from error
    for kind in _CLASSES:
        with suppress(paramiko.SSHException, ValueError, TypeError, IndexError, UnicodeError):
            return kind.from_private_key(io.StringIO(text))
    raise NotAKeyError(
        "a PKCS#8 key of a type that SSH does not have", "ssh-keygen -t ed25519 makes a new one."
    )


def _by_paramiko(path: Path, data: bytes, passphrase: str | None) -> paramiko.PKey:
    """Try every class: paramiko's one-call loader changed its parameters between 4 and 5."""
    text = data.decode("utf-8", "replace")
    for kind in _CLASSES:
        try:
            return kind.from_private_key(io.StringIO(text), passphrase)
        except paramiko.PasswordRequiredException as error:
            raise NeedsPassphraseError from error
        except Exception:  # noqa: S112 - whatever the library raises on a damaged file, it is not a key
            continue
    blob = public_blob(path) or b""
    if b"sk-" in blob[:16]:
        raise NotAKeyError("a key on a security key", f"ssh-add {path}, and keep it in ssh.identity_file.")
    raise NotAKeyError("not a private key that can be read (ed25519, ecdsa or RSA; is it damaged?)")


def _open_part(data: bytes) -> bytes:
    message = paramiko.Message(data)
    message.get_bytes(len(b"openssh-key-v1\0"))
    for _ in range(3):  # cipher, key derivation and its options
        message.get_binary()
    message.get_int()
    blob: bytes = message.get_binary()
    return blob
