"""The simulated signature check."""

from __future__ import annotations

from pathlib import Path

from ctmupgrade.errors import SignatureError
from ctmupgrade.ports import Signed
from ctmupgrade.sim import files
from ctmupgrade.sim.world import World

WORDS = {
    "wrong_signer": "is signed by FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF, not by the pinned signer",
    "unsigned": "carries no signature",
    "tampered": "has a BAD signature: it was changed after it was signed",
    "truncated": "is cut short: its signature is missing",
    "expired": "is signed with a key that has expired",
    "revoked": "is signed with a key that was revoked",
    "encrypted": "is encrypted, not signed",
}


class SimVerifier:
    """A :class:`~ctmupgrade.ports.Verifier` of the world's archive, whatever the path."""

    def __init__(self, world: World) -> None:
        self.world = world

    def verify(self, archive: Path, signer: str, keyring: Path | None, *, hashed: bool = True) -> Signed:  # noqa: ARG002 - the port's and the library's signatures
        """See :meth:`ctmupgrade.ports.Verifier.verify`."""
        held = self.world.archive
        wanted = signer.replace(" ", "").upper()
        problem = held.problem
        if problem == "none" and wanted != held.signer:
            problem = "wrong_signer"
        if problem != "none":
            self.world.record("", "refused_archive", problem)
            raise SignatureError(
                f"{archive.name} {WORDS[problem]}",
                remedy="do not use this file; get the archive and the vendor's key again, and compare target.signer with it",
            )
        self.world.record("", "verified", held.sha256)
        sha256 = held.sha256 if hashed else ""
        return Signed(archive, held.size, sha256, held.signer, held.signer, self.world.clock.start)

    def prefix_hash(self, length: int) -> str:
        """Return SHA-256 of the archive's first bytes, as a node that holds them would say."""
        return files.source_hash(self.world, "archive", length)
