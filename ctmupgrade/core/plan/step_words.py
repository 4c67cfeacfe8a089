"""Steps in words, as an operator is told what comes next and what it means for clients."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.timing import clock_time

_WORDS: dict[type, str] = {
    steps.VerifyArchive: "verify the archive's signature",
    steps.MakeBackup: "back up {node}",
    steps.StageArchive: "upload the archive to {node}",
    steps.Gate: "wait until every other node is healthy, before {node} is changed",
    steps.RunUpgrade: "run ks_upgrade.sh on {node}",
    steps.Reboot: "reboot {node}",
    steps.AwaitNode: "wait until {node} is back and healthy",
    steps.Settle: "watch that {node} stays healthy",
    steps.RecordSettings: "write down the settings of {node}",
    steps.RemoveNode: "remove {node} from the cluster",
    steps.DeleteClusterConfig: "delete the cluster configuration on {node}",
    steps.ResetNode: "reset {node}, which ERASES its data",
    steps.NewCluster: "create a new cluster on {node}",
    steps.RestoreSettings: "put the settings of {node} back",
    steps.JoinNode: "join {node} to the cluster, which ERASES its data",
    steps.CompareSettings: "compare the settings of {node} with those before",
    steps.RestartServices: "restart the services of {node}",
    restore_actions.RecallSettings: "look for the settings of {node} that were written down before",
    restore_actions.EraseNode: "erase {node}, which was given up: it loses ALL its data",
    restore_actions.UploadKey: "upload the backup key to {node}",
    restore_actions.UploadBackup: "upload the backup to {node}",
    restore_actions.RestoreBackup: "restore the backup onto {node}, which OVERWRITES its data",
    restore_actions.ProveRestore: "prove that the restored {node} is whole",
    restore_actions.CompareCounts: "compare how much {node} has with the cluster",
    restore_actions.ResetSpare: "reset the spare {node}, which ERASES what was restored onto it",
}


def step_words(step: Step) -> str:
    """Return what a step does, a verb first: "reboot ctm-2"."""
    return _WORDS[type(step.action)].format(node=step.node)


def node_list(names: Iterable[str], of: int = 0) -> str:
    """Return nodes' names for a reader, or "all 20 nodes" where they are all of many.

    :param of: how many nodes the cluster has; 0: not known.
    """
    found = list(dict.fromkeys(names))
    if len(found) == of and of > 4:
        return f"all {of} nodes"
    return ", ".join(found)


def node_question(plan: Plan, step: Step, stable_for: timedelta) -> list[str]:
    """Return what is said before a node is asked for: which, for how long, what clients notice."""
    mine = [one for one in plan.steps if one.node == step.node]
    seconds = sum(one.estimate_s for one in mine[mine.index(step) :])
    others = len(plan.nodes) - 1
    notice = (
        "its clients must use the other nodes meanwhile"
        if others > 0
        else "nothing else serves its clients meanwhile"
    )
    settled = clock_time(int(stable_for.total_seconds()))
    return [
        f"Next: {step_words(step)}, then reboot it and wait until it has been healthy for {settled}; "
        f"about {clock_time(seconds)}.",
        plan.clients.get(step.node) or f"{step.node} is out of service for 10 minutes or more: {notice}.",
        "n pauses the run here, and so does Ctrl-C; nothing more is started, and ctmupgrade resume goes on.",
    ]


def after_step(step: str, text: str) -> str:
    """Return what a step says, without the step's id in front."""
    return text.removeprefix(f"{step}: ")
