"""Boots of a node: what tells two apart, and whose reboot is still to come."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ctmupgrade.core.version import Version


@dataclass(frozen=True, slots=True)
class BootMark:
    """What changes with a reboot. ``boot_id`` proves it; ``since`` (epoch seconds) is the fallback,
    known to wobble by a second, so differences below ``WOBBLE`` prove nothing.

    :ivar taken: when this machine looked, epoch seconds; 0: not kept. A boot of later is not older than that."""

    boot_id: str = ""
    since: float = 0.0
    taken: float = 0.0

    def differs_from(self, other: BootMark) -> bool | None:
        """Return whether it is another boot; None where the two cannot be compared."""
        if self.boot_id and other.boot_id:
            return self.boot_id != other.boot_id
        if not self.since or not other.since:
            return None
        if abs(self.since - other.since) <= WOBBLE:
            return False
        # Without a reboot the time of the boot moves when the clock is set: then it is still long before that look.
        return None if other.taken and self.since < other.taken - CLOCKS else True

    def text(self) -> str:
        """Return it as evidence in a journal."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> BootMark:
        """Return the mark of such a text; an absent one ("") compares with nothing."""
        return cls(**json.loads(text)) if text else cls()


CLOCKS = 26 * 3600.0  # seconds; two clocks, and what a time without its zone may mean, differ by no more
WOBBLE = 10.0  # seconds; `uptime -s` and btime differ by 1 s on one boot, a real reboot takes longer


@dataclass(frozen=True, slots=True)
class Unbooted:
    """An upgrade that this machine's journals know to have begun on a node, and whose reboot they do not know.

    Whether a node says the new version before its reboot or only after it is not known (docs/appliance.md 1.2, 8), so
    that neither its version nor its log tells whether that reboot is still to come: its boot does.

    :ivar boot: the node's boot when that upgrade began.
    :ivar proven: its success line was seen, or an operator said that it is done.
    """

    run: str
    target: Version
    boot: BootMark
    proven: bool
