"""Imports every module of the program from the one file, and makes a TLS connection with what is in it.

try_whole.py WHEELS FILE CA     run by the Python that was compiled: the standard library and the program come from FILE, the
                                wheels from their folder, as their C modules need the file's own loader. CA: a path for a
                                file of authorities, which SSL_CERT_FILE names.
"""

import sys

wheels, file, authorities = sys.argv[1:]
sys.path[:] = [wheels, file]

import http.client  # noqa: E402 - it is in there
import http.server  # noqa: E402, F401
import importlib  # noqa: E402
import pkgutil  # noqa: E402
import smtplib  # noqa: E402, F401
import ssl  # noqa: E402
import zipfile  # noqa: E402, F401
from datetime import UTC, datetime, timedelta  # noqa: E402
from pathlib import Path  # noqa: E402

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

import ctmupgrade  # noqa: E402


def every_module() -> None:
    """Each is imported once."""
    for found in pkgutil.walk_packages(ctmupgrade.__path__, "ctmupgrade."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def certificate(name: str) -> bytes:
    """Of a server that is its own authority, with its key behind it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM) + private


def connect(server_pem: Path) -> str:
    """Return the version of a TLS connection between two ends in memory. :raises ssl.SSLError: it is not trusted."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(server_pem)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(back, there, server_hostname="node.example")
    server = server_side.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return str(client.version())


def main() -> None:
    """Fails where anything is missing."""
    every_module()
    trusted, other = Path(authorities), Path(f"{authorities}.other")
    trusted.write_bytes(certificate("node.example"))
    other.write_bytes(certificate("node.example"))
    if connect(trusted) != "TLSv1.3":
        raise SystemExit("no TLS 1.3 connection")
    try:
        connect(other)
    except ssl.SSLCertVerificationError:
        return
    raise SystemExit("a certificate was taken that nobody trusts")


main()
