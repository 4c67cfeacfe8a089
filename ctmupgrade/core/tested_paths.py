"""What is published about upgrades: which versions were tested for a release.

Sources: the vendor's "System Upgrade" pages, editions 2.11 to 2.18, of which only the opening could be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.version import Version

DATABASE_LINES = ((2, 14), (2, 16))


@dataclass(frozen=True, slots=True)
class Release:
    """What is published about upgrades to a release line (patch None: all of its patches).

    ``tested`` lists lines or exact releases ``(2, 13)`` or ``(2, 13, 1)``; None: no list was found.
    ``latest_patch_only``: the list names the latest patch, whose number is not known here.
    """

    line: tuple[int, int]
    patch: int | None
    tested: tuple[tuple[int, ...], ...] | None
    refused: tuple[tuple[int, ...], ...] = ()
    forced: tuple[tuple[int, ...], ...] = ()  # only with -o, as a stepping stone
    latest_patch_only: bool = False


_LATE_211 = tuple((2, 11, patch) for patch in range(2, 7))
_TESTED_213 = ((2, 10), (2, 11, 0), (2, 11, 1), (2, 12), (2, 13, 0))

RELEASES: tuple[Release, ...] = (
    Release((2, 11), None, ((2, 8), (2, 9), (2, 10))),
    Release((2, 12), None, ((2, 9), (2, 10), (2, 11, 0), (2, 12)), refused=((2, 11, 1), *_LATE_211)),
    Release((2, 13), 1, _TESTED_213, refused=_LATE_211),
    Release((2, 13), 2, ((2, 13, 1),), refused=_LATE_211),
    Release((2, 13), 3, (*_TESTED_213, (2, 13, 1), (2, 13, 2)), refused=_LATE_211),
    Release((2, 14), None, ((2, 11, 1), (2, 11, 2), (2, 12), (2, 13), (2, 14)), forced=_LATE_211[1:]),
    Release((2, 16), None, ((2, 13), (2, 14), (2, 15), (2, 16, 0))),
    Release((2, 17), None, ((2, 14), (2, 15), (2, 16)), latest_patch_only=True),
    Release((2, 18), None, ((2, 15, 0), (2, 16, 1), (2, 17, 0))),
)


def release_for(target: Version) -> Release | None:
    """Return what is published about upgrades to a release; None: no page was found."""
    fitting = [r for r in RELEASES if r.line == target.line and r.patch in (None, target.patch)]
    return fitting[0] if fitting else None


def named(current: Version, names: tuple[tuple[int, ...], ...]) -> bool:
    """Return whether a list of lines and exact releases has a version."""
    return any(current.release[: len(name)] == name for name in names)


def documents_force(target: Version) -> bool:
    """Return whether a vendor page documents ``-o`` on some path to ``target``."""
    release = release_for(target)
    return release is not None and bool(release.forced)


def crosses_database_upgrade(current: Version, target: Version) -> bool:
    """Return whether the upgrade reaches or passes 2.14 or 2.16, which upgrade the internal database."""
    return any(current.line < line <= target.line for line in DATABASE_LINES)
