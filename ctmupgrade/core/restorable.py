"""Say on which versions a backup can be restored (docs/appliance.md 3)."""

from __future__ import annotations

from ctmupgrade.core.version import Version

FORWARD_MINORS = 3  # a backup restores on the next three minors; vendor pages 2.13, 2.16
LTS_LINES = ((2, 11), (2, 19), (2, 23))  # medium confidence: release model page, a guide, an announcement


def backup_fits(made_on: Version, restored_on: Version) -> bool:
    """Return whether a backup of one version restores on another: the next three minors, for an LTS release
    also the next two LTS lines; never an older version."""
    if restored_on.release < made_on.release or restored_on.major != made_on.major:
        return False
    if restored_on.minor - made_on.minor <= FORWARD_MINORS:
        return True
    if made_on.line not in LTS_LINES:
        return False
    start = LTS_LINES.index(made_on.line)
    return restored_on.line in LTS_LINES[start + 1 : start + 3]
