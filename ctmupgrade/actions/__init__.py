"""What each action does. :func:`handler` is the only place that knows which class belongs to which."""

from __future__ import annotations

from ctmupgrade.actions.backup import BackupHandler
from ctmupgrade.actions.base import StepHandler
from ctmupgrade.actions.joining import JoinHandler
from ctmupgrade.actions.membership import DeleteClusterHandler, NewClusterHandler, RemoveHandler
from ctmupgrade.actions.services import ResetHandler, RestartHandler
from ctmupgrade.actions.settings import CompareHandler, RecordHandler, RestoreHandler
from ctmupgrade.actions.stage import StageHandler, VerifyHandler
from ctmupgrade.actions.upgrade import Upgrade
from ctmupgrade.actions.waits import AwaitHandler, GateHandler, RebootHandler, SettleHandler
from ctmupgrade.core.plan import steps
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
