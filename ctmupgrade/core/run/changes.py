"""What a run changed besides the version: backups, files, cluster ids, settings."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.plan import restore_actions, steps
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import RunState, Status, StepState


def changes_of(state: RunState) -> tuple[str, ...]:
    """Return a sentence for each thing that is not as it was before, as far as the run's own looks tell. What is so on
    several nodes is one sentence."""
    found: dict[str, list[str]] = {}
    for step in state.plan.steps:
        if state.steps[step.id].status is Status.DONE:
            for text in _of(step, state.steps[step.id]):
                found.setdefault(text, []).append(step.node)
    return tuple(f"{node_list(nodes, len(state.plan.versions))}: {text}" for text, nodes in found.items())


_ALWAYS: dict[type, str] = {
    steps.MakeBackup: "one more system backup on the node",
    steps.StageArchive: "the archive is in the home folder",
    steps.RemoveNode: "removed from the cluster",
    steps.DeleteClusterConfig: "the cluster configuration was deleted",
    steps.ResetNode: "reset, which erased all data",
    restore_actions.EraseNode: "erased, which lost all its data",
    restore_actions.RestoreBackup: "a backup was restored onto it, over its data",
    restore_actions.ResetSpare: "reset, which erased what was restored onto it",
}


def _of(step: Step, held: StepState) -> Iterator[str]:
    if text := _ALWAYS.get(type(step.action)):
        yield text
    node_id = _as(held.evidence.get("node_id", ""))
    match step.action:
        case steps.NewCluster():
            yield f"the first node of a new cluster{node_id}"
        case steps.JoinNode(via=via):
            yield f"data erased and copied from {via}{node_id}"
        case steps.CompareSettings() if "differences" in held.evidence:
            yield from _compared(held)
        case _:
            pass


def _as(node_id: str) -> str:
    return f"; its id in the cluster is {node_id}" if node_id else ""


def _compared(held: StepState) -> Iterator[str]:
    different = held.evidence["differences"]
    if different == "none":
        yield "the settings that no cluster replicates are as they were recorded before"
    else:
        yield f"not as recorded before: {different}"
    if lacking := held.evidence.get("not_known", ""):
        yield f"could not be compared: {lacking}"
    yield from held.notes
