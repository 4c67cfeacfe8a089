"""How people compare keys."""

from __future__ import annotations

import base64
import hashlib


def fingerprint(blob: bytes) -> str:
    """Return ``SHA256:...`` as OpenSSH prints it, of a public key's wire form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
