"""``verify``: an archive's signature, without any node."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ctmupgrade.commands.request import fixture_folder
from ctmupgrade.errors import UsageError

if TYPE_CHECKING:
    from ctmupgrade.ports import Signed, Verifier


def verify_archive(
    archive: Path,
    signer: str,
    keyring: Path | None,
    read: Callable[[int], None] = lambda _done: None,
    *,
    cluster: Path,
    simulate: Path | None,
) -> tuple[Signed, str]:
    """Return the signature, and the version that the archive's name tells ("" where it does not).

    :param signer: full fingerprint; "" is that of ``cluster``, a cluster.yaml.
    :param read: told the bytes read so far, a few times a second.
    :param simulate: folder of a fixture whose archive and cluster.yaml count instead.
    :raises SignatureError: not the pinned signer's good signature.
    :raises UsageError: no signer is known, or a file cannot be read.
    """
    if not simulate:
        _refuse_no_file(archive)
    if simulate:
        fixture_folder(simulate)
    if not signer:
        from ctmupgrade.config.load import load_cluster

        place = simulate / "cluster.yaml" if simulate else cluster
        target = load_cluster(place, simulated=True).target
        signer, keyring = target.signer, keyring or target.keyring
    if simulate is not None:
        signed = _simulated(simulate).verify(archive, signer, keyring)
    else:
        from ctmupgrade.adapters.gpg.verifier import GpgVerifier

        signed = GpgVerifier().verify(archive, signer, keyring, read)
    from ctmupgrade.core.version import NAMED_VERSION

    named = NAMED_VERSION.search(archive.name)
    return signed, named.group(1) if named else ""


def _refuse_no_file(archive: Path) -> None:
    """:raises UsageError: it is a folder, is not there, or cannot be looked at."""
    remedy = "name the vendor's archive, a file like *.tar.gz.gpg"
    try:
        about = archive.expanduser().stat()
    except FileNotFoundError:
        raise UsageError(f"{archive}: there is no such file", remedy=remedy) from None
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a name too long, or with a NUL; a home that nobody knows
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{archive}: it cannot be read: {why}", remedy=remedy) from None
    if stat.S_ISDIR(about.st_mode):
        raise UsageError(
            f"{archive}: it is a folder", remedy="name the archive in it, a file like *.tar.gz.gpg"
        )


def _simulated(folder: Path) -> Verifier:
    from ctmupgrade.config.load import load_world
    from ctmupgrade.sim import SimVerifier, World

    return SimVerifier(World.from_dict(load_world(folder / "world.yaml")))
