"""How long things usually take, in seconds, where no earlier run of the cluster tells. Nothing waits on it.

Sources: an upgrade ended within 31 minutes on one k170v and an upload ran at 36 MB/s (captured run,
2.20 to 2.21); a node is out of service for 10 minutes or more and a join of 30 minutes is not unusual (vendor
page "Clusters and Nodes"). Reboot, services, backup and restore are assumptions.
"""

from __future__ import annotations

import re

UPGRADE_S = 1860
BOOT_S = 300
SERVICES_S = 120
BACKUP_S = 60
RESTORE_S = 600
JOIN_S = 1800
GATE_S = 5
QUICK_S = 10
UPLOAD_BYTES_S = 36_000_000
HASH_BYTES_S = 500_000_000


def upload_s(size: int) -> int:
    """Upload and hash of ``size`` bytes."""
    return max(1, size // UPLOAD_BYTES_S + size // HASH_BYTES_S)


def verify_s(size: int) -> int:
    """Signature check of ``size`` bytes on this machine."""
    return max(1, size // HASH_BYTES_S)


def clock_time(seconds: int) -> str:
    """Return seconds as ``1 h 05 min``, ``12 min`` or ``40 s``."""
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


_CLOCK_TIME = re.compile(r"\b\d{1,6} (?:h \d\d min|min|s)\b", re.ASCII)


def without_times(text: str) -> str:
    """Return a sentence without what :func:`clock_time` has put into it: how long it takes each run teaches anew."""
    return _CLOCK_TIME.sub("...", text)
