"""``verify``: an archive's signature, without any node."""

from __future__ import annotations

from pathlib import Path

from ctmupgrade.app.request import Request
from ctmupgrade.core.model import NAMED_VERSION
from ctmupgrade.errors import UsageError
from ctmupgrade.ports import Signed, Verifier


def verify_archive(request: Request, archive: Path, signer: str, keyring: Path | None) -> tuple[Signed, str]:
    """The signature, and the version that the archive's name tells ("" where it does not).

    :param signer: full fingerprint; "" is cluster.yaml's.
    :raises SignatureError: not the pinned signer's good signature.
    :raises UsageError: no signer is known, or a file cannot be read.
    """
    if not signer:
        from ctmupgrade.config import load_cluster

        place = request.simulate / "cluster.yaml" if request.simulate else request.cluster
        target = load_cluster(place, simulated=True).target
        signer, keyring = target.signer, keyring or target.keyring
    if not request.simulate and not archive.is_file():
        raise UsageError(f"{archive}: there is no such file")
    signed = _verifier(request).verify(archive, signer, keyring)
    named = NAMED_VERSION.search(archive.name)
    return signed, named.group(1) if named else ""


def _verifier(request: Request) -> Verifier:
    if request.simulate is None:
        from ctmupgrade.adapters.gpg import GpgVerifier

        return GpgVerifier()
    from ctmupgrade.adapters.sim import SimVerifier, World
    from ctmupgrade.config import load_world

    return SimVerifier(World.from_dict(load_world(request.simulate / "world.yaml")))
