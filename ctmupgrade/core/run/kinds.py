"""What a run was for: an upgrade, a backup, a rehearsal."""

from __future__ import annotations

from enum import StrEnum

from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.steps import MakeBackup, RunUpgrade, StageArchive, VerifyArchive, changes_node
from ctmupgrade.core.run.journal import RunState


class RunKind(StrEnum):
    """The kinds of runs, as ``runs`` lists them (contract)."""

    UPGRADE = "upgrade"
    REBUILD = "rebuild"
    STAGE = "stage"
    BACKUP = "backup"
    DRY_RUN = "dry run"
    RECOVER = "recover"
    RESTORE = "restore"
    DRILL = "drill"


CHANGES_NO_RELEASE = (RunKind.STAGE, RunKind.BACKUP, RunKind.RESTORE, RunKind.DRILL)

_TITLES = {
    RunKind.UPGRADE: "Upgrade of {cluster} to {target}",
    RunKind.REBUILD: "Rebuild of {cluster} to {target}",
    RunKind.STAGE: "Staging for {cluster}",
    RunKind.BACKUP: "Backup of {cluster}",
    RunKind.DRY_RUN: "Dry run for {cluster}",
    RunKind.RECOVER: "Recovery of {cluster}",
    RunKind.RESTORE: "Restore of {cluster}",
    RunKind.DRILL: "Drill with a backup of {cluster}",
}


def kind_of(state: RunState) -> RunKind:
    """Return what a run was for: as its journal says, or, in one of version 0.1.0, as its plan shows."""
    if state.mode is Mode.DRY_RUN:
        return RunKind.DRY_RUN
    if state.what in tuple(RunKind):
        return RunKind(state.what)
    actions = [step.action for step in state.plan.steps]
    if actions and all(isinstance(action, MakeBackup) for action in actions):
        return RunKind.BACKUP
    if actions and all(isinstance(action, StageArchive | VerifyArchive) for action in actions):
        return RunKind.STAGE
    if actions and not any(isinstance(action, RunUpgrade) for action in actions):
        return RunKind.RECOVER
    return RunKind.REBUILD if state.plan.strategy is StrategyName.REBUILD else RunKind.UPGRADE


def title_of(state: RunState) -> str:
    """Return what a run was for as a title: "Backup of prod-eu"."""
    return _TITLES[kind_of(state)].format(cluster=state.plan.cluster, target=state.plan.target.version)


def changed_nodes(state: RunState) -> bool:
    """Return whether a run was made to change appliances; a backup and a staging are not."""
    return any(changes_node(step.action) for step in state.plan.steps)
