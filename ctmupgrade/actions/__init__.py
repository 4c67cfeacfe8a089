"""What each action does. :func:`doer` is the only place that knows which class belongs to which."""

from __future__ import annotations

from ctmupgrade.actions.backup import BackupDoer
from ctmupgrade.actions.base import Doer
from ctmupgrade.actions.membership import DeleteClusterDoer, JoinDoer, NewClusterDoer, RemoveDoer
from ctmupgrade.actions.services import ResetDoer, RestartDoer
from ctmupgrade.actions.settings import CompareDoer, RecordDoer, RestoreDoer
from ctmupgrade.actions.stage import StageDoer, VerifyDoer
from ctmupgrade.actions.upgrade import Upgrade
from ctmupgrade.actions.waits import AwaitDoer, GateDoer, RebootDoer, SettleDoer
from ctmupgrade.core.plan import steps
from ctmupgrade.core.plan.steps import Action


def doer(action: Action) -> Doer:
    """The behaviour of an action. mypy refuses a kind of action without one."""
    match action:
        case steps.VerifyArchive():
            return VerifyDoer()
        case steps.MakeBackup():
            return BackupDoer()
        case steps.StageArchive():
            return StageDoer()
        case steps.Gate():
            return GateDoer()
        case steps.RunUpgrade():
            return Upgrade(action)
        case steps.Reboot():
            return RebootDoer()
        case steps.AwaitNode(clustered=clustered):
            return AwaitDoer(clustered=clustered)
        case steps.Settle(clustered=clustered):
            return SettleDoer(clustered=clustered)
        case steps.RecordSettings():
            return RecordDoer()
        case steps.RemoveNode():
            return RemoveDoer(action)
        case steps.DeleteClusterConfig():
            return DeleteClusterDoer()
        case steps.ResetNode():
            return ResetDoer(action)
        case steps.NewCluster():
            return NewClusterDoer()
        case steps.RestoreSettings():
            return RestoreDoer(action)
        case steps.JoinNode():
            return JoinDoer(action)
        case steps.CompareSettings():
            return CompareDoer(action)
        case steps.RestartServices():
            return RestartDoer(action)
