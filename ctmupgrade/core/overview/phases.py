"""What happens to a node, in a few plain words, as a column of a board has room for."""

from __future__ import annotations

from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.steps import Step

_PHASES: dict[type, str] = {
    steps.VerifyArchive: "verifying the archive",
    steps.MakeBackup: "backing up",
    steps.StageArchive: "uploading",
    steps.Gate: "checking the cluster",
    steps.RunUpgrade: "upgrading",
    steps.Reboot: "rebooting",
    steps.AwaitNode: "starting up",
    steps.Settle: "proving it healthy",
    steps.RecordSettings: "saving settings",
    steps.RemoveNode: "leaving the cluster",
    steps.DeleteClusterConfig: "leaving the cluster",
    steps.ResetNode: "being reset",
    steps.NewCluster: "making the cluster",
    steps.RestoreSettings: "restoring settings",
    steps.JoinNode: "joining",
    steps.CompareSettings: "comparing settings",
    steps.RestartServices: "restarting services",
    restore_actions.RecallSettings: "reading settings",
    restore_actions.EraseNode: "being erased",
    restore_actions.UploadKey: "uploading its key",
    restore_actions.UploadBackup: "uploading a backup",
    restore_actions.RestoreBackup: "restoring a backup",
    restore_actions.ProveRestore: "proving it whole",
    restore_actions.CompareCounts: "counting its data",
    restore_actions.ResetSpare: "being reset",
}


def phase_of(step: Step) -> str:
    """Return what is done in a step: "upgrading". The kind of a step that has no words of its own."""
    return _PHASES.get(type(step.action), step.action.kind.replace("-", " "))
