"""What `verify` says. A module of its own: it needs nothing of clusters, plans and runs."""

from __future__ import annotations

from ctmupgrade.ports import Signed


def signed_document(signed: Signed, version: str) -> dict[str, object]:
    """Return the document of ``verify``."""
    return {
        "schema": 1,
        "archive": str(signed.path),
        "size": signed.size,
        "sha256": signed.sha256,
        "signer": signed.signer,
        "signing_key": signed.key,
        "signed_at": signed.signed_at.isoformat() if signed.signed_at else None,
        "version": version,
        "verdict": "pass",
    }
