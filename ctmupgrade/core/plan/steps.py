"""Steps and what they do. A plan is a graph: ``Step.after`` names the steps a step waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ctmupgrade.core.plan import restore_actions


@dataclass(frozen=True, slots=True)
class VerifyArchive:
    """The archive's signature, on this machine."""

    kind: Literal["verify-archive"] = "verify-archive"


@dataclass(frozen=True, slots=True)
class MakeBackup:
    """A system backup and its key, made and downloaded."""

    kind: Literal["backup"] = "backup"


@dataclass(frozen=True, slots=True)
class StageArchive:
    """The archive into the node's home folder, hashed there, then renamed."""

    kind: Literal["stage"] = "stage"


@dataclass(frozen=True, slots=True)
class Gate:
    """Wait until every node reports every other node as healthy, so that one may go out of service."""

    kind: Literal["gate"] = "gate"


@dataclass(frozen=True, slots=True)
class RunUpgrade:
    """``ks_upgrade.sh``, started once and followed to its success line."""

    force_path: bool = False
    alone: bool = False  # of no cluster now: the others need not be well in its eyes
    kind: Literal["upgrade"] = "upgrade"


@dataclass(frozen=True, slots=True)
class Reboot:
    """``sudo reboot``, proven by another boot id."""

    kind: Literal["reboot"] = "reboot"


@dataclass(frozen=True, slots=True)
class AwaitNode:
    """keysecure active, services started, login works, the target's version; for a member also ready
    and connected in another member's eyes; several looks in a row."""

    clustered: bool = True
    kind: Literal["await"] = "await"


@dataclass(frozen=True, slots=True)
class Settle:
    """The node stays well for ``stable_for`` without a break."""

    clustered: bool = True
    kind: Literal["settle"] = "settle"


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """The node's own settings that no cluster replicates, written down."""

    kind: Literal["record-settings"] = "record-settings"


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Taken out of the cluster through another member, ``via``."""

    via: str
    node_id: str
    force: bool = False
    kind: Literal["remove"] = "remove"


@dataclass(frozen=True, slots=True)
class DeleteClusterConfig:
    """``cluster delete`` on the node itself, after which it is unclustered with its data."""

    kind: Literal["delete-cluster"] = "delete-cluster"


@dataclass(frozen=True, slots=True)
class ResetNode:
    """``services reset``: wipes the node's data. Only for one about to join.

    :ivar via: the member that sees its join hang, which the reset ends; "": only an unclustered node."""

    via: str = ""
    kind: Literal["reset"] = "reset"


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A new cluster of one on this node."""

    kind: Literal["new-cluster"] = "new-cluster"


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """The node's own settings, put back as far as a tool can; ``of``: those of another node, whose place it takes."""

    of: str = ""
    kind: Literal["restore-settings"] = "restore-settings"


@dataclass(frozen=True, slots=True)
class JoinNode:
    """Joined through ``via``; done when another member shows it ready. Erases the joiner's data."""

    via: str
    shared_hsm_partition: bool = False
    kind: Literal["join"] = "join"


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """The node's own settings against those recorded before; what differs is told. ``of`` as above."""

    of: str = ""
    kind: Literal["compare-settings"] = "compare-settings"


@dataclass(frozen=True, slots=True)
class RestartServices:
    """``services restart`` on the node; ``by_shell``: systemd's, where the control plane does not answer."""

    by_shell: bool = False
    kind: Literal["restart-services"] = "restart-services"


Action: TypeAlias = (
    VerifyArchive
    | MakeBackup
    | StageArchive
    | Gate
    | RunUpgrade
    | Reboot
    | AwaitNode
    | Settle
    | RecordSettings
    | RemoveNode
    | DeleteClusterConfig
    | ResetNode
    | NewCluster
    | RestoreSettings
    | JoinNode
    | CompareSettings
    | RestartServices
    | restore_actions.RestoreAction
)


Kind: TypeAlias = Literal[
    "verify-archive", "backup", "stage", "gate", "upgrade", "reboot", "await", "settle", "record-settings", "remove",
    "delete-cluster", "reset", "new-cluster", "restore-settings", "join", "compare-settings", "restart-services",
    "recall-settings", "erase", "upload-key", "upload-backup", "restore", "prove-restore",
    "compare-counts", "reset-spare",
]  # fmt: skip


def step_id(kind: Kind, node: str) -> str:
    """Return the id of a node's step of one kind; "" for a step that concerns no node."""
    return f"{kind}:{node}" if node else kind


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    :param id: ``kind:node``, unique in the plan.
    :param node: the node's name; "" where it concerns none.
    :param why: for the reader of the plan.
    :param after: ids of the steps that must be done before.
    :param estimate_s: seconds it usually takes.
    :param worst_s: seconds that nine of ten take less than; 0: not told, as in plans of earlier versions.
    :param holders: nodes that hold the cluster's data while this step runs; -1 where it does not matter.
    """

    id: str
    node: str
    action: Action
    why: str
    after: tuple[str, ...]
    estimate_s: int
    holders: int = -1
    worst_s: int = 0


def step(
    action: Action, node: str, why: str, seconds: int, after: tuple[str, ...] = (), holders: int = -1
) -> Step:
    """Return a step with the id of its kind and node.

    :param seconds: it usually takes. The rest as in :class:`Step`.
    """
    return Step(step_id(action.kind, node), node, action, why, after, seconds, holders)


def changes_node(action: Action) -> bool:
    """Return whether it changes the appliance (an uploaded file or a backup is not such a change)."""
    quiet = (
        VerifyArchive
        | MakeBackup
        | StageArchive
        | Gate
        | AwaitNode
        | Settle
        | RecordSettings
        | CompareSettings
    )
    return not isinstance(action, quiet | restore_actions.Harmless | restore_actions.Proof)


def in_service(action: Action) -> bool:
    """Return whether the node serves its clients as ever while it is done. What is not is between a node's hooks."""
    quiet = VerifyArchive | MakeBackup | StageArchive | RecordSettings | Gate | CompareSettings
    return isinstance(action, quiet | restore_actions.Harmless)


def begins_a_turn(action: Action) -> bool:
    """Return whether a node's turn begins with it, or it cannot be taken back: held where a run is to stop after the node before.
    What a node has begun (a reboot after its upgrade) goes on."""
    return isinstance(
        action, RunUpgrade | RemoveNode | DeleteClusterConfig | ResetNode | JoinNode | NewCluster
    )


def erases(action: Action) -> bool:
    """Return whether it erases all data of its node (vendor pages "Reset System" and "Clusters and Nodes")."""
    return isinstance(action, ResetNode | JoinNode | restore_actions.Erasing)


def is_look(action: Action) -> bool:
    """Return whether it only looks, so that its result ages and it is done again after a resume."""
    return isinstance(action, VerifyArchive | Gate | AwaitNode | Settle | restore_actions.Proof)
