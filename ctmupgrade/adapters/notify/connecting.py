"""What all connections to receivers have in common: time limits, TLS, errors in words."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from ctmupgrade.adapters.authorities import verifying
from ctmupgrade.adapters.notify.errors import NotDeliveredError

SILENCE = 10.0  # seconds without an answer, each time one is waited for


def tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return what proves a receiver: by the operator's certificates, else by this machine's.

    :raises NotDeliveredError: they cannot be read.
    """
    try:
        if ca_file is None:
            return verifying(os.environ)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=ca_file)
        return context
    except OSError as error:  # ssl.SSLError is one
        raise NotDeliveredError(f"{ca_file or 'SSL_CERT_FILE'}: no certificates that can be read") from error


def connected(host: str, port: int) -> socket.socket:
    """Return a TCP connection. :raises NotDeliveredError: there is none."""
    try:
        return socket.create_connection((host, port), timeout=SILENCE)
    except (OSError, UnicodeError) as error:
        raise NotDeliveredError(words(error)) from error


def words(error: BaseException) -> str:
    """Return why a connection failed."""
    if isinstance(error, TimeoutError):
        return f"no answer for {SILENCE:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} (ca_file names who made it)"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'the connection broke').replace('_', ' ').lower()}"
    if isinstance(error, OSError):
        return error.strerror or "the connection broke"
    return type(error).__name__
