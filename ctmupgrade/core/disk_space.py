"""How much disk space an upgrade needs, by the strictest rule that is published."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.core.tested_paths import crosses_database_upgrade
from ctmupgrade.core.version import Version

GIB = 2**30
BASE_GIB = 12  # free without the archive; vendor page "Clusters and Nodes"
DATABASE_GIB = 35  # upper end of 25-35 GB for the database upgrades; vendor pages 2.14 and 2.16
ARCHIVE_FACTOR = 5  # vendor page 2.17; whether it includes the archive is not said: the strict reading


@dataclass(frozen=True, slots=True)
class SpaceNeed:
    """Bytes that must be free now, and the formula in words."""

    bytes: int
    formula: str


def space_need(current: Version, target: Version, archive_size: int, *, staged: bool) -> SpaceNeed:
    """Return the strictest rule that applies. ``staged``: the archive already lies on the node."""
    pending = 0 if staged else archive_size
    rules = [
        (BASE_GIB * GIB, f"{BASE_GIB} GiB"),
        (ARCHIVE_FACTOR * archive_size, f"{ARCHIVE_FACTOR} x the archive of {archive_size / GIB:.1f} GiB"),
    ]
    if crosses_database_upgrade(current, target):
        rules.append((DATABASE_GIB * GIB, f"{DATABASE_GIB} GiB for the database upgrade"))
    amount, words = max(rules)
    extra = "" if staged else f" + the archive itself ({pending / GIB:.1f} GiB)"
    return SpaceNeed(amount + pending, words + extra)
