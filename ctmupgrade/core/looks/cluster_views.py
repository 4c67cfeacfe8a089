"""A cluster as its members see it: each of itself, each of all others, and how far these are behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ctmupgrade.core.looks.replication import Lag, lag_of
from ctmupgrade.core.looks.shared_state import ClusterError


@dataclass(frozen=True, slots=True)
class Membership:
    """``ksctl cluster info``: what a node says of itself. Unclustered: node_id "" and code none."""

    node_id: str
    code: str
    count: int | None = None

    @property
    def clustered(self) -> bool:
        """Return whether anything in it speaks for a membership."""
        return bool(self.node_id) or self.code not in ("none", "")

    @property
    def left(self) -> bool:
        """Return whether it proves that a node has left its cluster, after it was told to: the vendor's own code takes an
        empty id or an empty code for that, as well as `none` (Terraform provider, pull 525)."""
        return not self.node_id or self.code in ("none", "")


@dataclass(frozen=True, slots=True)
class Member:
    """One line of ``ksctl cluster nodes list``. Codes: r ready, d down, k killed, creating, b, i, c, o
    joining, m and v removing and removed (docs/appliance.md 4.3), "" joined a moment ago and not published yet, ? not
    told. Older servers give no port."""

    node_id: str
    host: str
    code: str
    description: str = ""
    is_this: bool = False
    port: int | None = None
    public_address: str = ""

    @property
    def ready(self) -> bool:
        """Return whether this member is listed as ready."""
        return self.code == "r"

    @property
    def state(self) -> str:
        """Return its code in words."""
        return self.description or self.code or "just joined, its state not published yet"


@dataclass(frozen=True, slots=True)
class PeerView:
    """How a reporting node sees another (or itself: then ``connected`` is None)."""

    code: str
    summary: str
    connected: bool | None = None
    host: str = ""
    link: Mapping[str, object] = field(default_factory=dict, repr=False)  # all that is said of the link to it
    errors: tuple[ClusterError, ...] = ()  # what failed between the two

    @property
    def lag(self) -> Lag:
        """Return how far it is behind the one that reports."""
        return lag_of(self.link)


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """One reporting node's view of all. A node that is down keeps its last, GOOD view: only a
    fresh ``updated`` counts (docs/appliance.md 4.3)."""

    reporter: str
    updated: datetime | None
    peers: Mapping[str, PeerView]
