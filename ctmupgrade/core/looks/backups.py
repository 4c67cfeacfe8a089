"""Backups as nodes list them, and as this machine keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class BackupEntry:
    """A backup as the node lists it.

    :ivar tied_to_hsm: None: the node does not tell. :ivar made_on: the release that made it, as text; "": not told."""

    id: str
    scope: str
    status: str
    created: datetime | None
    key_id: str = ""
    tied_to_hsm: bool | None = None
    made_on: str = ""


@dataclass(frozen=True, slots=True)
class BackupKey:
    """A backup key as the node lists it; ``active`` is expected."""

    id: str
    state: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup that was downloaded with its key, and is still there, equal to what was written down.

    What earlier versions did not write down has a default that says so.

    :ivar version: the release of the node that made it, as text.
    :ivar sha256: of the backup's file. :ivar key_sha256: of its key's file.
    :ivar tied_to_hsm: restorable only with the same HSM partition; None: not known.
    :ivar hsm: the partitions that the node used then, in words; None: not known.
    :ivar counts: how much of a kind was there when it was made ("keys", "users"); what is not known is not in it.
    :ivar proven: when it was last restored as a proof, or in earnest; None: never, as far as is known.
    """

    node: str
    version: str
    backup_id: str
    key_id: str
    created: datetime
    file: str
    key_file: str
    problem: str = ""
    downloaded: datetime | None = (
        None  # by this machine's clock; None: an earlier version did not write it down
    )
    sha256: str = ""
    key_sha256: str = ""
    tied_to_hsm: bool | None = None
    hsm: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    proven: datetime | None = None

    @property
    def made_at(self) -> datetime:
        """Return when it was surely there: what the appliance says, but never later than it was downloaded."""
        return self.created if self.downloaded is None else min(self.created, self.downloaded)

    def is_ahead(self, now: datetime) -> bool:
        """Return whether a time in it is later than now, by more than two clocks may differ: it tells no age."""
        return max(self.created, self.downloaded or self.created) > now + AHEAD

    def is_fresh(self, since: datetime, now: datetime) -> bool:
        """Return whether it is whole, and not older than ``since`` by times that can be believed."""
        return not self.problem and not self.is_ahead(now) and self.made_at >= since


AHEAD = timedelta(minutes=10)  # a time that is so far ahead of this machine's clock is not believed
