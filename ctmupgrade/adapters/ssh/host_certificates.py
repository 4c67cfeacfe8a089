"""A host key that an authority of known_hosts (``@cert-authority``) has signed, judged as OpenSSH judges it.

Source: OpenSSH's PROTOCOL.certkeys, and ``sshkey_cert_check_host`` in sshkey.c. The key exchange has proven that the
server holds the key; what is proven here is that the authority vouches for that key, for this host, now. Where versions
of OpenSSH differ, the stricter one is followed: a certificate that names no host is for none, and a name is no pattern.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ctmupgrade.adapters.ssh.agent import CERTIFICATE
from ctmupgrade.adapters.ssh.fingerprint import fingerprint

if TYPE_CHECKING:
    import paramiko
    from cryptography.hazmat.primitives.serialization import SSHCertificate

_RSA_SIGNATURES = (b"rsa-sha2-256", b"rsa-sha2-512")  # never SHA-1


def shows_certificate(key: paramiko.PKey) -> bool:
    """Return whether a server showed its key in a certificate."""
    return key.public_blob is not None and key.public_blob.key_type.endswith(CERTIFICATE)


def authority_of(key: paramiko.PKey) -> bytes:
    """Return the public key, in its wire form, that a shown certificate says it is signed with.

    :raises ValueError: the certificate cannot be read.
    """
    return _signer(_read(key))


def certificate_trouble(
    key: paramiko.PKey, host: str, authorities: Iterable[bytes], now: float | None = None
) -> str:
    """Return why the certificate of a server's key does not make it the key of ``host``; "" where it does.

    :param key: as the server showed it, after the key exchange was proven with it.
    :param host: the name or address that is connected to, in lower case, as known_hosts has it without a port.
    :param authorities: public keys in their wire form. :param now: seconds since 1970; None: this machine's clock.
    """
    try:
        found = _read(key)
        signer = _signer(found)
    except ValueError as error:
        return f"it cannot be read: {error}"
    if signer not in set(authorities):
        return f"it is signed by another authority, {fingerprint(signer)}"
    if not _is_signed(found):
        return "its signature is not valid, or is made with SHA-1"
    return _refused(found, host, time.time() if now is None else now)


def _refused(found: SSHCertificate, host: str, now: float) -> str:
    """Return what is wrong with a certificate that an authority has signed."""
    from cryptography.hazmat.primitives.serialization import SSHCertificateType  # noqa: PLC0415 - see _read

    names = [name.decode("utf-8", "replace") for name in found.valid_principals]
    if found.type is not SSHCertificateType.HOST:
        return "it is a user's certificate, not a host's"
    if now < found.valid_after:
        return f"it is valid only from {_moment(found.valid_after)} on"
    if now >= found.valid_before:
        return f"it was valid only until {_moment(found.valid_before)}"
    if found.critical_options:
        options = ", ".join(sorted(name.decode("utf-8", "replace") for name in found.critical_options))
        return f"it has critical options that are not known: {options}"
    if host not in names:
        return f"it is for {', '.join(names) or 'no host'}, not for {host}"
    return ""


def _read(key: paramiko.PKey) -> SSHCertificate:
    """:raises ValueError: it is no certificate of this very key."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - most hosts have no certificate
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    blob = key.public_blob
    if blob is None:
        raise ValueError("the server shows none")
    line = f"{blob.key_type} {base64.b64encode(blob.key_blob).decode()}".encode()
    try:
        found = serialization.load_ssh_public_identity(line)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, serialization.SSHCertificate):
        raise ValueError("it is a plain key")
    if _wire(found.public_key()) != key.asbytes():
        raise ValueError("it is for another key than the one that was proven")
    return found


def _signer(found: SSHCertificate) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see _read

    try:
        return _wire(found.signature_key())
    except UnsupportedAlgorithm as error:
        raise ValueError(f"its authority's key: {error}") from error


def _is_signed(found: SSHCertificate) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see _read
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    authority = found.signature_key()
    if isinstance(authority, rsa.RSAPublicKey):
        # The signature is the certificate's last field: algorithm and number, each after its length.
        whole, size = base64.b64decode(found.public_bytes().split()[1]), (authority.key_size + 7) // 8
        said = [
            name
            for name in _RSA_SIGNATURES
            if whole[: -size - 4].endswith(len(name).to_bytes(4, "big") + name)
        ]
        if not said:
            return False
    try:
        found.verify_cert_signature()
    except (InvalidSignature, ValueError, AssertionError):
        return False
    return True


def _wire(key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see _read

    line: bytes = key.public_bytes(  # type: ignore[attr-defined]  # a public key of any kind
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return base64.b64decode(line.split()[1])


def _moment(seconds: int) -> str:
    if seconds >= 2**63:
        return "for ever"
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return f"second {seconds}"
