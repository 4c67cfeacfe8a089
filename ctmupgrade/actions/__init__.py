"""What each action does. :func:`handler` is the only place that knows which class belongs to which."""

from __future__ import annotations

from ctmupgrade.actions.backup import BackupHandler
from ctmupgrade.actions.base import StepHandler
from ctmupgrade.actions.drilling import CompareCountsHandler, ResetSpareHandler
from ctmupgrade.actions.joining import JoinHandler
from ctmupgrade.actions.membership import DeleteClusterHandler, RemoveHandler
from ctmupgrade.actions.new_cluster import NewClusterHandler
from ctmupgrade.actions.restore_proof import ProveRestoreHandler
from ctmupgrade.actions.restoring import RestoreBackupHandler, UploadBackupHandler, UploadKeyHandler
from ctmupgrade.actions.services import EraseHandler, ResetHandler, RestartHandler
from ctmupgrade.actions.settings import CompareHandler, RecallHandler, RecordHandler, RestoreHandler
from ctmupgrade.actions.stage import StageHandler, VerifyHandler
from ctmupgrade.actions.upgrade import Upgrade
from ctmupgrade.actions.waits import AwaitHandler, GateHandler, RebootHandler, SettleHandler
from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.steps import Action


def handler(action: Action) -> StepHandler:  # noqa: C901 - one case a kind
    """Return the behaviour of an action. mypy refuses a kind of action without one."""
    match action:
        case steps.VerifyArchive():
            return VerifyHandler()
        case steps.MakeBackup():
            return BackupHandler()
        case steps.StageArchive():
            return StageHandler()
        case steps.Gate():
            return GateHandler()
        case steps.RunUpgrade():
            return Upgrade(action)
        case steps.Reboot():
            return RebootHandler()
        case steps.AwaitNode(clustered=clustered):
            return AwaitHandler(clustered=clustered)
        case steps.Settle(clustered=clustered):
            return SettleHandler(clustered=clustered)
        case steps.RecordSettings():
            return RecordHandler()
        case steps.RemoveNode():
            return RemoveHandler(action)
        case steps.DeleteClusterConfig():
            return DeleteClusterHandler()
        case steps.ResetNode():
            return ResetHandler(action)
        case steps.NewCluster():
            return NewClusterHandler()
        case steps.RestoreSettings():
            return RestoreHandler(action)
        case steps.JoinNode():
            return JoinHandler(action)
        case steps.CompareSettings():
            return CompareHandler(action)
        case steps.RestartServices():
            return RestartHandler(action)
        case _:
            return _of_a_restore(action)


def _of_a_restore(action: restore_actions.RestoreAction) -> StepHandler:
    match action:
        case restore_actions.RecallSettings():
            return RecallHandler()
        case restore_actions.EraseNode():
            return EraseHandler()
        case restore_actions.UploadKey():
            return UploadKeyHandler(action)
        case restore_actions.UploadBackup():
            return UploadBackupHandler(action)
        case restore_actions.RestoreBackup():
            return RestoreBackupHandler(action)
        case restore_actions.ProveRestore():
            return ProveRestoreHandler(action)
        case restore_actions.CompareCounts():
            return CompareCountsHandler(action)
        case restore_actions.ResetSpare():
            return ResetSpareHandler(action)
