"""What a log of ``ks_upgrade.sh`` proves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ctmupgrade.core.version import Version


class LogVerdict(StrEnum):
    """What the text of an upgrade log proves."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NONE = "none"  # no verdict (yet)


@dataclass(frozen=True, slots=True)
class UpgradeLog:
    """One ``ks_upgrade_*.log``. Its name's time is right; the times inside are not (docs/appliance.md 1.2).

    :ivar in_this_boot: whether it was last written to in the boot that the node still has; None: not known.
    """

    path: str
    size: int
    verdict: LogVerdict
    version: str = ""
    last_line: str = ""
    in_this_boot: bool | None = None

    def waits(self, version: Version) -> bool:
        """Return whether this upgrade, on a node that says ``version``, still waits for its reboot. The version need not
        tell: the new one's services are started before the reboot (docs/appliance.md 1.2)."""
        if self.verdict is not LogVerdict.SUCCEEDED:
            return False
        done = Version.parse(self.version)
        here = done.same_release(version) or (done.release == version.release and done.beta != version.beta)
        return done.release > version.release or (here and bool(self.in_this_boot))
