"""The operator's programs of a run, hooks and checks, as the journal has them: which are due, and which are owed.

A hook ``after_X`` is owed as soon as ``before_X`` has begun, whatever became of it: what was drained must be put back also
where the run pauses. A program that was begun by a process that died is run again, and the journal says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.hooks import OwnCheck
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.steps import RunUpgrade, in_service
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.program_runs import ProgramRun

OVER = (Status.DONE, Status.SKIPPED)


def own_check(name: str) -> str:
    """Return what a check of the operator's is called among a run's programs."""
    return f"check {name}"


def _last(state: RunState, node: str, *names: str) -> ProgramRun | None:
    return next((run for run in reversed(state.programs) if run.node == node and run.what in names), None)


def before_due(state: RunState, scope: str, node: str) -> bool:
    """Return whether ``before_SCOPE`` must run before anything is done.

    :param scope: "run" or "node". :param node: "" for the run.
    """
    last = _last(state, node, f"before_{scope}", f"after_{scope}")
    return last is None or last.what == f"after_{scope}" or last.code != 0


def after_owed(state: RunState, cluster: Cluster, scope: str, node: str) -> bool:
    """Return whether ``after_SCOPE`` must still run, for what has been begun."""
    last = _last(state, node, f"before_{scope}", f"after_{scope}")
    if last is not None and last.what == f"after_{scope}" and last.code is None:
        return True
    if cluster.hooks.argv(f"before_{scope}"):
        return last is not None and last.what == f"before_{scope}"
    return node in state.touched


def unfinished(state: RunState, what: str, node: str) -> bool:
    """Return whether a program was begun for this node, and how it ended is not known."""
    last = _last(state, node, what)
    return last is not None and last.code is None


def begun_nodes(state: RunState) -> tuple[str, ...]:
    """Return the nodes of the plan that a hook or a step has touched, in the plan's order."""
    run = {one.node for one in state.programs}
    return tuple(node for node in state.plan.nodes if node in state.touched or node in run)


def not_put_back(state: RunState) -> tuple[str, ...]:
    """Return a sentence for each hook ``before_*`` that no ``after_*`` has followed, for a run that nobody goes on with."""
    nodes = dict.fromkeys(run.node for run in state.programs)
    found = []
    for node in nodes:
        scope = "node" if node else "run"
        last = _last(state, node, f"before_{scope}", f"after_{scope}")
        if last is not None and last.what == f"before_{scope}":
            found.append(f"{last.words} was run, and no after_{scope} has followed: put it back by hand")
    return tuple(found)


def is_over(state: RunState, node: str) -> bool:
    """Return whether nothing is left to do on a node that keeps it from serving."""
    mine = [step.id for step in state.plan.steps if step.node == node and not in_service(step.action)]
    return bool(mine) and all(state.steps[step].status in OVER for step in mine)


def outcome_of_node(state: RunState, node: str) -> str:
    """Return how a node stands, as its hook is given it: done, skipped, failed, needs-operator or paused."""
    statuses = {
        state.steps[s.id].status for s in state.plan.steps if s.node == node and not in_service(s.action)
    }
    for status, word in ((Status.INCONCLUSIVE, "needs-operator"), (Status.FAILED, "failed")):
        if status in statuses:
            return word
    if statuses <= {*OVER}:
        return "skipped" if Status.SKIPPED in statuses else "done"
    return "paused"


def checks_due(state: RunState, cluster: Cluster) -> Iterator[tuple[OwnCheck, str]]:
    """Yield the operator's checks that have not passed yet for nodes that this run has upgraded, with the node."""
    waived = {name for name, _ in state.waived}
    for node in state.plan.nodes:
        upgraded = any(
            isinstance(s.action, RunUpgrade) and state.steps[s.id].status is Status.DONE
            for s in state.plan.steps
            if s.node == node
        )
        if upgraded and is_over(state, node):
            for check in cluster.own_checks:
                last = _last(state, node, own_check(check.name))
                if (
                    "after_node" in check.when
                    and check.name not in waived
                    and (last is None or last.code != 0)
                ):
                    yield check, node


__all__ = [
    "after_owed",
    "before_due",
    "begun_nodes",
    "checks_due",
    "is_over",
    "not_put_back",
    "outcome_of_node",
    "own_check",
    "unfinished",
]
