"""Which files of this machine a reboot removes: what is in memory, and folders that systems empty when they start."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.looks.own_files import OwnFile

_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs", "hugetlbfs")
_EMPTIED = ("/tmp", "/run", "/var/run", "/dev")  # noqa: S108 - looked at; tmpfiles.d(5): /tmp is emptied at boot


def own_files(
    wanted: Iterable[tuple[str, Path]], mounts: Mapping[str, str] | None = None
) -> Maybe[tuple[OwnFile, ...]]:
    """Return of each file or folder whether a reboot of this machine takes it. Only looks.

    :param wanted: what it is, and where; it need not be there yet.
    :param mounts: mount point -> kind of file system; None: this machine's.
    """
    try:
        found = mounts_here() if mounts is None else mounts
    except (OSError, psutil.Error) as error:
        return Unknown(f"the mounted file systems cannot be listed: {error}")
    if "/" not in found:
        return Unknown("the list of mounted file systems has no root")
    return tuple(OwnFile(what, str(path), *_lost(path, found)) for what, path in wanted)


def mounts_here() -> dict[str, str]:
    """Return the kind of file system at each mount point; where one hides another, the upper one."""
    return {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}


def _lost(path: Path, mounts: Mapping[str, str]) -> tuple[str, bool]:
    """Why a reboot takes it, and whether it only may."""
    real = os.path.realpath(path)
    places = [str(place) for place in (Path(real), *Path(real).parents)]
    mount = next(place for place in places if place in mounts)
    if mounts[mount] in _IN_MEMORY:
        # A root in memory may be a copy of something that lasts: only who made the system knows.
        return f"{mount} is in memory ({mounts[mount]})", mount == "/"
    emptied = next((place for place in places if place in _EMPTIED), "")
    return (f"{emptied} is emptied when a system starts", True) if emptied else ("", False)
