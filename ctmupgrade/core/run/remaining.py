"""What is left of a run, in words: before it is resumed, or ended for good."""

from __future__ import annotations

from ctmupgrade.core.plan.clients import WHOLE, notice_of_some
from ctmupgrade.core.plan.restore_actions import ProveRestore
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.plan.steps import Step, changes_node, in_service
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.kinds import title_of
from ctmupgrade.core.run.seen_versions import version_words
from ctmupgrade.core.timing import clock_time

_OVER = (Status.DONE, Status.SKIPPED)


def steps_left(state: RunState) -> list[Step]:
    """Return the steps of a run that are neither done nor skipped, in their order."""
    return [step for step in state.plan.steps if state.steps[step.id].status not in _OVER]


def what_is_left(state: RunState) -> list[str]:
    """Return what a run is for, where it stopped, and what would be done next."""
    left = steps_left(state)
    lines = [f"{title_of(state)}, run {state.run}: {state.name}; {versions(state)}."]
    if not left:
        return [*lines, "No step is left to do."]
    nodes = node_list((step.node for step in left if step.node), len(state.plan.versions))
    seconds = state.plan.critical_path_s(of={step.id for step in left})
    where = f" on {nodes}" if nodes else ""
    lines.append(
        f"Left to do: {len(left)} of {len(state.plan.steps)} steps{where}, about {clock_time(seconds)}: "
        f"next {left[0].id}."
    )
    return lines


def versions(state: RunState) -> str:
    """Return which nodes are on which version, as far as looks have proven it."""
    by_version: dict[str, list[str]] = {}
    for node in state.plan.versions:
        by_version.setdefault(version_words(state, node), []).append(node)
    total = len(state.plan.versions)
    said = [
        f"{node_list(nodes, total)} {'is' if len(nodes) == 1 else 'are'} on {version}"
        for version, nodes in by_version.items()
    ]
    return "; ".join(said) or "it names no node"


def clients_still_notice(state: RunState) -> list[str]:
    """Return what clients will notice of what is left; nothing where no node goes out of service any more."""
    plan = state.plan
    nodes = [
        node
        for node in plan.clients
        if any(
            s.node == node and state.steps[s.id].status not in _OVER and changes_node(s.action)
            for s in plan.steps
        )
    ]
    proofs = [s.id for s in plan.steps if isinstance(s.action, ProveRestore)]
    if proofs and all(state.steps[one].status in _OVER for one in proofs):
        return [plan.clients[node] for node in nodes if node != WHOLE]
    if len(nodes) == 1 and not proofs:
        return [plan.clients[nodes[0]]]
    left = any(state.steps[s.id].status not in _OVER and not in_service(s.action) for s in plan.steps)
    said = notice_of_some(plan.clients, nodes)
    return [said] if left and said else []
