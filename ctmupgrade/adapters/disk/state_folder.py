"""Where journals live where nobody says it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def usual_folder() -> Path:
    """Return the platform's folder for state; without a home (a container's user may have none) a folder of the user's
    number that outlives a reboot."""
    base = os.environ.get("XDG_STATE_HOME")
    try:
        home = Path.home()
    except RuntimeError:
        return Path(base) / "ctmupgrade" if base else Path(f"/var/tmp/ctmupgrade-{os.getuid()}")  # noqa: S108 - see above
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "ctmupgrade"
    return Path(base or home / ".local" / "state") / "ctmupgrade"
