"""Which certificates TLS trusts here: this machine's, or the operator's by ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

They are looked for where ksctl, a Go program, looks for them (crypto/x509, root_linux.go and root_unix.go), and not
where the OpenSSL was compiled to look that this program was built with: it may have been built on another system.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_MOST = 2000  # files of a folder


def verifying(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return what verifies a server's certificate and its name, as ksctl does.

    :param environ: the caller's, with ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` (folders with colons between them).
    :raises OSError: a file that ``SSL_CERT_FILE`` names cannot be read. :raises ssl.SSLError: no certificate is in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As in Go: a server's own certificate among the trusted ones is enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    named = environ.get("SSL_CERT_FILE")
    if named:
        context.load_verify_locations(cafile=named)
    else:
        usual = next((path for path in _FILES if Path(path).is_file()), None)
        if usual:
            context.load_verify_locations(cafile=usual)
    folders = environ.get("SSL_CERT_DIR")
    if folders or not context.cert_store_stats()["x509"]:
        for folder in folders.split(":") if folders else _FOLDERS:
            _load_folder(context, Path(folder))
    return context


def not_verifying() -> ssl.SSLContext:
    """Return what takes whoever answers: where something else proves it, or the operator said so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_folder(context: ssl.SSLContext, folder: Path) -> None:
    """Load every file of a folder that holds certificates, whatever it is called (OpenSSL itself wants hashes)."""
    try:
        files = sorted(folder.iterdir())[:_MOST]
    except OSError:
        return
    for file in files:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError):  # no certificate: ssl.SSLError is an OSError too
            continue
