"""Which machine a run belongs to: it may be handed over to another one, whose journal goes on from this one's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ctmupgrade.core.run.events import RunHandedOver, RunTakenOver


@dataclass(frozen=True, slots=True)
class Custody:
    """What a journal says of the last hand-over.

    :ivar ticket: of it; "": there was none. :ivar away: nobody has taken it over, as far as this journal says.
    :ivar holder: who took it over, as this journal calls itself on the nodes. :ivar nodes: those that keep the offer.
    """

    ticket: str = ""
    away: bool = False
    holder: str = ""
    nodes: tuple[str, ...] = ()
    by: str = ""
    at: datetime | None = None
    file: str = ""

    @property
    def words(self) -> str:
        """Return who handed it over, when and into which file."""
        since = self.at.isoformat(timespec="seconds") if self.at else "an unknown time"
        return f"handed over by {self.by} at {since} into {self.file}"


UNMOVED = Custody()  # of a run that was never handed over


def custody_after(held: Custody, event: RunHandedOver | RunTakenOver, at: datetime) -> Custody:
    """Return whose the run is after one more event."""
    match event:
        case RunHandedOver(by, ticket, file, nodes):
            return Custody(ticket, True, "", nodes, by, at, file)
        case RunTakenOver(ticket=ticket, holder=holder):
            return replace(held, ticket=ticket, away=False, holder=holder)
