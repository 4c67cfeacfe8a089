"""Files of the appliance that ctmupgrade runs on, as its reboot leaves them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file or folder of this machine that a run needs again after this machine's reboot.

    :ivar what: what it is to ctmupgrade: "the state folder". :ivar lost: why the reboot takes it; "": it stays.
    :ivar maybe: or only may take it."""

    what: str
    path: str
    lost: str = ""
    maybe: bool = False
