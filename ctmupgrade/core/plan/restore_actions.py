"""What the steps of a restore do; with all other actions in :mod:`ctmupgrade.core.plan.steps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """The node's own settings that an earlier run wrote down, looked for on this machine."""

    kind: Literal["recall-settings"] = "recall-settings"


@dataclass(frozen=True, slots=True)
class EraseNode:
    """``services reset`` of a node that was given up by name although it has data, or may have.

    :ivar first: it is the one that the backup is restored onto, so that no node holds the data yet."""

    first: bool = False
    kind: Literal["erase"] = "erase"


@dataclass(frozen=True, slots=True)
class UploadKey:
    """A backup key onto the node, opened there with its password.

    :ivar file: of the backup that it opens, on this machine when the plan was made. :ivar sha256: of that backup."""

    key_id: str
    file: str
    sha256: str
    kind: Literal["upload-key"] = "upload-key"


@dataclass(frozen=True, slots=True)
class UploadBackup:
    """A backup's file onto the node. Fields as above."""

    backup_id: str
    file: str
    sha256: str
    kind: Literal["upload-backup"] = "upload-backup"


@dataclass(frozen=True, slots=True)
class RestoreBackup:
    """``backup restore``, until its operation has ended. What is on the node is overwritten.

    :ivar backup_id: as the node called it that made it. :ivar file, sha256: as above.
    :ivar made_on: its release. :ivar force: skip the appliance's check of the release.
    :ivar gone: the nodes that were given up by name; all others must answer and hold none of the cluster's data."""

    backup_id: str
    file: str
    sha256: str
    made_on: str
    force: bool = False
    gone: tuple[str, ...] = ()
    kind: Literal["restore"] = "restore"


@dataclass(frozen=True, slots=True)
class ProveRestore:
    """The restored node: its services stay started, the restored login works, and it has as much as the backup had.

    :ivar backup_id, sha256: as above. :ivar counts: what the manifest says was there; empty: it does not say."""

    backup_id: str
    sha256: str
    counts: tuple[tuple[str, int], ...] = ()
    kind: Literal["prove-restore"] = "prove-restore"


@dataclass(frozen=True, slots=True)
class CompareCounts:
    """How much the spare has, beside what the living cluster has now. It only looks.

    :ivar members: who is asked, the first that answers."""

    members: tuple[str, ...]
    kind: Literal["compare-counts"] = "compare-counts"


@dataclass(frozen=True, slots=True)
class ResetSpare:
    """``services reset`` of the spare that a drill has restored a backup onto, and the proof that it is empty.

    :ivar host: its address, which cluster.yaml does not have."""

    host: str
    kind: Literal["reset-spare"] = "reset-spare"


Harmless: TypeAlias = (
    RecallSettings | UploadKey | UploadBackup
)  # nothing on the node is lost or stopped by it
Erasing: TypeAlias = EraseNode | RestoreBackup | ResetSpare
Proof: TypeAlias = ProveRestore | CompareCounts
RestoreAction: TypeAlias = Harmless | Erasing | Proof
